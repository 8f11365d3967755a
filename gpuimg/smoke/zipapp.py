"""The smoke guest as one file that any Python with torch can run."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Final

from gpuimg.paths import SMOKE_GUEST

PACKAGE: Final = "gpuimg_smoke"

# Not ``python -m``: an image need not have gpuimg, and inside a zipapp only a top-level module is started.
_MAIN: Final = f"""\
import sys

from {PACKAGE}.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""

# The earliest time that a zip file can hold: the same sources give the same bytes on any day.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_MODE: Final = 0o100644 << 16


def build_guest(*, packed: bool = False) -> bytes:
    """The zipapp. The same sources give the same bytes, whatever the machine, the clock and the file system.

    With `packed` it is less than half as large, for places that take little; the bytes are then those of this
    machine's zlib.
    """
    sources = {f"{PACKAGE}/{path.relative_to(SMOKE_GUEST).as_posix()}": path for path in _modules(SMOKE_GUEST)}
    buffer = io.BytesIO()
    # Stored unless asked for: zlib's output differs between its builds, and the file is small.
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w") as archive:
        _write(archive, "__main__.py", _MAIN.encode(), method=method)
        for name, path in sorted(sources.items()):
            _write(archive, name, path.read_bytes(), method=method)
    return buffer.getvalue()


def _modules(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.py") if "__pycache__" not in path.parts]


def _write(archive: zipfile.ZipFile, name: str, content: bytes, *, method: int) -> None:
    info = zipfile.ZipInfo(name, date_time=_TIME)
    info.create_system = 3  # Unix, also where it is built on another system
    info.external_attr = _MODE
    archive.writestr(info, content, compress_type=method, compresslevel=9)
