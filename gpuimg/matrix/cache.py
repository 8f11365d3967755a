"""Checked documents, kept between commands: reading one again needs neither YAML nor JSON Schema.

They lie in ``$XDG_CACHE_HOME/gpuimg/matrix`` (by default ``~/.cache/gpuimg/matrix``), one file a document, named by the
SHA-256 of what it was made from. A document decides what gets built, so an entry is believed only where nobody else
could have written it: in a folder that is the user's own and that others can't write. Without one, nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import gpuimg
from gpuimg.paths import cache_folder

_FORMAT: Final = "2"
"""To be raised whenever what `gpuimg.matrix` makes of the same bytes, or refuses, changes."""
_ENTRY: Final = re.compile(r"[0-9a-f]{64}\.json(\.[0-9a-f]+)?")
_DAY_S: Final = 24 * 3600.0
_UNUSED_S: Final = 30 * _DAY_S
_MAX_ENTRIES: Final = 1000
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def remembered(
    make: Callable[[], dict[str, Any]], *, of: Sequence[bytes], environ: Mapping[str, str] = os.environ
) -> dict[str, Any]:
    """Give what `make` makes of the bytes `of`: from an earlier command if there was one, else anew.

    Raises what `make` raises, which is not kept, and nothing of its own: a cache that can't be used is none.
    """
    name = f"{_digest((_FORMAT.encode(), gpuimg.__version__.encode(), *of))}.json"
    with _folder(environ) as folder:
        document = None if folder is None else _read(folder, name)
        if document is None:
            document = make()
            if folder is not None:
                _write(folder, name, document)
                if name.startswith("0"):  # one in sixteen: often enough
                    _tidy(folder)
    return document


def _digest(parts: Sequence[bytes]) -> str:
    """SHA-256 over the parts, each with its length: no two lists of parts have one digest."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d\0" % len(part))
        digest.update(part)
    return digest.hexdigest()


# --- the folder ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _folder(environ: Mapping[str, str]) -> Iterator[int | None]:
    """The folder, made if need be and open, so that it can't be exchanged after the look at it. None: not to be had."""
    folder = None
    try:
        with contextlib.suppress(OSError, ValueError):
            folder = _opened(_path(environ))
        yield folder
    finally:
        if folder is not None:
            os.close(folder)


def _path(environ: Mapping[str, str]) -> Path | None:
    caches = cache_folder(environ)
    return caches / "matrix" if caches else None


def _opened(path: Path | None) -> int | None:
    """A descriptor of the folder, if it is the user's alone."""
    if path is None:
        return None
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        if not _make(path):
            return None
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    if _is_ours(os.fstat(folder)):
        return folder
    os.close(folder)
    return None


def _make(path: Path) -> bool:
    """Make the folder and up to two above it, each only in one of the user's own.

    So ``sudo gpuimg`` leaves nothing of root's in a home, and a home that isn't there is not made.
    """
    for folder in (path.parents[1], path.parents[0], path):
        if not folder.is_dir():
            if folder.parent.stat().st_uid != os.geteuid():
                return False
            folder.mkdir(mode=0o700, exist_ok=True)
    return True


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_WRITE


# --- the entries -----------------------------------------------------------------------------------------------------
# An entry is a line with the SHA-256 of the rest, then the document as JSON.


def _read(folder: int, name: str) -> dict[str, Any] | None:
    """The document, or None where there is none that can be believed."""
    try:
        entry = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return None
    try:
        status = os.fstat(entry)
        if not stat.S_ISREG(status.st_mode) or not _is_ours(status):
            return None
        with os.fdopen(entry, "rb", closefd=False) as file:
            checksum, _, body = file.read().partition(b"\n")
        if checksum != _digest([body]).encode("ascii"):
            return None
        document = json.loads(body)
        if time.time() - status.st_mtime > _DAY_S:
            os.utime(entry)  # tells _tidy that it is in use
    except (OSError, ValueError, RecursionError):
        return None
    finally:
        os.close(entry)
    return document if isinstance(document, dict) else None


def _write(folder: int, name: str, document: dict[str, Any]) -> None:
    """Keep the document if that can be done: written beside its place and moved there whole."""
    new = f"{name}.{os.urandom(8).hex()}"
    try:
        body = json.dumps(document, separators=(",", ":")).encode("ascii")
        entry = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    except (OSError, TypeError, ValueError):  # JSON can't say all that YAML can
        return
    try:
        with os.fdopen(entry, "wb") as file:
            file.write(_digest([body]).encode("ascii") + b"\n" + body)
        os.replace(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(new, dir_fd=folder)


def _tidy(folder: int) -> None:
    """Remove what nobody has used for 30 days, and the longest unused where there are too many."""
    found: list[tuple[float, str]] = []
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = os.listdir(folder)
    for name in filter(_ENTRY.fullmatch, names):
        with contextlib.suppress(OSError):
            found.append((os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime, name))
    found.sort(reverse=True)
    for place, (used, name) in enumerate(found):
        if place >= _MAX_ENTRIES or time.time() - used > _UNUSED_S:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)
