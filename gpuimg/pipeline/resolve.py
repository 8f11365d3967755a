"""`Spec` → the `Stack` that serves it, or the reason why none does and the nearest that exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packaging.version import Version

from gpuimg.errors import RequestError, UnknownStackError
from gpuimg.facts import UNKNOWN, CompatibleName, Matrix, Stack
from gpuimg.model import Resolution, Spec
from gpuimg.text import did_you_mean, printable, shorten
from gpuimg.versions import CudaVersion, Platform, PythonVersion


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
        return _checked(Resolution(spec=spec, stack=_newest(of_torch), matrix=matrix), matrix)
    of_cuda = [stack for stack in of_torch if stack.cuda == spec.cuda]
    if of_cuda:
        return _checked(Resolution(spec=spec, stack=_newest(of_cuda), matrix=matrix), matrix)
    substitution = _compatible(spec, matrix)
    if substitution is None:
        raise _no_cuda(spec, of_torch, matrix)
    stack = next(stack for stack in matrix.stacks if stack.name == substitution.use)
    return _checked(Resolution(spec=spec, stack=stack, substitution=substitution, matrix=matrix), matrix)


def python_range(pythons: Sequence[PythonVersion]) -> str:
    """``3.9 to 3.13``, or the list where it has gaps; free-threaded ones follow: ``3.10 to 3.14, 3.14t``."""
    bound = sorted(python for python in pythons if not python.free_threaded)
    threaded = [str(python) for python in sorted(pythons) if python.free_threaded]
    if len(bound) > 1 and bound[-1].minor - bound[0].minor == len(bound) - 1:
        return ", ".join([f"{bound[0]} to {bound[-1]}", *threaded])
    return ", ".join([*map(str, bound), *threaded]) or "none"


def _is_release(version: Version, wanted: Version) -> bool:
    return version.release[: len(wanted.release)] == wanted.release


def _newest(stacks: Iterable[Stack]) -> Stack:
    return max(stacks, key=lambda stack: (stack.torch, stack.cuda))


def _compatible(spec: Spec, matrix: Matrix) -> CompatibleName | None:
    rows = [row for row in matrix.compatible if row.cuda == spec.cuda and _is_release(row.torch, spec.torch)]
    return max(rows, key=lambda row: row.torch, default=None)


def _checked(resolution: Resolution, matrix: Matrix) -> Resolution:
    """The wishes beyond torch and CUDA."""
    spec, stack = resolution.spec, resolution.stack
    if spec.flavor is not None and spec.flavor not in {flavor.name for flavor in matrix.flavors}:
        raise unknown_flavor(spec.flavor, matrix)
    if spec.cudnn_major is not None and (stack.cudnn is UNKNOWN or spec.cudnn_major != stack.cudnn.major):
        raise _no_cudnn(spec, stack, matrix)
    if spec.python is not None and not any(spec.python in on.pythons for on in stack.platforms):
        raise no_python(stack, spec.python, matrix)
    return resolution


def no_python(
    stack: Stack, python: PythonVersion, matrix: Matrix, *, platform: Platform | None = None
) -> UnknownStackError:
    """The error for a Python that no image of `stack` can have, on `platform` or at all."""
    builds = [on for on in stack.platforms if platform in {None, on.platform}]
    pythons = sorted({have for on in builds for have in on.pythons})
    reasons = {left.python: left.reason for on in builds for left in on.left_out}
    elsewhere = any(python in on.pythons for on in stack.platforms)
    where = f" on {platform}" if platform is not None and elsewhere else ""
    if python in reasons:
        message = (
            f"gpuimg builds no image of torch {stack.local_version} with Python {python}{where}: {reasons[python]} "
            f"(it builds {python_range(pythons)})"
        )
    else:
        message = f"torch {stack.local_version} has no wheel for Python {python}{where} "
        message += f"(it has {python_range(sorted({*pythons, *reasons}))})"
    hints = []
    if pythons:
        nearest = min(
            pythons, key=lambda have: (have.free_threaded != python.free_threaded, abs(have.minor - python.minor))
        )
        hints.append(_command(stack, f"--python {nearest}", platform=platform))
    other, why_not = _newest_with_python(python, matrix, stack=stack, platform=platform)
    if other is not None and why_not is None:
        message += f"; {_release(other, stack)} is the newest{_with_cuda(other, stack)} that has"
        hints.append(_command(other, f"--python {python}", platform=platform))
    elif other is not None and python not in reasons:
        message += f"; {_release(other, stack)} is the newest{_with_cuda(other, stack)} that has,"
        message += f" and gpuimg builds no image with it: {why_not}"
    return UnknownStackError(message, nearest=[stack.name], hints=hints)


def unknown_flavor(name: str, matrix: Matrix) -> RequestError:
    """The error for a word that is no flavor; what people put there in its place gets the option that it has here."""
    names = [flavor.name for flavor in matrix.flavors]
    hints = did_you_mean(name, names)
    if name in {platform.arch for platform in Platform}:
        hints = [f"say the platform by its option: --platform linux/{name}"]
    elif name in {"cpu", "rocm", "xpu"}:
        hints = ["gpuimg builds images for NVIDIA's GPUs only; `gpuimg matrix list` shows the CUDAs"]
    return RequestError(
        f"there is no flavor `{shorten(printable(name), 40)}`; there are {', '.join(names)}",
        hints=hints or [f"leave it out: {names[0]} is what gpuimg builds then"],
    )


def no_platform(stack: Stack, platform: Platform, matrix: Matrix) -> UnknownStackError:
    """The error for a platform that a stack has no wheels for."""
    have = ", ".join(str(on.platform) for on in stack.platforms)
    message = f"torch {stack.local_version} has no CUDA wheels for {platform} (it has {have})"
    hints = [_command(stack, platform=stack.platforms[0].platform)]
    others = [other for other in matrix.stacks if any(on.platform is platform for on in other.platforms)]
    same_cuda = [other for other in others if other.cuda == stack.cuda]
    same_torch = [other for other in others if other.torch == stack.torch]
    if same_cuda:
        newest = _newest(same_cuda)
        message += f"; torch {newest.torch} is the newest that has them with {newest.cuda.variant}"
        hints.append(_command(newest, platform=platform))
    if same_torch:
        newest = _newest(same_torch)
        message += f"; torch {newest.torch} has them with {newest.cuda.variant}"
        hints.append(_command(newest, platform=platform))
    if others and not same_cuda and not same_torch:
        newest = _newest(others)
        message += f"; {newest.name} is the newest that has"
        hints.append(_command(newest, platform=platform))
    return UnknownStackError(message, nearest=[stack.name], hints=hints)


def _newest_with_python(
    python: PythonVersion, matrix: Matrix, *, stack: Stack, platform: Platform | None
) -> tuple[Stack | None, str | None]:
    """The newest stack whose images can have a Python, one with the CUDA of `stack` if there is any.

    Where none can, the newest for which there is a torch wheel, and why gpuimg builds none of it.
    """
    able: list[Stack] = []
    left_out: list[tuple[Stack, str]] = []
    for other in matrix.stacks:
        builds = [on for on in other.platforms if platform in {None, on.platform}]
        if any(python in on.pythons for on in builds):
            able.append(other)
        left_out += [(other, left.reason) for on in builds for left in on.left_out if left.python == python]
    if able:
        return _newest([other for other in able if other.cuda == stack.cuda] or able), None
    same = [item for item in left_out if item[0].cuda == stack.cuda]
    return max(same or left_out, key=lambda item: (item[0].torch, item[0].cuda), default=(None, None))


def _release(other: Stack, stack: Stack) -> str:
    """``torch 2.4.1``, with its CUDA where that is another."""
    return f"torch {other.torch}" if other.cuda == stack.cuda else f"torch {other.local_version}"


def _with_cuda(other: Stack, stack: Stack) -> str:
    """Newer ones may have it, with another CUDA."""
    return f" with {stack.cuda.variant}" if other.cuda == stack.cuda else ""


def _command(stack: Stack, *options: str, platform: Platform | None = None) -> str:
    """What builds `stack`; the platform is named where it isn't the one that gpuimg takes."""
    more = ["--exact"] if any(on.index == "source" for on in stack.platforms) else []
    more += [f"--platform {platform}"] if platform not in {None, Platform.AMD64} else []
    return f"`{' '.join(['gpuimg build', stack.name, *options, *more])}`"


