"""Files → a tar that every engine reads.

GNU format: the engine takes a build context in Python's default, PAX, for a Dockerfile. Owner and time are fixed, so
the engine's cache sees the same files from every host.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

_CHUNK_BYTES: Final = 1 << 20


def tar(files: Mapping[str, bytes]) -> bytes:
    """Give the archive of `files` (path → content; a leading slash is dropped), each with the folders above it."""
    return b"".join(tar_chunks(files))


def tar_chunks(files: Mapping[str, bytes], large: Mapping[str, Path] | None = None) -> Iterator[bytes]:
    """The same piece by piece, with files that are too large to hold (path → where it lies on this machine).

    Raises OSError where one can't be read, or changes its size while it is.
    """
    folders: set[str] = set()
    contents: dict[str, bytes | Path] = {**files, **(large or {})}
    for path, content in sorted(contents.items()):
        *above, _ = path.lstrip("/").split("/")
        for depth in range(1, len(above) + 1):
            folder = "/".join(above[:depth])
            if folder not in folders:
                folders.add(folder)
                yield _header(folder, kind=tarfile.DIRTYPE, mode=0o755)
        with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
            yield from _file(path.lstrip("/"), file)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _header(name: str, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, size: int = 0) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size = kind, mode, size
    return entry.tobuf(tarfile.GNU_FORMAT)


def _file(name: str, file: BinaryIO) -> Iterator[bytes]:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    yield _header(name, size=size)
    left = size
    while left:
        chunk = file.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise OSError(f"{name} became shorter while it was read")
        left -= len(chunk)
        yield chunk
    yield b"\0" * (-size % tarfile.BLOCKSIZE)
