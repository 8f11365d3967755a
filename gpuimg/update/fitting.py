"""What goes with a torch: its Pythons, its triton and its companions, as their own wheels say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuimg.errors import UpstreamError
from gpuimg.facts import LeftOut, Source
from gpuimg.update.pins import exact, wanted
from gpuimg.update.record import Record, RecordedWheel
from gpuimg.update.typed import Typed
from gpuimg.versions import CudaVersion, Platform, PythonVersion
from gpuimg.wheels import Target


def pythons_of(wheels: Iterable[RecordedWheel]) -> tuple[PythonVersion, ...]:
    """The Pythons that wheels of a release are for, by their tags."""
    abis = {tag.abi for wheel in wheels for tag in wheel.tags if tag.abi.startswith("cp")}
    return tuple(sorted({PythonVersion.parse(abi.removesuffix("m")) for abi in abis}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """The release of a companion that goes with a build, and what says so."""

    version: Version | None
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a build needs beside torch, on one platform."""

    torch: Version
    cuda: CudaVersion
    platform: Platform
    requires: Sequence[str]
    triton: Version | None
    companions: Mapping[str, Companion]
    told: bool = False
    """Nobody could read its wheel: `requires` are those of PyPI's x86_64 wheel, and nothing is known of its triton on
    another platform."""


def divide(
    pythons: Sequence[PythonVersion], needs: Needs, *, pypi: Record, typed: Typed
) -> tuple[tuple[PythonVersion, ...], tuple[LeftOut, ...]]:
    """Which Pythons all wheels serve, and why the others are left out."""
    whole, left_out = [], []
    for python in pythons:
        reason = typed.why_left_out(python, needs.torch, needs.cuda) or _lacks(python, needs, pypi)
        if reason is None:
            whole.append(python)
        else:
            left_out.append(LeftOut(python=python, reason=reason))
    return tuple(whole), tuple(left_out)


def _lacks(python: PythonVersion, needs: Needs, pypi: Record) -> str | None:
    asked = wanted(needs.requires, platform=Platform.AMD64 if needs.told else needs.platform, python=python)
    if needs.triton is not None and "triton" not in asked:
        return f"torch asks for no triton on Python {python}: torch.compile would not work"
    triton = None if needs.told and needs.platform is not Platform.AMD64 else needs.triton
    companions = {name: item.version for name, item in needs.companions.items()}
    for name, version in {"triton": triton, **companions}.items():
        if version is not None and not has_wheel(pypi, name, version, python, needs.platform):
            return f"{name} {version} has no wheel for it"
    return None


def has_wheel(pypi: Record, name: str, version: Version, python: PythonVersion, platform: Platform) -> bool:
    target = Target(python=python, platform=platform)
    project = pypi.find(name)
    releases = project.releases if project else ()
    files = [wheel for release in releases if release.version == version for wheel in release.files]
    return any(target.takes(wheel.tags) for wheel in files if wheel.yanked is None)


def companion(name: str, torch: Version, cuda: CudaVersion, *, pypi: Record, typed: Typed) -> Companion:
    """The companion that goes with a torch: as people know, else the one whose metadata names just this torch, else the
    newest whose metadata allows it."""
    row = typed.companion(name, torch, cuda)
    if row is not None:
        told = row.sources[0]
        source = Source(fields=(name,), source=told.source, confidence=told.confidence, note=row.reason)
        return Companion(version=row.version, source=source)
    project = pypi.find(name)
    named, allowed = [], []
    for release in project.releases if project else ():
        asked = [item for metadata in release.metadata for item in map(Requirement, metadata.requires_dist)]
        asked = [item for item in asked if canonicalize_name(item.name) == "torch"]
        if all(wheel.yanked is not None for wheel in release.files):
            continue
        named += [release.version for item in asked if exact(item) == torch]
        allowed += [release.version for item in asked if item.specifier and item.specifier.contains(torch)]
    version = max(named or allowed, default=None)
    if version is None:
        found, confidence = f"PyPI: no {name} asks for torch {torch}", "stated"
    elif named:
        found, confidence = f"PyPI: Requires-Dist of {name} {version}", "stated"
    else:
        found, confidence = f"PyPI: Requires-Dist of {name} {version}, the newest that allows torch {torch}", "derived"
    return Companion(version=version, source=Source(fields=(name,), source=found, confidence=confidence))


def newest_triton(
    requires: Sequence[str], torch: Version, platform: Platform, *, pythons: Sequence[PythonVersion], pypi: Record
) -> Version | None:
    """The newest triton that torch's requirement allows; None where it asks for none on any of its `pythons`."""
    asked = [wanted(requires, platform=platform, python=python).get("triton") for python in pythons]
    requirement = next((item for item in asked if item is not None), None)
    if requirement is None:
        return None
    project = pypi.find("triton")
    releases = [
        release.version
        for release in (project.releases if project else ())
        if requirement.specifier.contains(release.version) and any(wheel.yanked is None for wheel in release.files)
    ]
    if not releases:
        raise UpstreamError("PyPI", f"torch {torch}", f"asks for {requirement}, which PyPI hasn't")
    return max(releases)
