"""Rows about what images are made of beside the stack."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version

from gpuimg.facts.source import Source
from gpuimg.versions import CudaVersion, Platform, PythonVersion


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
    requirements: tuple[str, ...] = ()
    """Python packages that it adds to the stack."""
    command: tuple[str, ...] = ("bash",)
    ports: tuple[int, ...] = ()
    """Ports that its server listens on."""
    health: str | None = None
    """URL that the health check asks, inside the container; None: there is no health check."""
    fixed: bool = False
    """Whether its own user can install nothing into it."""


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
