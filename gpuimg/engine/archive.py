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

from gpuimg.code import code_mode

_CHUNK_BYTES: Final = 1 << 20


def tar(files: Mapping[str, bytes]) -> bytes:
    """Give the archive of `files` (path → content; a leading slash is dropped), each with the folders above it."""
    return b"".join(tar_chunks(files))


def tar_chunks(
    files: Mapping[str, bytes],
    large: Mapping[str, Path] | None = None,
    code: Mapping[str, Path] | None = None,
) -> Iterator[bytes]:
    """The same piece by piece, with files of this machine (path → where it lies).

    Args:
        large: files that are too large to hold.
        code: likewise; executable ones and symbolic links stay so, and the group may do what the owner may.

    Raises OSError where one can't be read, or changes its size while it is.
    """
    folders: set[str] = set()
    contents: dict[str, bytes | Path] = {**files, **(large or {}), **(code or {})}
    for path, content in sorted(contents.items()):
        *above, _ = path.lstrip("/").split("/")
        is_code = code is not None and path in code
        for depth in range(1, len(above) + 1):
            folder = "/".join(above[:depth])
            if folder not in folders:
                folders.add(folder)
                yield _header(folder, kind=tarfile.DIRTYPE, mode=0o775 if is_code else 0o755)
        if is_code and isinstance(content, Path) and content.is_symlink():
            yield _header(path, kind=tarfile.SYMTYPE, mode=0o777, link=str(content.readlink()))
            continue
        mode = code_mode(content) if is_code and isinstance(content, Path) else 0o644
        with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
            yield from _file(path.lstrip("/"), file, mode=mode)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _header(name: str, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, size: int = 0, link: str = "") -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.linkname = kind, mode, size, link
    return entry.tobuf(tarfile.GNU_FORMAT)


def _file(name: str, file: BinaryIO, *, mode: int = 0o644) -> Iterator[bytes]:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    yield _header(name, size=size, mode=mode)
    left = size
    while left:
        chunk = file.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise OSError(f"{name} became shorter while it was read")
        left -= len(chunk)
        yield chunk
    yield b"\0" * (-size % tarfile.BLOCKSIZE)
