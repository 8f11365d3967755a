"""``gpuimg verify``: the smoke step on images that exist, ours or not, and on this machine's own Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gpuimg.cli import options, outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuimg.engine.client import Engine
    from gpuimg.model import Image


def verify(
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE", help="Images or specs. Without one: all images that gpuimg built here."),
    ] = None,
    host: Annotated[bool, typer.Option("--host", help="Check this machine's Python instead of an image.")] = False,
    python: Annotated[
        str, typer.Option("--python", metavar="PROGRAM", help="With --host: the Python to check.")
    ] = "python3",
    only: options.Only = None,
    skip: options.Skip = None,
    gpus: options.Gpus = "auto",
    shm_size: Annotated[str, typer.Option("--shm-size", metavar="SIZE", help="Shared memory of the container.")] = "8g",
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="Memory limit of the container.")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="USER", help="User to run as, such as 12345 or 1000:0.")
    ] = None,
    json_file: options.JsonFile = None,
    junit_file: options.JunitFile = None,
    html_file: options.HtmlFile = None,
    markdown_file: options.MarkdownFile = None,
) -> int:
    """Check images, ours or not, from inside.

    The smoke step: what a GPU engineer would check, measured. Exit code 1 if a check fails.
    """
    import os

    from gpuimg import settings
    from gpuimg.cli.console import Console
    from gpuimg.cli.view import host_with_view, verify_with_view
    from gpuimg.engine.client import Engine
    from gpuimg.errors import RequestError
    from gpuimg.smoke.host import SmokeOptions

    console = Console()
    wanted = SmokeOptions(
        only=tuple(only or ()),
        skip=tuple(skip or ()),
        gpus=settings.gpus(gpus),
        shm_bytes=settings.size_bytes(shm_size),
        memory_bytes=settings.size_bytes(memory) if memory else None,
        user=settings.user(user) if user else None,
    )
    files = outcome.report_files(
        json=json_file, junit=junit_file, html=html_file, markdown=markdown_file, environ=os.environ
    )
    results = outcome.Results(console, files)
    if host:
        if images:
            raise RequestError("--host checks this machine's Python: it takes no image")
        with results:
            results.add(host_with_view(python, console, wanted))
        return results.exit_code
    with results, Engine(environ=os.environ) as engine:
        found = _find(engine, images or ())
        for image in found:
            with results.one_of(len(found)):
                results.add(verify_with_view(engine, image, console, wanted, title=image.reference))
    return results.exit_code


def _find(engine: Engine, references: Sequence[str]) -> Sequence[Image]:
    from gpuimg.engine.images import list_images
    from gpuimg.errors import ImageNotFoundError

    if references:
        return [image for reference in references for image in _find_one(engine, reference)]
    built = [image for image in list_images(engine) if image.tags]
    if not built:
        raise ImageNotFoundError(
            "gpuimg has built no image on this engine", hints=["`gpuimg build 2.6-cu124`", "`gpuimg verify IMAGE`"]
        )
    return built


def _find_one(engine: Engine, reference: str) -> Sequence[Image]:
    """The image of that name, else the images built here that the reference selects as a spec."""
    from gpuimg import settings
    from gpuimg.engine.images import find_image, list_images
    from gpuimg.errors import ImageNotFoundError, RequestError
    from gpuimg.matrix import load_matrix
    from gpuimg.resolve import resolve
    from gpuimg.spec import parse_spec

    try:
        return [find_image(engine, settings.image_reference(reference))]
    except (ImageNotFoundError, RequestError) as error:
        try:
            spec = parse_spec(reference)
        except RequestError:
            raise error from None
    stack = resolve(spec, load_matrix()).stack
    wanted = {"stack": stack.name, "flavor": spec.flavor, "python": str(spec.python) if spec.python else None}
    found = [
        image
        for image in list_images(engine)
        if image.tags and all(text in {None, image.labels.get(f"io.gpuimg.{name}")} for name, text in wanted.items())
    ]
    if not found:
        raise ImageNotFoundError(f"no image of {stack.name} was built here", hints=[f"`gpuimg build {reference}`"])
    return found
