"""What rows must say about each other. Each rule names the file and the row that breaks it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from gpuimg import facts
from gpuimg.errors import MatrixError
from gpuimg.matrix.sources import check_sources
from gpuimg.paths import MATRICES
from gpuimg.source.check import check_source_builds
from gpuimg.versions import PythonVersion


def check_matrix(matrix: facts.Matrix) -> None:
    """Raise MatrixError for the first row that contradicts another or has a fact without a source."""
    _check_stacks(matrix)
    _check_compatible(matrix)
    check_source_builds(matrix)
    _check_bases(matrix)
    check_sources(matrix)
    for setting in matrix.allocator:
        _check_specifier(setting)


def _check_stacks(matrix: facts.Matrix) -> None:
    cudas = {row.version for row in matrix.cudas}
    for stack in matrix.stacks:
        where = f"stacks.{stack.name}"
        expected = f"{stack.torch}-{stack.cuda.variant}"
        if stack.name != expected:
            raise MatrixError(
                "matrices/torch.yaml", f"{where}.name", f"must be `{expected}`, as its torch and cuda say"
            )
        if stack.cuda not in cudas:
            raise MatrixError("matrices/torch.yaml", f"{where}.cuda", f"CUDA {stack.cuda} has no row in cuda.yaml")


def _check_compatible(matrix: facts.Matrix) -> None:
    stacks = {stack.name: stack for stack in matrix.stacks}
    for row in matrix.compatible:
        where = f"compatible.{row.name}"
        if row.name in stacks:
            raise MatrixError("matrices/local.yaml", where, "is a published stack: it needs no compatible name")
        target = stacks.get(row.use)
        if target is None:
            raise MatrixError("matrices/local.yaml", f"{where}.use", f"`{row.use}` is no stack of torch.yaml")
        if target.torch != row.torch or target.cuda.major != row.cuda.major:
            problem = (
                f"`{row.use}` has another torch or CUDA major: minor-version compatibility does not reach that far"
            )
            raise MatrixError("matrices/local.yaml", f"{where}.use", problem)


def _check_bases(matrix: facts.Matrix) -> None:
    names = {base.name for base in matrix.bases}
    for toolkit in matrix.toolkits:
        if (toolkit.base is None) != (toolkit.kind == "wheels"):
            where = f"toolkits.{toolkit.cuda}.base"
            raise MatrixError("matrices/bases.yaml", where, f"does not fit kind `{toolkit.kind}`")
        if toolkit.base is not None and toolkit.base not in names:
            where = f"toolkits.{toolkit.cuda}.base"
            raise MatrixError("matrices/bases.yaml", where, f"`{toolkit.base}` is no base; known are {sorted(names)}")


def _check_specifier(setting: facts.AllocatorSetting) -> None:
    try:
        SpecifierSet(setting.torch)
    except InvalidSpecifier as error:
        raise MatrixError("matrices/allocator.yaml", f"settings.{setting.torch}", str(error)) from error


def check_wheels(matrix: facts.Matrix, *, base: Path = MATRICES) -> int:
    """Check that each stack × platform × Python has a wheel set that says what its row says; give their number.

    Raises:
        MatrixError: a set is missing, or names another version than the row.
        UnknownStackError: a stack's file lacks a platform or Python of the row.
    """
    from gpuimg.matrix.load import load_wheels
    from gpuimg.source.resolve import source_stack

    count = 0
    for build in matrix.source_builds:
        for platform in build.platforms:
            for python in build.pythons:
                wheels = load_wheels(build.name, platform, python, overlays=matrix.overlays, base=base, kind="source")
                check_wheel_set(source_stack(build), wheels, python)
                count += 1
    for stack in matrix.stacks:
        for on in stack.platforms:
            for python in on.pythons:
                wheels = load_wheels(stack.name, on.platform, python, overlays=matrix.overlays, base=base)
                check_wheel_set(stack, wheels, python)
                count += 1
    return count


def check_wheel_set(stack: facts.Stack, wheels: facts.WheelSet, python: PythonVersion) -> None:
    """Raise MatrixError where a wheel set names another version than the stack's row: labels and tags say the row's.

    Libraries are asked for where the set has any: they may lie inside torch's own wheel.
    """
    found: Mapping[str, Version] = {wheel.name: wheel.version for wheel in (*wheels.cuda, *wheels.torch)}
    suffix = f"cu{stack.cuda.major}"
    libraries = {f"nvidia-cudnn-{suffix}": stack.cudnn, f"nvidia-nccl-{suffix}": stack.nccl}
    expected: dict[str, Version | facts.Unknown | None] = {
        "torch": stack.torch,
        "torchvision": stack.torchvision,
        "torchaudio": stack.torchaudio,
        "triton": stack.triton,
        **(libraries if wheels.cuda else {}),
    }
    for name, version in expected.items():
        has = found.get(name)
        if version is facts.UNKNOWN or (has is None and (version is None or not wheels.closed)):
            continue
        if has is None or version is None or has.public != version.public:
            problem = f"has {name} {has or 'not at all'}, the row in torch.yaml says {version or 'none'}"
            raise MatrixError(f"matrices/wheels/{stack.name}.yaml", f"Python {python}", problem)
