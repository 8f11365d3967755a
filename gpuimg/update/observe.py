"""Reads a package index into a record: torch, its companions, and the triton and cuda-toolkit releases that it pins."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final, TypeAlias, TypeVar

from packaging.version import Version

from gpuimg.errors import UpstreamError
from gpuimg.update.index import IndexFile, NoProjectError, read_project
from gpuimg.update.pool import map_all
from gpuimg.update.record import Project, Record
from gpuimg.update.selection import Releases, going_with, pinned, release, spokesmen, stable_releases
from gpuimg.update.session import Session
from gpuimg.update.wheelfile import TorchBuild, WheelFacts, read_wheel

_TORCH: Final = "torch"
_COMPANIONS: Final = ("torchvision", "torchaudio")
_PINNED: Final = ("triton", "cuda-toolkit")
_WITH_EXTRAS: Final = "cuda-toolkit"  # its extras name the libraries
_ORDER: Final = (_TORCH, *_COMPANIONS, *_PINNED)
_WORKERS: Final = 12

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with how many reads are done, how many are known so far to be needed, and what was read last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSource:
    """A package index and what to read there."""

    name: str
    url: str
    """Of the simple index; with ``{variant}`` where each CUDA variant has pages of its own."""
    oldest_torch: Version
    variants: tuple[str, ...] = ()
    """Those that may exist; one that has no page for torch, and had none before, isn't there."""


def observe(index: IndexSource, session: Session, *, previous: Record | None, progress: Progress) -> Record:
    """Give what `index` says now; `previous` itself if nothing has changed since.

    What `previous` tells of a wheel is taken over where the index gives that wheel the same hash: what a wheel holds
    never changes. Without it all is read anew.

    Raises:
        UpstreamError: the index gives no answer (`unreachable`), or one that doesn't hold.
    """
    reader = _Reader(index, session, previous=previous, progress=progress)
    projects = [project for variant in index.variants or (None,) for project in reader.projects(variant)]
    if not projects:
        raise UpstreamError(index.name, _TORCH, f"none of {', '.join(index.variants)} has a page")
    projects.sort(key=lambda item: (_ORDER.index(item.project), item.variant or ""))
    record = Record(index=index.name, read_on=datetime.now(timezone.utc).date(), projects=tuple(projects))
    if previous is not None and dataclasses.replace(record, read_on=previous.read_on) == previous:
        return previous
    return record


class _Reader:
    """One reading of one index: what is known from before, and how far it has come."""

    def __init__(self, index: IndexSource, session: Session, *, previous: Record | None, progress: Progress) -> None:
        self._index, self._session, self._previous, self._progress = index, session, previous, progress
        self._known = _known(previous)
        self._done = self._total = 0

    def projects(self, variant: str | None) -> list[Project]:
        """All projects of a variant, or of an index that has none; nothing for a variant that isn't there."""
        names = _ORDER if variant is None else (_TORCH, *_COMPANIONS)
        pages = self._pages(names, variant)
        if variant is not None and not pages[_TORCH] and self._before(_TORCH, variant) is None:
            return []
        oldest = self._index.oldest_torch
        torch = {version: files for version, files in pages[_TORCH].items() if version >= oldest}
        if not torch:
            problem = f"lists no wheel for Linux of a stable release from {oldest} on"
            raise UpstreamError(self._name(variant), _TORCH, problem)
        older = pages[_TORCH].keys() - torch.keys()
        builds = [file for files in torch.values() for file in spokesmen(files)]
        speaking = [spokesmen(files)[0] for name in _COMPANIONS for files in pages[name].values()]
        facts = self._facts(builds, variant, with_build=True)
        facts |= self._facts([*_missing(torch, facts), *speaking], variant)

        chosen: dict[str, Releases] = {_TORCH: torch}
        for name in _COMPANIONS:
            chosen[name] = going_with(pages[name], torch, older=older, facts=facts)
        for name in _PINNED:
            chosen[name] = pinned(pages.get(name, {}), name, torch=torch, facts=facts)
        rest = [file for name in (*_COMPANIONS, _WITH_EXTRAS) for file in _missing(chosen[name], facts)]
        facts |= self._facts(rest, variant)
        return [
            Project(
                project=name,
                variant=variant,
                releases=tuple(
                    release(version, files, facts=facts, with_extras=name == _WITH_EXTRAS)
                    for version, files in releases.items()
                ),
            )
            for name, releases in chosen.items()
            if releases
        ]

    def _pages(self, names: Sequence[str], variant: str | None) -> dict[str, Releases]:
        url = self._index.url.replace("{variant}", variant or "")

        def read(name: str) -> Releases:
            try:
                files = read_project(url, project=name, index=self._name(variant), session=self._session)
            except NoProjectError:
                if self._before(name, variant) is not None or (name == _TORCH and variant is None):
                    raise
                return {}  # not every variant has every companion, nor every company's mirror every variant
            return stable_releases(files, variant=variant)

        return dict(zip(names, self._map(read, names, lambda name: name), strict=True))

    def _before(self, name: str, variant: str | None) -> Project | None:
        return self._previous.find(name, variant=variant) if self._previous else None

    def _facts(
        self, files: Sequence[IndexFile], variant: str | None, *, with_build: bool = False
    ) -> dict[IndexFile, WheelFacts]:
        def read(file: IndexFile) -> WheelFacts:
            known = self._known.get((file.filename, file.sha256 or ""))
            if known is not None and (known.build is not None or not with_build):
                return known
            return read_wheel(file, self._session, index=self._name(variant), with_build=with_build)

        return dict(zip(files, self._map(read, files, lambda file: file.filename), strict=True))

    def _map(self, read: Callable[[Item], Result], items: Sequence[Item], what: Callable[[Item], str]) -> list[Result]:
        self._total += len(items)

        def done(item: Item) -> None:
            self._done += 1
            self._progress(self._done, self._total, what(item))

        return map_all(read, items, session=self._session, workers=_WORKERS, done=done)

    def _name(self, variant: str | None) -> str:
        return self._index.name if variant is None else f"{self._index.name}/{variant}"


def _missing(releases: Releases, facts: Collection[IndexFile]) -> list[IndexFile]:
    return [file for files in releases.values() for file in files if file not in facts]


def _known(record: Record | None) -> Mapping[tuple[str, str], WheelFacts]:
    """What a record tells of each wheel, by file name and SHA-256."""
    known: dict[tuple[str, str], WheelFacts] = {}
    for project in record.projects if record else ():
        for entry in project.releases:
            builds = {item.file: TorchBuild(cuda=item.cuda, git_version=item.git_version) for item in entry.inspected}
            for wheel in entry.files:
                if wheel.sha256 is not None and wheel.metadata is not None:
                    metadata = entry.metadata[wheel.metadata]
                    known[wheel.file, wheel.sha256] = WheelFacts(
                        requires_python=metadata.requires_python,
                        requires_dist=metadata.requires_dist,
                        build=builds.get(wheel.file),
                    )
    return known
