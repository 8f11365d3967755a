"""`Spec` → the `Stack` that serves it, or the reason why none does and the nearest that exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packaging.version import Version

from gpuimg.errors import UnknownStackError
from gpuimg.model import CompatibleName, Matrix, Resolution, Spec, Stack
from gpuimg.versions import CudaVersion, PythonVersion


def resolve(spec: Spec, matrix: Matrix) -> Resolution:
    """Give the newest stack that `spec` allows: newest torch first, then newest CUDA.

    A name that was never published resolves to the stack that its row in ``local.yaml`` gives, as `substitution`.

    Raises:
        UnknownStackError: no stack serves it; the message says which wish can't be met and what comes nearest.
    """
    of_torch = [stack for stack in matrix.stacks if _is_release(stack.torch, spec.torch)]
    if not of_torch:
        raise _no_torch(spec, matrix)
    if spec.cuda is None:
        return _checked(Resolution(spec=spec, stack=_newest(of_torch)))
    of_cuda = [stack for stack in of_torch if stack.cuda == spec.cuda]
    if of_cuda:
        return _checked(Resolution(spec=spec, stack=_newest(of_cuda)))
    substitution = _compatible(spec, matrix)
    if substitution is None:
        raise _no_cuda(spec, of_torch, matrix)
    stack = next(stack for stack in matrix.stacks if stack.name == substitution.use)
    return _checked(Resolution(spec=spec, stack=stack, substitution=substitution))


def python_range(pythons: Sequence[PythonVersion]) -> str:
    """``3.9 to 3.13``, or the list where it has gaps."""
    ordered = sorted(pythons)
    if len(ordered) > 1 and ordered[-1].minor - ordered[0].minor == len(ordered) - 1:
        return f"{ordered[0]} to {ordered[-1]}"
    return ", ".join(map(str, ordered))


def _is_release(version: Version, wanted: Version) -> bool:
    return version.release[: len(wanted.release)] == wanted.release


def _newest(stacks: Iterable[Stack]) -> Stack:
    return max(stacks, key=lambda stack: (stack.torch, stack.cuda))


def _compatible(spec: Spec, matrix: Matrix) -> CompatibleName | None:
    rows = [row for row in matrix.compatible if row.cuda == spec.cuda and _is_release(row.torch, spec.torch)]
    return max(rows, key=lambda row: row.torch, default=None)


def _checked(resolution: Resolution) -> Resolution:
    """The wishes beyond torch and CUDA."""
    spec, stack = resolution.spec, resolution.stack
    if spec.cudnn_major is not None and spec.cudnn_major != stack.cudnn.major:
        raise UnknownStackError(
            f"`{spec.text}` asks for cuDNN {spec.cudnn_major}; torch {stack.local_version} pins cuDNN {stack.cudnn}",
            nearest=[stack.name],
            hints=[f"leave cuDNN out: `gpuimg build {stack.name}`"],
        )
    if spec.python is not None:
        pythons = sorted({python for entry in stack.platforms for python in entry.pythons})
        if spec.python not in pythons:
            raise no_python(stack, spec.python, pythons)
    return resolution


def no_python(stack: Stack, python: PythonVersion, pythons: Sequence[PythonVersion]) -> UnknownStackError:
    """The error for a Python that a stack has no wheel for."""
    nearest = min(pythons, key=lambda have: abs(have.minor - python.minor))
    return UnknownStackError(
        f"torch {stack.local_version} has no wheel for Python {python} (it has {python_range(pythons)})",
        nearest=[stack.name],
        hints=[f"`gpuimg build {stack.name} --python {nearest}`"],
    )


def _no_torch(spec: Spec, matrix: Matrix) -> UnknownStackError:
    releases = sorted({stack.torch for stack in matrix.stacks})
    below = [release for release in releases if release < spec.torch]
    above = [release for release in releases if release >= spec.torch]
    near = [*below[-1:], *above[:1]]
    stacks = [_newest(stack for stack in matrix.stacks if stack.torch == release) for release in near]
    return UnknownStackError(
        f"there is no torch {spec.torch} in the matrix (it has {', '.join(map(str, releases))})",
        nearest=[stack.name for stack in stacks],
        hints=[f"the nearest: {_commands(stacks)}", "`gpuimg matrix list` shows all stacks"],
    )


def _no_cuda(spec: Spec, of_torch: Sequence[Stack], matrix: Matrix) -> UnknownStackError:
    assert spec.cuda is not None
    torch = max(stack.torch for stack in of_torch)
    siblings = sorted((stack for stack in of_torch if stack.torch == torch), key=lambda stack: stack.cuda)
    variants = ", ".join(stack.cuda.variant for stack in siblings)
    of_cuda = [stack for stack in matrix.stacks if stack.cuda == spec.cuda]
    nearest = [min(reversed(siblings), key=lambda stack: _distance(stack.cuda, spec.cuda))]
    message = f"torch {torch} has wheels for {variants}; "
    if of_cuda:
        nearest.append(_newest(of_cuda))
        message += f"for CUDA {spec.cuda} the newest torch is {nearest[-1].torch}"
    else:
        message += f"no torch in the matrix has wheels for CUDA {spec.cuda}"
    return UnknownStackError(
        message,
        nearest=[stack.name for stack in nearest],
        hints=[f"the nearest: {_commands(nearest)}", f"`gpuimg why {spec.text}` tells the whole story"],
    )


def _distance(cuda: CudaVersion, wanted: CudaVersion | None) -> tuple[int, int]:
    """Another major is further than any minor: it needs another driver."""
    assert wanted is not None
    return abs(cuda.major - wanted.major), abs(cuda.minor - wanted.minor)


def _commands(stacks: Iterable[Stack]) -> str:
    return ", ".join(f"`gpuimg build {stack.name}`" for stack in stacks)
