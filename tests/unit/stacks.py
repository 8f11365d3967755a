"""Stacks for the tests that don't depend on what ``matrices/torch.yaml`` has today."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from packaging.version import Version

from gpuimg.facts import UNKNOWN, LeftOut, Matrix, Source, Stack, StackPlatform, Unknown
from gpuimg.versions import ComputeCapability, CudaVersion, Platform, PythonVersion

SOURCE = Source(fields=("torch", "pythons"), source="this test", confidence="stated")


def a_platform(
    platform: Platform = Platform.AMD64,
    *,
    pythons: str = "3.9 3.10 3.11",
    left_out: dict[str, str] | None = None,
    code: str | None = "8.0 9.0",
    index: str = "pypi",
) -> StackPlatform:
    """A build; `code` None: nobody knows."""
    return StackPlatform(
        platform=platform,
        index=index,
        libraries="wheels",
        pythons=tuple(map(PythonVersion.parse, pythons.split())),
        left_out=tuple(
            LeftOut(python=PythonVersion.parse(python), reason=why) for python, why in (left_out or {}).items()
        ),
        glibc=Version("2.28"),
        compute_capabilities=UNKNOWN if code is None else tuple(map(ComputeCapability.parse, code.split())),
    )


def a_stack(
    name: str,
    *platforms: StackPlatform,
    cudnn: str | None = "9.1.0.70",
    last_seen: str | None = None,
    sources: Sequence[Source] = (SOURCE,),
) -> Stack:
    """A stack by its name; `cudnn` None: unknown, and then NCCL too."""
    torch, _, variant = name.partition("-")
    known: Version | Unknown = UNKNOWN if cudnn is None else Version(cudnn)
    return Stack(
        name=name,
        torch=Version(torch),
        cuda=CudaVersion.parse(variant),
        cudnn=known,
        nccl=UNKNOWN if cudnn is None else Version("2.21.5"),
        triton=None,
        torchvision=None,
        torchaudio=None,
        cxx11_abi=True,
        last_seen=last_seen,
        platforms=platforms or (a_platform(),),
        sources=tuple(sources),
    )


def with_stacks(matrix: Matrix, *stacks: Stack) -> Matrix:
    """`matrix` with no other stacks, and with the compatible names that one of them serves."""
    names = {stack.name for stack in stacks}
    return dataclasses.replace(
        matrix, stacks=stacks, compatible=tuple(row for row in matrix.compatible if row.use in names)
    )
