"""A spec with ``--exact`` → the source build that is precisely what was named; nothing serves in its place."""

from __future__ import annotations

from collections.abc import Sequence

from gpuimg.errors import RequestError, UnknownStackError
from gpuimg.facts import UNKNOWN, Matrix, SourceBuild, Stack, StackPlatform
from gpuimg.model import Resolution, Spec
from gpuimg.pipeline.resolve import no_python
from gpuimg.versions import ComputeCapability


def resolve_exact(spec: Spec, matrix: Matrix, *, compute_capabilities: Sequence[ComputeCapability] = ()) -> Resolution:
    """Give the source build that `spec` names, for all its compute capabilities or only those that are named.

    Raises:
        RequestError: the stack is published, so that there is nothing to compile; or a compute capability isn't the
            build's.
        UnknownStackError: no row tells how it is compiled.
    """
    release = spec.torch.release
    if spec.cuda is None:
        raise RequestError(
            f"--exact compiles torch for one CUDA, and `{spec.text}` names none",
            hints=[f"`gpuimg build {build.name} --exact`" for build in matrix.source_builds],
        )
    published = [s for s in matrix.stacks if s.cuda == spec.cuda and s.torch.release[: len(release)] == release]
    if published:
        name = max(published, key=lambda stack: stack.torch).name
        raise RequestError(
            f"{name} is an official build: there is nothing to compile",
            hints=[f"`gpuimg build {name}`, without --exact"],
        )
    rows = [b for b in matrix.source_builds if b.cuda == spec.cuda and b.torch.release[: len(release)] == release]
    if not rows:
        raise _no_row(spec, matrix)
    build = max(rows, key=lambda build: build.torch)
    stack = source_stack(build, compute_capabilities=_narrowed(build, compute_capabilities))
    if spec.cudnn_major is not None and (build.cudnn is UNKNOWN or build.cudnn.major != spec.cudnn_major):
        raise UnknownStackError(
            f"`{spec.text}` asks for cuDNN {spec.cudnn_major}; {build.name} is compiled with cuDNN {build.cudnn}",
            nearest=[build.name],
            hints=[f"leave cuDNN out: `gpuimg build {build.name} --exact`"],
        )
    if spec.python is not None and spec.python not in build.pythons:
        raise no_python(stack, spec.python, matrix)
    return Resolution(spec=spec, stack=stack, source=build, matrix=matrix)


def source_stack(build: SourceBuild, *, compute_capabilities: Sequence[ComputeCapability] = ()) -> Stack:
    """Give the stack that a source build makes, as if it were a published one."""
    return Stack(
        name=build.name,
        torch=build.torch,
        cuda=build.cuda,
        cudnn=build.cudnn,
        nccl=build.nccl,
        triton=build.triton,
        torchvision=build.torchvision,
        torchaudio=build.torchaudio,
        cxx11_abi=build.cxx11_abi,
        platforms=tuple(
            StackPlatform(
                platform=platform,
                index="source",
                libraries="wheels",
                pythons=build.pythons,
                left_out=(),
                glibc=build.glibc,
                compute_capabilities=tuple(compute_capabilities) or build.compute_capabilities,
            )
            for platform in build.platforms
        ),
        sources=build.sources,
    )


def _narrowed(build: SourceBuild, wanted: Sequence[ComputeCapability]) -> tuple[ComputeCapability, ...]:
    """Those that are wanted, in order; PTX may be asked for with any of the build's."""
    have = {(chip.major, chip.minor) for chip in build.compute_capabilities}
    for chip in wanted:
        if (chip.major, chip.minor) not in have:
            raise RequestError(
                f"{build.name} is not compiled for compute capability {chip}",
                hints=[f"--arch takes some of {', '.join(map(str, build.compute_capabilities))}"],
            )
    return tuple(sorted(set(wanted)))


def _no_row(spec: Spec, matrix: Matrix) -> UnknownStackError:
    same_torch = [b for b in matrix.source_builds if b.torch.release[:2] == spec.torch.release[:2]]
    near = same_torch or [b for b in matrix.source_builds if b.cuda == spec.cuda] or list(matrix.source_builds)
    names = [build.name for build in near]
    return UnknownStackError(
        f"how torch {spec.torch} is compiled for CUDA {spec.cuda} is not in the matrix "
        f"(it has source builds of {', '.join(build.name for build in matrix.source_builds) or 'nothing'})",
        nearest=names,
        hints=[
            *(f"the nearest: `gpuimg build {name} --exact`" for name in names[:1]),
            "or write a row: `source_builds` in DIR/local.yaml, its wheels in DIR/source/, then --matrix-dir DIR",
        ],
    )