def _no_cudnn(spec: Spec, stack: Stack, matrix: Matrix) -> UnknownStackError:
    has = f"what cuDNN torch {stack.local_version} has is unknown"
    if stack.cudnn is not UNKNOWN:
        has = f"torch {stack.local_version} pins cuDNN {stack.cudnn}"
    able = [other for other in matrix.stacks if other.cudnn is not UNKNOWN and other.cudnn.major == spec.cudnn_major]
    same = [other for other in able if other.torch == stack.torch] or [
        other for other in able if other.cuda == stack.cuda
    ]
    hints = [f"leave cuDNN out: `gpuimg build {stack.name}`"]
    if able:
        newest = _newest(same or able)
        has += f"; {_release(newest, stack)} is the newest with cuDNN {spec.cudnn_major}"
        hints.append(_command(newest))
    return UnknownStackError(
        f"`{spec.text}` asks for cuDNN {spec.cudnn_major}; {has}", nearest=[stack.name], hints=hints
    )


def _no_torch(spec: Spec, matrix: Matrix) -> UnknownStackError:
    releases = sorted({stack.torch for stack in matrix.stacks})
    below = [release for release in releases if release < spec.torch]
    above = [release for release in releases if release >= spec.torch]
    near = [*below[-1:], *above[:1]]
    stacks = [_newest(stack for stack in matrix.stacks if stack.torch == release) for release in near]
    return UnknownStackError(
        f"there is no torch {spec.torch} in the matrix (it has {releases[0]} to {releases[-1]}, "
        f"and nearest {' and '.join(map(str, near))})",
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
