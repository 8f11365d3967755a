"""Files → a tar that every engine reads.

GNU format: the engine takes a build context in Python's default, PAX, for a Dockerfile. Owner and time are fixed, so
the engine's cache sees the same files from every host.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping


def tar(files: Mapping[str, bytes]) -> bytes:
    """Give the archive of `files` (path → content; a leading slash is dropped), each with the folders above it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        folders: set[str] = set()
        for path, content in sorted(files.items()):
            *above, _ = path.lstrip("/").split("/")
            for depth in range(1, len(above) + 1):
                folder = "/".join(above[:depth])
                if folder not in folders:
                    folders.add(folder)
                    entry = tarfile.TarInfo(folder)
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(entry)
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
