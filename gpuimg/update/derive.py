"""What indexes said and people know → ``matrices/torch.yaml``. Pure: the same builds give the same bytes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from packaging.version import Version

from gpuimg.errors import UpstreamError
from gpuimg.facts import UNKNOWN, Source, Unknown
from gpuimg.update.builds import COMPANIONS, PYTORCH, Build
from gpuimg.update.dump import dump
from gpuimg.update.typed import Typed
from gpuimg.versions import CudaVersion, Platform

_HEADER: Final = (
    "# Derived: one row for each official CUDA build of torch, from what the package indexes said (upstream/) and,\n"
    "# where no wheel says it, from builds.yaml. Don't edit: `gpuimg matrix update` rewrites it. What a person knows\n"
    "# better belongs into builds.yaml or local.yaml.\n"
)


def derive_stacks(builds: Iterable[Build], typed: Typed, *, last_seen: str) -> dict[str, Any]:
    """Give the document of ``torch.yaml``: a row for each torch × CUDA, of builds in that order.

    `last_seen` is when PyTorch's own index was last read, or ``never``.

    Raises:
        UpstreamError: platforms contradict each other, or no row of ``builds.yaml`` says how a build was compiled.
    """
    whole = [build for build in builds if build.pythons]
    groups = itertools.groupby(whole, key=lambda build: (build.torch, build.cuda))
    return {
        "schema": 1,
        "stacks": [_row(torch, cuda, tuple(group), typed, last_seen=last_seen) for (torch, cuda), group in groups],
    }


def dump_stacks(document: Mapping[str, Any]) -> str:
    """The canonical text of ``torch.yaml``."""
    return dump(document, header=_HEADER, one_line="reason")


def _row(torch: Version, cuda: CudaVersion, builds: Sequence[Build], typed: Typed, *, last_seen: str) -> dict[str, Any]:
    name = f"{torch}-{cuda.variant}"
    binary = typed.binary(torch, cuda)
    if binary is None:
        raise UpstreamError("builds.yaml", name, "no row of `binaries` says how it was compiled")
    best, others = builds[0], builds[1:]
    cudnn = _agreed(name, "cuDNN", [build.cudnn for build in builds])
    nccl = _agreed(name, "NCCL", [build.nccl for build in builds])
    sources = [*best.sources, *(_of_platform(source, build.platform) for build in others for source in build.sources)]
    sources += binary.sources
    sources += [best.companions[package].source for package in COMPANIONS]
    platforms = []
    for build in builds:
        chips = typed.capabilities(torch, cuda, build.platform)
        floor = max(binary.glibc, build.manylinux or binary.glibc)
        platforms.append(
            {
                "platform": str(build.platform),
                "index": build.index,
                "libraries": build.libraries,
                "pythons": [str(python) for python in build.pythons],
                "left_out": [{"python": str(item.python), "reason": item.reason} for item in build.left_out],
                "glibc": str(floor),
                "compute_capabilities": [str(item) for item in chips.compute_capabilities] if chips else str(UNKNOWN),
            }
        )
        told = chips.sources if chips else (_UNKNOWN_CHIPS,)
        sources += told if build is best else [_of_platform(source, build.platform) for source in told]
    return {
        "name": name,
        "torch": str(torch),
        "cuda": str(cuda),
        "cudnn": str(cudnn),
        "nccl": str(nccl),
        "triton": _text(best.triton),
        **{package: _text(best.companions[package].version) for package in COMPANIONS},
        "cxx11_abi": binary.cxx11_abi,
        "last_seen": last_seen if any(build.index == PYTORCH for build in builds) else None,
        "platforms": platforms,
        "sources": [_source_row(source) for source in _distinct(sources)],
    }


_UNKNOWN_CHIPS: Final = Source(
    fields=("compute_capabilities",), source="no file that was found names them", confidence="unknown"
)


def _agreed(name: str, what: str, versions: Iterable[Version | Unknown]) -> Version | Unknown:
    """The one version that all platforms have; what is unknown on one is taken from the other."""
    known = {version for version in versions if version is not UNKNOWN}
    if len(known) > 1:
        raise UpstreamError("torch", name, f"{what} differs between platforms: {', '.join(map(str, sorted(known)))}")
    return next(iter(known), UNKNOWN)


def _of_platform(source: Source, platform: Platform) -> Source:
    note = f"{platform}: {source.note}" if source.note else f"{platform}"
    return Source(fields=source.fields, source=source.source, confidence=source.confidence, note=note)


def _distinct(sources: Iterable[Source]) -> Iterable[Source]:
    """Without those that say the same of a second platform."""
    seen: set[tuple[object, ...]] = set()
    for source in sources:
        key = (source.fields, source.source, source.confidence)
        if key not in seen:
            seen.add(key)
            yield source


def _source_row(source: Source) -> dict[str, Any]:
    row = {"fields": list(source.fields), "source": source.source, "confidence": source.confidence}
    return {**row, "note": source.note} if source.note else row


def _text(version: Version | None) -> str | None:
    return None if version is None else str(version)
