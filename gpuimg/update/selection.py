"""Which of an index's files are recorded, and which wheel speaks for its release."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from packaging.requirements import Requirement
from packaging.version import Version

from gpuimg.update.index import IndexFile
from gpuimg.update.record import Inspected, RecordedMetadata, RecordedWheel, Release
from gpuimg.update.wheelfile import WheelFacts

MACHINES: Final = ("x86_64", "aarch64")
_PLATFORM: Final = re.compile(r"(?:many)?linux\w*_(?:x86_64|aarch64)|any")
_OF_EXTRA: Final = re.compile(r"\bextra\b")

Releases: TypeAlias = Mapping[Version, Sequence[IndexFile]]
Facts: TypeAlias = Mapping[IndexFile, WheelFacts]


def stable_releases(files: Iterable[IndexFile], *, variant: str | None) -> Releases:
    """The stable releases of a variant, with their wheels for Linux."""
    found: defaultdict[Version, list[IndexFile]] = defaultdict(list)
    for file in files:
        stable = not file.version.is_prerelease and file.version.local == variant
        if stable and all(_PLATFORM.fullmatch(tag.platform) for tag in file.tags):
            found[file.version].append(file)
    return dict(sorted(found.items()))


def spokesmen(files: Sequence[IndexFile]) -> list[IndexFile]:
    """The wheel that speaks for each machine of a release: not yanked, last built, for the oldest Python.

    A wheel that is added later, for a new Python, doesn't change who speaks.
    """

    def rank(file: IndexFile) -> tuple[object, ...]:
        pythons = sorted((len(tag.interpreter), tag.interpreter, len(tag.abi), tag.abi) for tag in file.tags)
        return file.yanked is not None, -(file.build[0] if file.build else 0), pythons, file.filename

    by_machine = [[file for file in files if file.filename.endswith(f"_{machine}.whl")] for machine in MACHINES]
    return [min(group, key=rank) for group in by_machine if group] or [min(files, key=rank)]


def going_with(releases: Releases, torch: Releases, *, older: Collection[Version], facts: Facts) -> Releases:
    """A companion's releases from the first on that asks for one of the releases of `torch` and for none `older`.

    Those after it count whatever they ask for: some name no torch at all.
    """
    fitting = [
        version
        for version, files in releases.items()
        for requirement in _requirements(facts[spokesmen(files)[0]])
        if requirement.name == "torch"
        and any(requirement.specifier.contains(item) for item in torch)
        and not any(requirement.specifier.contains(item) for item in older)
    ]
    return {version: files for version, files in releases.items() if fitting and version >= min(fitting)}


def pinned(releases: Releases, project: str, *, torch: Releases, facts: Facts) -> Releases:
    """Those of a project's releases that some wheel of torch asks for."""
    texts = {text for files in torch.values() for file in files for text in facts[file].requires_dist}
    pins = {item.specifier for item in map(Requirement, texts) if item.name == project}
    return {version: files for version, files in releases.items() if any(pin.contains(version) for pin in pins)}


def release(version: Version, files: Sequence[IndexFile], *, facts: Facts, with_extras: bool) -> Release:
    """A release as it is recorded; a wheel without facts wasn't read."""
    metadata: list[RecordedMetadata] = []
    wheels: list[RecordedWheel] = []
    inspected: list[Inspected] = []
    for file in sorted(files, key=lambda file: file.filename):
        which = None
        if file in facts:
            item = _recorded(facts[file], with_extras=with_extras)
            if item not in metadata:
                metadata.append(item)
            which = metadata.index(item)
        wheels.append(
            RecordedWheel(
                file=file.filename,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                uploaded=file.uploaded,
                yanked=file.yanked,
                metadata=which,
            )
        )
    for file in spokesmen(files):
        build = facts[file].build if file in facts else None
        if build is not None:
            inspected.append(Inspected(file=file.filename, cuda=build.cuda, git_version=build.git_version))
    return Release(version=version, files=tuple(wheels), metadata=tuple(metadata), inspected=tuple(inspected))


def _recorded(facts: WheelFacts, *, with_extras: bool) -> RecordedMetadata:
    requirements = _requirements(facts)
    return RecordedMetadata(
        requires_python=facts.requires_python,
        requires_dist=tuple(
            str(item) for item in requirements if with_extras or not _OF_EXTRA.search(str(item.marker or ""))
        ),
    )


def _requirements(facts: WheelFacts) -> list[Requirement]:
    return [Requirement(text) for text in facts.requires_dist]
