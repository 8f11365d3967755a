"""Which images of the engine `gpuimg verify` is about: named ones, all that were built here, or all of the matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gpuimg.engine.images import STACK_LABEL, find_image, list_images
from gpuimg.errors import ImageNotFoundError, RequestError
from gpuimg.report import figures

if TYPE_CHECKING:
    from gpuimg.engine.client import Engine
    from gpuimg.model import Image, Spec

_HINTS = ("`gpuimg build 2.6-cu124`", "`gpuimg verify IMAGE`")


def named_images(engine: Engine, references: Sequence[str]) -> Sequence[Image]:
    """The images that the references name; a spec names all that were built here and fit it."""
    return [image for reference in references for image in _find_one(engine, reference)]


def built_images(engine: Engine) -> Sequence[Image]:
    """All images that gpuimg built here and that have a name. Raises ImageNotFoundError where there is none."""
    built = [image for image in list_images(engine) if image.tags]
    if not built:
        raise ImageNotFoundError("gpuimg has built no image on this engine", hints=_HINTS)
    return built


def matrix_images(engine: Engine) -> tuple[Sequence[Image], Sequence[str]]:
    """The images here of any stack of the matrix, and the stacks that have none, which nobody need have built.

    A stack that must be compiled is none that is missing. Raises ImageNotFoundError where no stack has an image.
    """
    from gpuimg.matrix import load_matrix

    matrix = load_matrix()
    names = [stack.name for stack in matrix.stacks]
    known = {*names, *(build.name for build in matrix.source_builds)}
    built = [image for image in list_images(engine) if image.tags and image.labels.get(STACK_LABEL) in known]
    if not built:
        raise ImageNotFoundError(
            f"none of the {len(names)} stacks of the matrix was built on this engine",
            hints=["`gpuimg build --all`", *_HINTS],
        )
    have = {image.labels[STACK_LABEL] for image in built}
    return built, [name for name in names if name not in have]


def not_built(stacks: Sequence[str]) -> str:
    """What to say of stacks of the matrix that have no image here."""
    return (
        f"{figures.number(len(stacks), 'stack')} of the matrix without an image here: {', '.join(stacks)}"
        "\n`gpuimg build NAME` builds one, `gpuimg build --all` every one that there can be"
    )


def spec_images(engine: Engine, spec: Spec, *, matrix_dir: Sequence[Path] = ()) -> Sequence[Image]:
    """The images that were built here and fit the spec, newest first.

    Where none has the very CUDA that it names, those of the stack that serves in its place, by the rows in `matrix_dir`
    too. Raises ImageNotFoundError.
    """
    from gpuimg.matrix import load_matrix
    from gpuimg.pipeline.resolve import resolve

    built = [image for image in list_images(engine) if image.tags and _has_parts(image, spec)]
    found = [image for image in built if _is_named(image, spec)]
    if not found:
        stack = resolve(spec, load_matrix(matrix_dir)).stack
        found = [image for image in built if image.labels.get(STACK_LABEL) == stack.name]
        if not found:
            raise ImageNotFoundError(f"no image of {stack.name} was built here", hints=[f"`gpuimg build {spec.text}`"])
    return found


def _find_one(engine: Engine, reference: str) -> Sequence[Image]:
    """The image of that name, else the images built here that the reference selects as a spec."""
    from gpuimg import settings
    from gpuimg.pipeline.spec import parse_spec

    try:
        return [find_image(engine, settings.image_reference(reference))]
    except (ImageNotFoundError, RequestError) as error:
        try:
            spec = parse_spec(reference)
        except RequestError:
            raise error from None
    return spec_images(engine, spec)


def _has_parts(image: Image, spec: Spec) -> bool:
    """Whether it has the flavor and the Python that the spec names."""
    wanted = {"flavor": spec.flavor, "python": str(spec.python) if spec.python else None}
    return all(text in {None, image.labels.get(f"io.gpuimg.{name}")} for name, text in wanted.items())


def _is_named(image: Image, spec: Spec) -> bool:
    """Whether it has the torch and the CUDA that the spec names; with no CUDA named, any."""
    torch, cuda = (image.labels.get(f"io.gpuimg.{name}", "") for name in ("torch", "cuda"))
    release = torch.partition("+")[0].split(".")
    return release[: len(spec.torch.release)] == list(map(str, spec.torch.release)) and (
        spec.cuda is None or cuda == str(spec.cuda)
    )
