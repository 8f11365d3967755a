"""The nouns, nothing else: Spec → Stack → Plan → Context → Image → Report, and the matrix rows that they are made of.

All are frozen and hold tuples or read-only mappings. Verbs live in the module named after their arrow.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from packaging.version import Version

from gpuimg.versions import ComputeCapability, CudaVersion, DriverVersion, Platform, PythonVersion

# --- matrix rows -----------------------------------------------------------------------------------------------------


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
    """``pypi`` or ``pytorch``: which of the two indexes has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSet:
    """All wheels of one stack × platform × Python, in the layers that they go into."""

    cuda: tuple[Wheel, ...]
    """The CUDA libraries: independent of Python."""
    torch: tuple[Wheel, ...]
    """torch, its companions and all that they need."""
    toolkit: tuple[Wheel, ...]
    """nvcc and headers for `devel`, where wheels have them (CUDA 13 and later)."""

    @property
    def locked(self) -> bool:
        """Whether every wheel has a hash, so that the build may demand them."""
        return all(wheel.sha256 for wheel in (*self.cuda, *self.torch, *self.toolkit))


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPlatform:
    """What a stack is on one platform."""

    platform: Platform
    pythons: tuple[PythonVersion, ...]
    glibc: Version
    compute_capabilities: tuple[ComputeCapability, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One official build of torch with all that its wheels pin: a row of ``matrices/torch.yaml``."""

    name: str
    torch: Version
    cuda: CudaVersion
    cudnn: Version
    nccl: Version
    triton: Version | None
    torchvision: Version | None
    torchaudio: Version | None
    index: str
    cxx11_abi: bool
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
class Cuda:
    """Facts of one CUDA minor release: a row of ``matrices/cuda.yaml``."""

    version: CudaVersion
    min_driver: DriverVersion
    """Oldest driver that runs it, by minor-version compatibility."""
    toolkit_driver: DriverVersion | None
    """The driver that came with its first toolkit: needed for PTX that it compiled."""
    compute_capabilities: tuple[ComputeCapability, ...]
    gcc_max: int
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
class Matrix:
    """All rows, loaded and checked. Wheel sets are large and load one stack at a time: `gpuimg.matrix.load_wheels`."""

    stacks: tuple[Stack, ...]
    compatible: tuple[CompatibleName, ...]
    cudas: tuple[Cuda, ...]
    bases: tuple[Base, ...]
    toolkits: tuple[Toolkit, ...]
    flavors: tuple[Flavor, ...]
    allocator: tuple[AllocatorSetting, ...]
    trim: tuple[TrimRule, ...]
    pytorch_index: str
    """URL of PyTorch's own index, with ``{variant}`` where ``cu124`` stands."""


# --- the six nouns ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What the user typed, parsed. A `torch` of two parts (``2.6``) asks for its newest patch release."""

    text: str
    torch: Version
    cuda: CudaVersion | None = None
    cudnn_major: int | None = None
    python: PythonVersion | None = None
    flavor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The stack that serves a spec; `substitution` is set where it is not the one that was named."""

    spec: Spec
    stack: Stack
    substitution: CompatibleName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a Dockerfile depends on."""

    resolution: Resolution
    python: PythonVersion
    python_is_default: bool
    """Whether gpuimg would have chosen this Python itself: then shorter tags may leave it out."""
    platform: Platform
    flavor: Flavor
    base: Base
    base_image: str
    """The reference in FROM: the base's own, or what the user named in its place."""
    standalone_python: bool
    """Whether uv's standalone CPython is used, because the base has another Python."""
    cuda: Cuda
    toolkit: Toolkit | None
    wheels: WheelSet
    allocator: AllocatorSetting | None
    trim: tuple[TrimRule, ...]
    extras: tuple[str, ...] = ()
    """PEP 508 requirements, normalised and sorted."""
    index_url: str | None = None
    """Replaces PyPI; None: the installer's own default."""
    torch_index_url: str
    """PyTorch's own index, or what the user named in its place."""
    ca_bundle: bytes | None = field(default=None, repr=False)
    """PEM certificates that builds trust; never left in the image."""

    @property
    def stack(self) -> Stack:
        return self.resolution.stack

    @property
    def compute_capabilities(self) -> tuple[ComputeCapability, ...]:
        return next(on.compute_capabilities for on in self.stack.platforms if on.platform is self.platform)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A build context: file name → bytes. `tags` are what the image will be called; `plan_digest` is in its label."""

    files: Mapping[str, bytes]
    tags: tuple[str, ...]
    plan_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What an engine built or found."""

    reference: str
    id: str
    tags: tuple[str, ...]
    size_bytes: int
    platform: str
    labels: Mapping[str, str]


class Status(enum.Enum):
    """How a check ended. SKIP is for what its torch, chip or flavor cannot run, always with the reason."""

    PASS = "PASS"
    FAIL = "FAIL"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A measured value and its unit."""

    value: float | int | str
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One item of the smoke step."""

    name: str
    group: str
    status: Status
    measured: Mapping[str, Measurement] = field(default_factory=dict)
    expected: str | None = None
    reason: str | None = None
    remedy: str | None = None
    seconds: float = 0.0
    gpu: int | None = None
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An image and all checks that were planned for it, in the order of the plan."""

    image: Image | None
    """None for `verify --host`."""
    torch: str | None
    python: str | None
    gpus: tuple[Mapping[str, object], ...]
    checks: tuple[Check, ...]
    seconds: float
    notices: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.status is Status.FAIL)
