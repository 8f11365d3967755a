"""Rows about CUDA releases and GPUs: which driver runs what, and what a datasheet promises."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gpuimg.facts.source import Source, Unknown
from gpuimg.versions import ComputeCapability, CudaVersion, DriverVersion, Platform


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
class Datasheet:
    """What the maker says that a GPU can do: a row of ``matrices/datasheets.yaml``.

    Peaks are of dense products in TFLOP/s; None: the datasheet tells none, or the chip has no such type.
    """

    name: str
    devices: tuple[str, ...]
    """The names by which the driver calls it, exactly: a slice of one, or a card of another form, has another."""
    fp32: Decimal | None
    tf32: Decimal | None
    fp16_bf16: Decimal | None
    fp8: Decimal | None
    bandwidth_gb_s: Decimal | None
    """Of its memory, in GB/s."""
    sources: tuple[Source, ...]
