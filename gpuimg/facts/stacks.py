"""Rows about builds of torch: what is in each, which wheels it is, what serves in its place."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version

from gpuimg.facts.source import Source, Unknown
from gpuimg.versions import ComputeCapability, CudaVersion, Platform, PythonVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One wheel of a closed set. `sha256` is None where only an index that couldn't be read has the file."""

    name: str
    version: Version
    sha256: str | None
    size_bytes: int | None
    index: str
    """``pypi`` or ``pytorch``: which of the two indexes has it; ``source``: none, the build compiles it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSet:
    """All wheels of one stack × platform × Python, in the layers that they go into."""

    cuda: tuple[Wheel, ...]
    """The CUDA libraries: independent of Python."""
    torch: tuple[Wheel, ...]
    """torch, its companions and all that they need."""
    toolkit: tuple[Wheel, ...]
    """nvcc and headers for `devel`, where wheels have them (CUDA 13 and later)."""
    closed: bool
    """Whether these are all. Where nobody could read what torch's wheel asks for, the build resolves the rest."""
    build: tuple[Wheel, ...] = ()
    """What compiles torch where it is built from source: CMake, Ninja and the like. None of it comes into the image."""
    flavor: tuple[Wheel, ...] = ()
    """What the flavor adds."""

    @property
    def locked(self) -> bool:
        """Whether the set is closed and every wheel of an index has a hash, so that the build may demand them."""
        wheels = (*self.cuda, *self.torch, *self.toolkit, *self.build)
        return self.closed and all(wheel.sha256 for wheel in wheels if wheel.index != "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A Python that torch has a wheel for and that gpuimg builds no image with."""

    python: PythonVersion
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPlatform:
    """What a stack is on one platform."""

    platform: Platform
    index: str
    """Which index has torch and its companions: ``pypi`` or ``pytorch``."""
    libraries: str
    """Where CUDA's libraries are: in ``wheels`` of their own, ``bundled`` in torch's wheel, or ``unknown``."""
    pythons: tuple[PythonVersion, ...]
    left_out: tuple[LeftOut, ...]
    glibc: Version
    compute_capabilities: tuple[ComputeCapability, ...] | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One official build of torch with all that its wheels pin: a row of ``matrices/torch.yaml``."""

    name: str
    torch: Version
    cuda: CudaVersion
    cudnn: Version | Unknown
    nccl: Version | Unknown
    triton: Version | None
    torchvision: Version | None
    torchaudio: Version | None
    cxx11_abi: bool
    last_seen: str | None = None
    """Date on which PyTorch's index was last read, where a part of the row rests on it alone, or ``never``."""
    platforms: tuple[StackPlatform, ...]
    sources: tuple[Source, ...]

    @property
    def local_version(self) -> str:
        """As ``torch.__version__`` prints it: ``2.6.0+cu124``."""
        return f"{self.torch}+{self.cuda.variant}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatibleName:
    """A stack that was never published and the one that serves in its place: a row of ``matrices/local.yaml``."""

    name: str
    torch: Version
    cuda: CudaVersion
    use: str
    tag: str
    reason: str
    limits: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildVariable:
    """An environment variable that configures a source build; `gpuimg.source.environment` fills its placeholders."""

    name: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBuild:
    """How a stack that was never published is compiled from torch's sources: a row of ``matrices/local.yaml``."""

    name: str
    torch: Version
    cuda: CudaVersion
    cudnn: Version | Unknown
    nccl: Version | Unknown
    triton: Version | None
    torchvision: Version | None
    torchaudio: Version | None
    cxx11_abi: bool
    glibc: Version
    """That of the image which torch is compiled in: the wheel asks for no older one."""
    platforms: tuple[Platform, ...]
    pythons: tuple[PythonVersion, ...]
    python: PythonVersion
    """The one that images get unless another is asked for."""
    compute_capabilities: tuple[ComputeCapability, ...]
    repository: str
    """URL that git clones."""
    tag: str
    commit: str | None
    """What the tag must point to; None: not known."""
    submodules: bool
    requirements: tuple[str, ...]
    """Pins of CUDA's libraries and Triton, which become requirements of the wheel."""
    build_requirements: tuple[str, ...]
    """Pins of what compiles it: all of them, none of their own requirements."""
    environment: tuple[BuildVariable, ...]
    memory_per_job_gib: int
    """What one compiler may need at its worst: with the memory of the build it gives the number of jobs."""
    reason: str
    limits: str
    sources: tuple[Source, ...]

    @property
    def local_version(self) -> str:
        """As ``torch.__version__`` prints it: ``2.6.0+cu121``."""
        return f"{self.torch}+{self.cuda.variant}"
