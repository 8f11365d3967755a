"""What a wheel says of itself, without downloading it: its METADATA, and the constants of ``torch/version.py``.

METADATA comes from beside the wheel (PEP 658) where the index serves it, else by range reads of the archive. What was
read is kept by the wheel's SHA-256, so each wheel is read once. Range reads can't be held against that hash: they rest
on TLS and on the server, as the hash itself does.
"""

from __future__ import annotations

import ast
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from packaging.metadata import parse_email
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version
from remotezip import (  # type: ignore[import-untyped]  # it has no annotations
    PartialBuffer,
    RemoteZip,
    RemoteZipError,
)

from gpuimg.update.failures import About, shown
from gpuimg.update.index import IndexFile
from gpuimg.update.session import METADATA_LIMIT_BYTES, Session

_VERSION_PY: Final = re.compile(r"torch/version\.py")
_METADATA: Final = re.compile(r"[^/]+\.dist-info/METADATA")
_TAIL_BYTES: Final = 64 * 1024  # the end of an archive: a small wheel's directory, its METADATA and what points to them
_BROKEN: Final = (
    zipfile.BadZipFile, RemoteZipError, zlib.error, EOFError, KeyError, NotImplementedError, OverflowError,
    RuntimeError, UnicodeDecodeError, ValueError, OSError,
)  # fmt: skip
"""What zipfile and remotezip raise on archives that are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchBuild:
    """The constants of ``torch/version.py``."""

    cuda: str | None
    """None: a CPU build."""
    git_version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFacts:
    """What a wheel says of itself."""

    requires_python: str | None
    requires_dist: tuple[str, ...]
    """In `packaging`'s spelling, sorted."""
    build: TorchBuild | None = None
    """Where it was asked for."""


def read_wheel(file: IndexFile, session: Session, *, index: str, with_build: bool = False) -> WheelFacts:
    """Give what the wheel says of itself; `with_build` reads ``torch/version.py`` too.

    Raises:
        UpstreamError: it can't be had (`unreachable`: just now), is not what the index announced, or doesn't hold.
    """
    about = About(index=index, subject=file.filename)
    key = _key(file)
    known = _facts(session.known(key)) if key is not None else None
    if known is not None and (known.build is not None or not with_build):
        return known
    facts = known or _beside(file, session, about=about)
    if facts is None or with_build:
        facts = _from_archive(file, session, facts=facts, with_build=with_build, about=about)
    if key is not None:
        session.keep_facts(key, asdict(facts))
    return facts


# --- where it is read ------------------------------------------------------------------------------------------------


def _beside(file: IndexFile, session: Session, *, about: About) -> WheelFacts | None:
    """METADATA as the index serves it beside the wheel; many do so where they don't announce it. None: it doesn't."""
    url = f"{file.url}.metadata"
    answer = session.get(url, about=about, limit_bytes=METADATA_LIMIT_BYTES)
    if answer.status != 200:
        return None  # some mirrors pass on the announcement and not the file
    if file.metadata_sha256 is not None and hashlib.sha256(answer.body).hexdigest() != file.metadata_sha256:
        raise about.error(f"its metadata at {shown(url)} has another SHA-256 than the index announced")
    if not file.has_metadata and not answer.body.startswith(b"Metadata-Version:"):
        return None  # a page that stands in for whatever is not there
    facts = _parse_metadata(answer.body, file, about=about)
    session.keep(answer)
    return facts


def _from_archive(
    file: IndexFile, session: Session, *, facts: WheelFacts | None, with_build: bool, about: About
) -> WheelFacts:
    """`facts`, and what they lack from the wheel's archive."""
    size = file.size_bytes or session.get_range(file.url, about=about, start=0, stop=1)[1]

    def fetcher(*_: object, **__: object) -> _Parts:
        return _Parts(file.url, session, size=size, about=about)

    try:
        with RemoteZip(file.url, initial_buffer_size=_TAIL_BYTES, fetcher=fetcher) as archive:
            if facts is None:
                facts = _parse_metadata(_member(archive, _METADATA), file, about=about)
            if with_build:
                build = _parse_version_py(_member(archive, _VERSION_PY))
                return WheelFacts(requires_python=facts.requires_python, requires_dist=facts.requires_dist, build=build)
            return facts
    except _BROKEN as error:
        raise about.error(f"is no whole wheel: {str(error) or type(error).__name__}") from error


