"""What can be said of extras without an index: what contradicts the stack, and what can't be had there at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuimg import settings
from gpuimg.errors import RequestError
from gpuimg.facts import ExtraLimit, Matrix, SdistExtra, Stack, Wheel, WheelSet

if TYPE_CHECKING:
    from gpuimg.model import Plan


def checked_extras(
    texts: Sequence[str], wheels: WheelSet, *, stack: Stack, matrix: Matrix, nvcc: bool
) -> tuple[str, ...]:
    """Give the extras normalised and sorted, without those that the stack has as they are asked for.

    Args:
        nvcc: whether the image will have it.

    Raises:
        RequestError: one is no requirement, contradicts the stack, doesn't work on it, or needs nvcc to be built.
    """
    fixed = held_wheels(wheels, matrix)
    extras = []
    for text in sorted({settings.requirement(text) for text in texts}):
        extra = Requirement(text)
        name = canonicalize_name(extra.name)
        _refuse_limited(extra, stack, matrix)
        _refuse_companion(name, stack)
        _refuse_without_nvcc(name, stack, matrix, nvcc=nvcc)
        if name in fixed and extra.marker is None:
            _refuse_contradiction(extra, fixed[name], stack)
        else:
            extras.append(text)
    return tuple(extras)


def held_wheels(wheels: WheelSet, matrix: Matrix) -> Mapping[str, Wheel]:
    """What no extra may bring another release of, by name."""
    movable = {canonicalize_name(Requirement(row.requirement).name) for row in matrix.open_packages}
    every = (*wheels.cuda, *wheels.torch, *wheels.toolkit)
    return {canonicalize_name(wheel.name): wheel for wheel in every if canonicalize_name(wheel.name) not in movable}


def limits_of(stack: Stack, matrix: Matrix) -> tuple[ExtraLimit, ...]:
    """What does not work with the stack's CUDA, whatever is beside it."""
    return tuple(row for row in _on(stack, matrix) if row.beside is None)


def limits_beside(versions: Mapping[str, Version], stack: Stack, matrix: Matrix) -> tuple[ExtraLimit, ...]:
    """What does not work beside what was resolved: `versions` by name."""

    def met(text: str) -> bool:
        wanted = Requirement(text)
        version = versions.get(canonicalize_name(wanted.name))
        return version is not None and wanted.specifier.contains(version, prereleases=True)

    rows = [row for row in _on(stack, matrix) if row.beside is not None and row.name in versions and met(row.beside)]
    return tuple(row for row in rows if row.requirement is not None and not met(row.requirement))


def absent_companions(stack: Stack) -> tuple[str, ...]:
    """What is compiled for one torch and the stack has none of: an index has it for the torch that was published."""
    versions = {"torchaudio": stack.torchaudio, "torchvision": stack.torchvision}
    return tuple(name for name, version in versions.items() if version is None)


def needs_devel(row: SdistExtra, stack: Stack) -> RequestError:
    """The error for what is compiled with nvcc where there is none."""
    return RequestError(
        f"`{row.name}` is compiled in the image, which takes nvcc, and this flavor has none\n{row.reason}",
        hints=[f"`gpuimg build {stack.name} --flavor devel --extra {row.name}`"],
    )


def included_extras(texts: Sequence[str], plan: Plan, matrix: Matrix) -> tuple[Wheel, ...]:
    """Which of the extras that were asked for the stack has already."""
    fixed = held_wheels(plan.wheels, matrix)
    asked = [Requirement(text) for text in texts]
    names = dict.fromkeys(canonicalize_name(extra.name) for extra in asked if extra.marker is None)
    return tuple(fixed[name] for name in names if name in fixed)


def _on(stack: Stack, matrix: Matrix) -> tuple[ExtraLimit, ...]:
    return tuple(row for row in matrix.extra_limits if row.cuda is None or stack.cuda in row.cuda)


def _refuse_limited(extra: Requirement, stack: Stack, matrix: Matrix) -> None:
    for row in limits_of(stack, matrix):
        if row.name == canonicalize_name(extra.name) and row.requirement is None:
            where = "" if row.cuda is None else f" on {stack.name}"
            raise RequestError(
                f"`{row.name}` doesn't work{where}: {row.reason}",
                hints=[f"instead: {row.instead}"] if row.instead else [],
            )


def _refuse_companion(name: str, stack: Stack) -> None:
    if name in absent_companions(stack):
        raise RequestError(
            f"`{name}` doesn't fit {stack.name}: no release of it is compiled for this torch and its CUDA",
            hints=["choose a stack that has it: `gpuimg matrix list`"],
        )


def _refuse_without_nvcc(name: str, stack: Stack, matrix: Matrix, *, nvcc: bool) -> None:
    row = next((row for row in matrix.sdist_extras if row.name == name), None)
    if row is not None and row.nvcc and not nvcc:
        raise needs_devel(row, stack)


def _refuse_contradiction(extra: Requirement, has: Wheel, stack: Stack) -> None:
    if not extra.specifier.contains(has.version, prereleases=True):
        raise RequestError(
            f"`{extra}` contradicts the stack, which has {has.name} {has.version} in its locked wheel set",
            hints=[
                f"leave {extra.name} out: {has.version} is what fits",
                "or choose another stack: `gpuimg matrix list`",
            ],
        )
    if extra.extras:
        named = ", ".join(sorted(extra.extras))
        raise RequestError(
            f"`{extra}`: {stack.name} has {has.name} {has.version} as it is, without its extra {named}",
            hints=[f"name what that extra brings by itself, such as `--extra {min(extra.extras)}`"],
        )
