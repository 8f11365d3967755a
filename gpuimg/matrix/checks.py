"""What rows must say about each other. Each rule names the file and the row that breaks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from gpuimg import model
from gpuimg.errors import MatrixError
from gpuimg.versions import PythonVersion

_UNSOURCED = {"name", "platforms", "platform", "sources", "use", "tag", "reason", "limits"}
"""Names and reasons are ours, not facts."""


def check_matrix(matrix: model.Matrix) -> None:
    """Raise MatrixError for the first row that contradicts another or has a fact without a source."""
    _check_stacks(matrix)
    _check_compatible(matrix)
    _check_bases(matrix)
    for setting in matrix.allocator:
        _check_specifier(setting)


def _check_stacks(matrix: model.Matrix) -> None:
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
        facts = [field for field in model.Stack.__dataclass_fields__ if field not in _UNSOURCED]
        facts += [field for field in model.StackPlatform.__dataclass_fields__ if field not in _UNSOURCED]
        sourced = {field for source in stack.sources for field in source.fields}
        for fact in facts:
            if fact not in sourced:
                raise MatrixError(
                    "matrices/torch.yaml", f"{where}.{fact}", "has no source; add its field to one in `sources`"
                )


def _check_compatible(matrix: model.Matrix) -> None:
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


def _check_bases(matrix: model.Matrix) -> None:
    names = {base.name for base in matrix.bases}
    for toolkit in matrix.toolkits:
        if (toolkit.base is None) != (toolkit.kind == "wheels"):
            where = f"toolkits.{toolkit.cuda}.base"
            raise MatrixError("matrices/bases.yaml", where, f"does not fit kind `{toolkit.kind}`")
        if toolkit.base is not None and toolkit.base not in names:
            where = f"toolkits.{toolkit.cuda}.base"
            raise MatrixError("matrices/bases.yaml", where, f"`{toolkit.base}` is no base; known are {sorted(names)}")


def _check_specifier(setting: model.AllocatorSetting) -> None:
    try:
        SpecifierSet(setting.torch)
    except InvalidSpecifier as error:
        raise MatrixError("matrices/allocator.yaml", f"settings.{setting.torch}", str(error)) from error


def check_wheels(matrix: model.Matrix, *, overlays: Sequence[Path] = ()) -> int:
    """Check that each stack × platform × Python has a wheel set that says what its row says; give their number.

    Raises:
        MatrixError: a set is missing, or names another version than the row.
        UnknownStackError: a stack's file lacks a platform or Python of the row.
    """
    from gpuimg.matrix.load import load_wheels

    count = 0
    for stack in matrix.stacks:
        for on in stack.platforms:
            for python in on.pythons:
                wheels = load_wheels(stack.name, on.platform, python, overlays=overlays)
                check_wheel_set(stack, wheels, python)
                count += 1
    return count


def check_wheel_set(stack: model.Stack, wheels: model.WheelSet, python: PythonVersion) -> None:
    """Raise MatrixError where a wheel set names another version than the stack's row: labels and tags say the row's."""
    found: Mapping[str, Version] = {wheel.name: wheel.version for wheel in (*wheels.cuda, *wheels.torch)}
    suffix = f"cu{stack.cuda.major}"
    expected = {
        "torch": stack.torch,
        "torchvision": stack.torchvision,
        "torchaudio": stack.torchaudio,
        "triton": stack.triton,
        f"nvidia-cudnn-{suffix}": stack.cudnn,
        f"nvidia-nccl-{suffix}": stack.nccl,
    }
    for name, version in expected.items():
        has = found.get(name)
        if version is None and has is None:
            continue
        if has is None or version is None or has.public != version.public:
            problem = f"has {name} {has or 'not at all'}, the row in torch.yaml says {version or 'none'}"
            raise MatrixError(f"matrices/wheels/{stack.name}.yaml", f"Python {python}", problem)
