"""What the formats share: options, and which image is exported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gpuimg.cli import complete
from gpuimg.errors import RequestError
from gpuimg.versions import Platform

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.export.image import ExportedImage
    from gpuimg.facts import Matrix
    from gpuimg.model import Plan
    from gpuimg.project.model import ProjectImage

TargetName = Annotated[
    str | None,
    typer.Argument(
        metavar="SPEC|IMAGE",
        autocompletion=complete.specs,
        help="What gpuimg builds, such as 2.6-cu124, or any image.  [default: the project's]",
        show_default=False,
    ),
]
Repository = Annotated[
    str | None,
    typer.Option(
        "--repository",
        metavar="NAME",
        help="With a SPEC: the repository that has the image.  [default: gpuimg]",
        show_default=False,
    ),
]
PlatformName = Annotated[
    str | None,
    typer.Option(
        "--platform",
        autocompletion=complete.platforms,
        metavar="PLATFORM",
        help="The image's platform.  [default: any; with a SPEC, linux/amd64]",
        show_default=False,
    ),
]
PythonProgram = Annotated[
    str | None,
    typer.Option(
        "--python",
        metavar="PROGRAM",
        help="Python in the image.  [default: python3; with a SPEC, its own]",
        show_default=False,
    ),
]


WHERE_PUSHED: Final = (
    "with --repository registry.example.com/team/gpuimg beside a SPEC, or `repository:` in gpuimg.yaml"
)


def find_image(
    target: str | None,
    console: Console,
    *,
    repository: str | None = None,
    platform: str | None = None,
    python: str | None = None,
    matrix_dir: Sequence[Path] = (),
) -> ExportedImage:
    """The image that a spec's plan names, the project's, or the reference as it is: a name with a tag or a registry.

    Raises RequestError for what is none of these.
    """
    import dataclasses

    from gpuimg.cli.project import select_among, the_only_one
    from gpuimg.cli.target import is_image
    from gpuimg.export import values
    from gpuimg.matrix import load_matrix

    selection = select_among([target] if target else [], console, file=None)
    if selection is not None:
        _refuse_repository(repository, selection.project.label, hint="set `repository:` of the image there")
        found = project_image(the_only_one(selection), load_matrix(tuple(matrix_dir)), platform=platform)
    elif target is None:
        raise RequestError(
            "nothing to export: no image was named, and there is no project file here",
            hints=["`gpuimg export 2.6-cu124 --format FORMAT`", "or `gpuimg init`, which writes a project file"],
        )
    elif is_image(target):
        found = _other_image(target, repository=repository, platform=platform, matrix_dir=matrix_dir)
    else:
        found = _spec_image(target, console, repository=repository, platform=platform, matrix_dir=matrix_dir)
    return dataclasses.replace(found, python=values.program(python)) if python is not None else found


def warn_unpullable(image: ExportedImage, console: Console) -> None:
    """Say where only this machine can have the image."""
    if image.is_local:
        console.warning(
            f"a cluster can pull `{image.reference}` only where its nodes have it: name the registry that it was pushed"
            f" to, {WHERE_PUSHED}"
        )


def _refuse_repository(repository: str | None, named: str, *, hint: str) -> None:
    """Raise RequestError where --repository would name what `named` names already."""
    if repository is not None:
        raise RequestError(
            f"--repository is where a SPEC's image lies, and {named} names an image itself", hints=[hint]
        )


def _other_image(
    target: str, *, repository: str | None, platform: str | None, matrix_dir: Sequence[Path]
) -> ExportedImage:
    import dataclasses

    from gpuimg import settings
    from gpuimg.cli.target import named_plan
    from gpuimg.export.image import ExportedImage

    reference = settings.image_reference(target)
    _refuse_repository(repository, f"`{reference}`", hint="push it there under that name, and give the name whole")
    plan = named_plan(reference, matrix_dir=matrix_dir)
    image = _planned(plan, reference) if plan is not None else ExportedImage(reference=reference)
    return dataclasses.replace(image, platform=settings.platform(platform) if platform is not None else None)


def _spec_image(
    target: str, console: Console, *, repository: str | None, platform: str | None, matrix_dir: Sequence[Path]
) -> ExportedImage:
    from gpuimg import settings
    from gpuimg.cli.target import plan_spec
    from gpuimg.naming import REPOSITORY

    reference, plan = plan_spec(
        target,
        console,
        matrix_dir=matrix_dir,
        repository=settings.repository(repository if repository is not None else REPOSITORY),
        platform=settings.platform(platform) if platform is not None else Platform.AMD64,
    )
    return _planned(plan, reference)


def project_image(image: ProjectImage, matrix: Matrix, *, platform: str | None) -> ExportedImage:
    """Planned without its packages, which no export needs, so that no index is read."""
    import dataclasses

    from gpuimg import settings
    from gpuimg.pipeline.plan import Settings, make_plan
    from gpuimg.pipeline.resolve import resolve
    from gpuimg.pipeline.spec import parse_spec
    from gpuimg.project.apply import image_settings

    bare = dataclasses.replace(image, code=(), ca_bundle=None)
    if platform is not None:
        bare = dataclasses.replace(bare, platform=settings.platform(platform))
    plan = make_plan(resolve(parse_spec(bare.spec), matrix), matrix, image_settings(bare, Settings()))
    planned = _planned(plan, image.references[0])
    return dataclasses.replace(planned, command=image.command)


def _planned(plan: Plan, reference: str) -> ExportedImage:
    from gpuimg.export.image import ExportedImage
    from gpuimg.naming import labels
    from gpuimg.pipeline.render import VENV

    return ExportedImage(
        reference=reference, python=f"{VENV}/bin/python", labels=labels(plan, digest=""), platform=plan.platform
    )
