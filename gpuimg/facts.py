"""The rows of the matrix: what is known of builds, CUDA releases, GPUs and bases, each with its sources.

All are frozen and hold tuples. `gpuimg.matrix` reads them from ``matrices/``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from packaging.version import Version

from gpuimg.versions import ComputeCapability, CudaVersion, DriverVersion, Platform, PythonVersion


class Unknown(enum.Enum):
    """A fact that nobody could find out: it is written as ``unknown`` and answered so, never guessed."""

    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return self.value


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where facts come from: `confidence` is stated, seen, derived or unknown."""

    fields: tuple[str, ...]
    source: str
    confidence: str
    note: str | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuda:
    """Facts of one CUDA minor release: a row of ``matrices/cuda.yaml``."""

    version: CudaVersion
    min_driver: DriverVersion
    """Oldest driver that runs it, by minor-version compatibility."""
    toolkit_driver: DriverVersion | Unknown
    """The driver that came with its first toolkit: needed for PTX that it compiled."""
    compute_capabilities: tuple[ComputeCapability, ...]
    """Chips that its compiler knows, oldest first."""
    gcc_max: int | Unknown
    """Newest gcc major that nvcc takes as host compiler."""
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """What drivers run chips of one compute capability: a row of ``matrices/gpus.yaml``."""

    compute_capability: ComputeCapability
    architecture: str
    min_driver: DriverVersion | Unknown
    """Oldest driver branch that runs such a chip at all."""
    last_driver: DriverVersion | None
    """Newest driver branch that still does; None: none has dropped it."""
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A product: a row of ``matrices/gpus.yaml``."""

    name: str
    compute_capability: ComputeCapability
    host_platforms: tuple[Platform, ...] = ()
    """Where it comes with a CPU of its own, that CPU's platform; empty: it may sit beside any."""
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A distribution image that images can start from: a row of ``matrices/bases.yaml``."""

    name: str
    image: str
    distribution: str
    release: str
    python: PythonVersion
    glibc: Version
    gcc: int
    platforms: tuple[Platform, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolkit:
    """Where `devel` takes nvcc and headers for one CUDA from: a row of ``matrices/bases.yaml``."""

    cuda: CudaVersion
    kind: str
    """``wheels`` (PyPI), ``apt`` (the base's distribution) or ``image`` (the base image has it)."""
    base: str | None
    """Name of the base it needs; None: any."""
    home: str
    """CUDA_HOME in the image."""
    apt_components: tuple[str, ...]
    packages: tuple[str, ...]
    exclude_files: tuple[str, ...]
    """dpkg path globs that stay out of the image."""
    include_files: tuple[str, ...]
    """dpkg path globs that come in although `exclude_files` has them."""
    host_compiler: int | None
    """gcc major version that nvcc must use; None: the base's own."""
    platforms: tuple[Platform, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavor:
    """What an image is for: a row of ``matrices/flavors.yaml``."""

    name: str
    summary: str
    packages: tuple[str, ...]
    """System packages, sorted; the compiler and the Python headers among them where torch.compile shall work."""
    toolkit: bool
    """Whether it has nvcc."""
    compiles: bool
    """Whether torch.compile can work in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocatorSetting:
    """The allocator setting that images of a range of torch releases carry: a row of ``matrices/allocator.yaml``."""

    torch: str
    """A PEP 440 specifier such as ``>=2.10``."""
    variable: str
    value: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimRule:
    """Files that the image goes without, or goes stripped: a row of ``matrices/trim.yaml``."""

    package: str
    action: str
    """``remove`` or ``strip``."""
    paths: tuple[str, ...]
    """Globs below the folder that the package is unpacked into."""
    reason: str
    sources: tuple[Source, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All rows, loaded and checked. Wheel sets are large and load one stack at a time: `gpuimg.matrix.load_wheels`."""

    stacks: tuple[Stack, ...]
    compatible: tuple[CompatibleName, ...]
    source_builds: tuple[SourceBuild, ...]
    cudas: tuple[Cuda, ...]
    chips: tuple[Chip, ...]
    gpus: tuple[Gpu, ...]
    bases: tuple[Base, ...]
    toolkits: tuple[Toolkit, ...]
    flavors: tuple[Flavor, ...]
    allocator: tuple[AllocatorSetting, ...]
    trim: tuple[TrimRule, ...]
    open_packages: tuple[OpenPackage, ...]
    sdist_extras: tuple[SdistExtra, ...]
    extra_limits: tuple[ExtraLimit, ...]
    resolvers: tuple[Resolver, ...]
    pytorch_index: str
    """URL of PyTorch's own index, with ``{variant}`` where ``cu124`` stands."""
