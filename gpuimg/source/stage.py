"""A resolved source build → the stage that compiles it, with what it installs and where it clones from."""

from __future__ import annotations

from gpuimg import settings
from gpuimg.errors import RequestError
from gpuimg.facts import Base, Matrix, SourceBuild, Toolkit, WheelSet
from gpuimg.model import SourceStage
from gpuimg.versions import Platform, PythonVersion


def plan_stage(
    build: SourceBuild,
    matrix: Matrix,
    *,
    platform: Platform,
    python: PythonVersion,
    wheels: WheelSet,
    base: Base,
    base_image: str,
    source_url: str | None,
) -> SourceStage:
    """Give the stage that compiles `build`.

    Args:
        base: the row of the image's own base, and the reference that stands for it: the stage starts from it too,
            unless the toolkit needs another.
        source_url: the repository in place of the row's; None: the row's.

    Raises:
        RequestError: no source of nvcc is known for the platform, or a malformed URL.
    """
    toolkit = _toolkit(build, matrix, platform)
    needed = base if toolkit.base is None else next(row for row in matrix.bases if row.name == toolkit.base)
    return SourceStage(
        build=build,
        repository=settings.repository_url(source_url) if source_url else build.repository,
        image=base_image if needed == base else settings.image_reference(needed.image),
        standalone_python=needed.python != python,
        toolkit=toolkit,
        toolkit_wheels=wheels.toolkit if toolkit.kind == "wheels" else (),
        tools=wheels.build,
    )


def _toolkit(build: SourceBuild, matrix: Matrix, platform: Platform) -> Toolkit:
    for toolkit in matrix.toolkits:
        if toolkit.cuda == build.cuda and platform in toolkit.platforms:
            return toolkit
    raise RequestError(
        f"no source of nvcc is known for CUDA {build.cuda} on {platform}: {build.name} can't be compiled"
    )
