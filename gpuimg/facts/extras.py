"""Rows about what users add: what must be compiled, and what can't go together."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version

from gpuimg.facts.source import Source
from gpuimg.versions import CudaVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPackage:
    """A package of wheel sets that an extra may bring another release of: a row of ``matrices/extras.yaml``."""

    requirement: str
    """Which releases the stack takes."""
    reason: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SdistExtra:
    """An extra that has no wheel and is built in the image from its sdist: a row of ``matrices/extras.yaml``."""

    name: str
    versions: str
    """A PEP 440 specifier: which releases the row tells of."""
    requires: tuple[str, ...]
    """What it asks for, which its sdist doesn't tell without being run; ``{cuda_major}`` stands for the stack's."""
    same_version: tuple[str, ...]
    """Names out of `requires` that must have its own version."""
    build_requires: tuple[str, ...]
    nvcc: bool
    """Whether it takes nvcc to build."""
    environment: tuple[str, ...]
    """``NAME=value`` while it is built."""
    memory_per_job_gib: int | None
    """What one compiler needs, where that bounds how many may run."""
    reason: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraLimit:
    """An extra that does not work on some stacks, or at all: a row of ``matrices/extras.yaml``."""

    name: str
    cuda: tuple[CudaVersion, ...] | None
    """On which CUDA; None: any."""
    beside: str | None
    """A requirement: only where this is resolved too, as it says; None: whatever is beside it."""
    requirement: str | None
    """Which releases work there; None: none does."""
    reason: str
    instead: str | None
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """For which glibc releases a resolver can resolve: a row of ``matrices/extras.yaml``."""

    name: str
    glibc: tuple[Version, ...]
    sources: tuple[Source, ...]
