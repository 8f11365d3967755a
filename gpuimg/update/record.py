"""What a package index said, as a document that is committed: ``matrices/upstream/<index>.yaml``.

The record makes every derived fact checkable without the index, and a change of the index a diff that can be read. It
holds no URL: an index behind a user's own URL records the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from packaging.tags import Tag
from packaging.utils import BuildTag, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from gpuimg.errors import MatrixError
from gpuimg.matrix.files import read_document
from gpuimg.update.dump import dump

_HEADER: Final = (
    "# Derived: what the package index `{index}` said of the wheels that stacks are made of.\n"
    "# Don't edit: `gpuimg matrix update` rewrites it.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedWheel:
    """One wheel file of a release. What an index doesn't tell is None."""

    file: str
    size_bytes: int | None
    sha256: str | None
    uploaded: date | None
    yanked: str | None
    """The reason, which may be empty; None: the file isn't yanked."""
    metadata: int | None
    """Which of the release's `metadata` the file has, counted from 0; None: it wasn't read."""

    @property
    def tags(self) -> frozenset[Tag]:
        return parse_wheel_filename(self.file)[3]

    @property
    def build(self) -> BuildTag:
        """The build tag, which orders re-uploads of one release: ``()``, ``(3, "")``."""
        return parse_wheel_filename(self.file)[2]

    @property
    def machine(self) -> str | None:
        """``x86_64`` or ``aarch64``; None: any machine."""
        return next((name for name in ("x86_64", "aarch64") if self.file.endswith(f"_{name}.whl")), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedMetadata:
    """What the METADATA of some files of a release says, in `packaging`'s spelling and sorted."""

    requires_python: str | None
    requires_dist: tuple[str, ...]
    """Without requirements of extras, unless the project is there for its extras (cuda-toolkit)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What ``torch/version.py`` says in one wheel of each machine."""

    file: str
    cuda: str | None
    """``torch.version.cuda``; None: a CPU build."""
    git_version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release of a project: its wheels for Linux on x86_64 and aarch64."""

    version: Version
    files: tuple[RecordedWheel, ...]
    """By file name."""
    metadata: tuple[RecordedMetadata, ...] = ()
    inspected: tuple[Inspected, ...] = ()
    """One for each machine, x86_64 first; torch only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The releases of one project, oldest first."""

    project: str
    variant: str | None
    """``cu124`` on an index with one page for each CUDA variant; versions then end in ``+cu124``."""
    releases: tuple[Release, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one index said."""

    index: str
    read_on: date
    """When something here last changed."""
    projects: tuple[Project, ...]

    def find(self, project: str, *, variant: str | None = None) -> Project | None:
        """The project's releases, if they are recorded."""
        return next((item for item in self.projects if (item.project, item.variant) == (project, variant)), None)


def load_record(path: Path) -> Record:
    """Give the record at `path`. Raises MatrixError where it doesn't hold."""
    return _record(read_document(path, schema="upstream"), file=f"{path.parent.name}/{path.name}")


def dump_record(record: Record) -> str:
    """Give the canonical text: one wheel a line, and the same bytes after loading it."""
    document = {
        "schema": 1,
        "index": record.index,
        "read_on": record.read_on.isoformat(),
        "projects": [_project_row(project) for project in record.projects],
    }
    return dump(document, header=_HEADER.format(index=record.index), one_line="file")


def save_record(record: Record, path: Path) -> None:
    """Write `record` to `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(dump_record(record), encoding="utf-8")
    beside.replace(path)


# --- nouns → rows ----------------------------------------------------------------------------------------------------


def _project_row(project: Project) -> dict[str, object]:
    return {
        "project": project.project,
        "variant": project.variant,
        "releases": [_release_row(release) for release in project.releases],
    }


def _release_row(release: Release) -> dict[str, object]:
    row: dict[str, object] = {
        "version": str(release.version),
        "files": [_wheel_row(wheel) for wheel in release.files],
    }
    if release.metadata:
        row["metadata"] = [
            {"requires_python": item.requires_python, "requires_dist": list(item.requires_dist)}
            for item in release.metadata
        ]
    if release.inspected:
        row["inspected"] = [dataclasses.asdict(item) for item in release.inspected]
    return row


def _wheel_row(wheel: RecordedWheel) -> dict[str, object]:
    """Without what is None: an index of a company may tell neither sizes nor dates."""
    uploaded = None if wheel.uploaded is None else wheel.uploaded.isoformat()
    row = {**{field.name: getattr(wheel, field.name) for field in dataclasses.fields(wheel)}, "uploaded": uploaded}
    return {key: value for key, value in row.items() if value is not None}


# --- rows → nouns ----------------------------------------------------------------------------------------------------


def _record(document: Mapping[str, Any], *, file: str) -> Record:
    projects = []
    for n, row in enumerate(document["projects"]):
        releases = tuple(
            _release(entry, file=file, where=f"projects[{n}].releases[{m}]") for m, entry in enumerate(row["releases"])
        )
        projects.append(Project(project=row["project"], variant=row["variant"], releases=releases))
    return Record(
        index=document["index"],
        read_on=_date(document["read_on"], file=file, where="read_on"),
        projects=tuple(projects),
    )


def _release(row: Mapping[str, Any], *, file: str, where: str) -> Release:
    metadata = tuple(
        RecordedMetadata(requires_python=item["requires_python"], requires_dist=tuple(item["requires_dist"]))
        for item in row.get("metadata", ())
    )
    try:
        version = Version(row["version"])
    except InvalidVersion as error:
        raise MatrixError(file, f"{where}.version", str(error)) from error
    return Release(
        version=version,
        files=tuple(
            _wheel(item, metadata=len(metadata), file=file, where=f"{where}.files[{n}]")
            for n, item in enumerate(row["files"])
        ),
        metadata=metadata,
        inspected=tuple(Inspected(**item) for item in row.get("inspected", ())),
    )


def _wheel(row: Mapping[str, Any], *, metadata: int, file: str, where: str) -> RecordedWheel:
    try:
        parse_wheel_filename(row["file"])
    except ValueError as error:  # InvalidWheelFilename and InvalidVersion are
        raise MatrixError(file, f"{where}.file", str(error)) from error
    which = row.get("metadata")
    if which is not None and which >= metadata:
        raise MatrixError(file, f"{where}.metadata", f"is {which}, and the release has {metadata}")
    uploaded = row.get("uploaded")
    return RecordedWheel(
        file=row["file"],
        size_bytes=row.get("size_bytes"),
        sha256=row.get("sha256"),
        uploaded=None if uploaded is None else _date(uploaded, file=file, where=f"{where}.uploaded"),
        yanked=row.get("yanked"),
        metadata=which,
    )


def _date(text: str, *, file: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise MatrixError(file, where, f"`{text}` is no date") from error
