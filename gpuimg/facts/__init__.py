"""The rows of the matrix: what is known of builds, CUDA releases, GPUs and bases, each with its sources.

All are frozen and hold tuples. `gpuimg.matrix` reads them from ``matrices/``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gpuimg.facts.extras import ExtraLimit, OpenPackage, Resolver, SdistExtra
from gpuimg.facts.hardware import Chip, Cuda, Datasheet, Gpu
from gpuimg.facts.images import AllocatorSetting, Base, Flavor, Toolkit, TrimRule
from gpuimg.facts.remedies import EngineFeature, HostFacts, Remedy
from gpuimg.facts.source import UNKNOWN, Source, Unknown
from gpuimg.facts.stacks import (
    BuildVariable,
    CompatibleName,
    LeftOut,
    SourceBuild,
    Stack,
    StackPlatform,
    Wheel,
    WheelSet,
)

__all__ = [
    "UNKNOWN",
    "AllocatorSetting",
    "Base",
    "BuildVariable",
    "Chip",
    "CompatibleName",
    "Cuda",
    "Datasheet",
    "EngineFeature",
    "ExtraLimit",
    "Flavor",
    "Gpu",
    "HostFacts",
    "LeftOut",
    "Matrix",
    "OpenPackage",
    "Remedy",
    "Resolver",
    "SdistExtra",
    "Source",
    "SourceBuild",
    "Stack",
    "StackPlatform",
    "Toolkit",
    "TrimRule",
    "Unknown",
    "Wheel",
    "WheelSet",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All rows, loaded and checked. Wheel sets are large and load one stack at a time: `gpuimg.matrix.load_wheels`."""

    stacks: tuple[Stack, ...]
    compatible: tuple[CompatibleName, ...]
    source_builds: tuple[SourceBuild, ...]
    cudas: tuple[Cuda, ...]
    chips: tuple[Chip, ...]
    gpus: tuple[Gpu, ...]
    datasheets: tuple[Datasheet, ...]
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
    overlays: tuple[Path, ...] = field(default=(), compare=False)
    """Folders of a user's whose rows are among these: their wheel sets too take the place of gpuimg's."""
