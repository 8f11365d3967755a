"""The wheel in a stage that was built → a file on this machine: whole, or not there."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from gpuimg.engine.client import Engine
from gpuimg.engine.containers import LABEL
from gpuimg.errors import HostError, RequestError
from gpuimg.model import Image

WHEELS: Final = "/wheels"
"""Where the stage has it."""
_CHUNK_BYTES: Final = 1 << 20


def copy_wheel(engine: Engine, image: Image, folder: Path) -> tuple[Path, str]:
    """Copy the one wheel of `image` into `folder`, and give its path and SHA-256. An earlier one of its name goes.

    Raises:
        RequestError: `folder` can't be written.
        HostError: the engine doesn't give it, or gives something else.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _archive(engine, image) as archive:
            for entry in archive:
                if entry.isfile() and entry.name.endswith(".whl"):
                    content = archive.extractfile(entry)
                    assert content is not None
                    return _write(content, folder / Path(entry.name).name)
    except tarfile.TarError as error:
        raise HostError(f"the engine broke off while it gave the wheel: {error}") from error
    except OSError as error:
        raise RequestError(f"{folder} can't be written: {error.strerror or error}") from error
    raise HostError("the build ended without a wheel")


@contextlib.contextmanager
def _archive(engine: Engine, image: Image) -> Iterator[tarfile.TarFile]:
    """The folder of wheels as the engine sends it. Nothing is started: the container only gives it a name."""
    container = f"gpuimg-{uuid.uuid4().hex}"  # known before the engine answers, so that it is removed in any case
    api: Any = engine.api
    try:
        with engine.translated():
            api.create_container(image.id, command=["-"], name=container, labels={LABEL: "wheel"})
            chunks, _ = api.get_archive(container, WHEELS, chunk_size=_CHUNK_BYTES)
            with tarfile.open(fileobj=io.BufferedReader(_Chunks(chunks), _CHUNK_BYTES), mode="r|") as archive:
                yield archive
    finally:
        with contextlib.suppress(HostError), engine.translated():
            api.remove_container(container, force=True, v=True)


def _write(content: IO[bytes], path: Path) -> tuple[Path, str]:
    """Beside its place first: what is broken off there leaves nothing behind."""
    digest = hashlib.sha256()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            while chunk := content.read(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path, digest.hexdigest()


class _Chunks(io.RawIOBase):
    """Chunks of bytes as a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