class _Parts:
    """What `RemoteZip` reads a file through: bounded, retried and counted by the session."""

    def __init__(self, url: str, session: Session, *, size: int, about: About) -> None:
        self._url, self._session, self._size, self._about = url, session, size, about

    def fetch(self, data_range: tuple[int, int | None], stream: bool = False) -> Any:  # noqa: ARG002 - RemoteZip's
        """The bytes from the first to the last position; a negative first one counts from the end."""
        first, last = data_range
        start = max(0, self._size + first) if first < 0 else first
        stop = self._size if last is None else last + 1
        body, total = self._session.get_range(self._url, about=self._about, start=start, stop=stop)
        if total != self._size:
            raise self._about.error(f"has {total} bytes at {shown(self._url)}, and {self._size} by the index")
        return PartialBuffer(io.BytesIO(body), start, len(body), stream=False)


def _member(archive: zipfile.ZipFile, pattern: re.Pattern[str]) -> bytes:
    """The one member of that name, if it isn't larger than metadata can be."""
    found = [info for info in archive.infolist() if pattern.fullmatch(info.filename)]
    if len(found) != 1:
        raise zipfile.BadZipFile(f"{len(found)} files in it are called {pattern.pattern}")
    with archive.open(found[0]) as member:
        content = member.read(METADATA_LIMIT_BYTES + 1)
    if len(content) > METADATA_LIMIT_BYTES:
        raise zipfile.BadZipFile(f"{found[0].filename} is larger than {METADATA_LIMIT_BYTES} bytes")
    return content


# --- what it says ----------------------------------------------------------------------------------------------------


def _parse_metadata(content: bytes, file: IndexFile, *, about: About) -> WheelFacts:
    """METADATA that is of this wheel. Raises UpstreamError."""
    try:
        fields, unread = parse_email(content)
        broken = unread.keys() & {"name", "version", "requires-dist", "requires-python"}
        if broken or not {"name", "version"} <= fields.keys():
            raise ValueError(f"{', '.join(sorted(broken)) or 'name or version'} can't be read")
        name, version = canonicalize_name(fields["name"]), Version(fields["version"])
        requires_python = fields.get("requires_python")
        SpecifierSet(requires_python or "")
        requires_dist = tuple(sorted({str(Requirement(line)) for line in fields.get("requires_dist", ())}))
    except (ValueError, RecursionError) as error:  # InvalidRequirement and its like are ValueErrors
        raise about.error(f"its METADATA does not hold: {' '.join(str(error).split())}") from error
    if (name, version) != parse_wheel_filename(file.filename)[:2]:
        raise about.error(f"its METADATA is that of {name} {version}")
    return WheelFacts(requires_python=requires_python, requires_dist=requires_dist)


def _parse_version_py(content: bytes) -> TorchBuild:
    """Constants that are assigned at the top; nothing is run. Raises ValueError."""
    try:
        module = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"torch/version.py does not parse: {error}") from error
    found: dict[str, object] = {}
    for node in module.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
            found[target.id] = value.value
    if "cuda" not in found:
        raise ValueError("torch/version.py does not say for which CUDA it is")
    return TorchBuild(cuda=_text(found["cuda"]), git_version=_text(found.get("git_version")))


def _text(value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and re.fullmatch(r"[0-9A-Za-z.]+", value)):
        raise ValueError(f"torch/version.py holds {value!r} where a version stands")
    return value


# --- what is known already -------------------------------------------------------------------------------------------


def _key(file: IndexFile) -> str | None:
    """What the facts of a wheel are kept by: its hash, and its URL since another server may have lied."""
    return None if file.sha256 is None else f"{file.sha256} {shown(file.url)}"


def _facts(row: Mapping[str, Any] | None) -> WheelFacts | None:
    """Facts as they were kept; None where they don't hold."""
    if row is None:
        return None
    try:
        return WheelFacts(
            requires_python=row["requires_python"],
            requires_dist=tuple(str(Requirement(line)) for line in row["requires_dist"]),
            build=None if row["build"] is None else TorchBuild(**row["build"]),
        )
    except (ValueError, KeyError, TypeError):
        return None
