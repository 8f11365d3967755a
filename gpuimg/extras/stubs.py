"""Wheels that hold a name and a version and nothing else: so uv knows a stack's wheels without asking an index.

What they ask for is not in them: a stack's wheel set is closed.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from gpuimg.facts import Wheel


def write_stubs(wheels: Sequence[Wheel], folder: Path) -> None:
    """Write one wheel for each of `wheels` to `folder`, which is made."""
    folder.mkdir()
    for wheel in wheels:
        stem = f"{wheel.name.replace('-', '_')}-{wheel.version}"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
            info = f"{stem}.dist-info"
            archive.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {wheel.name}\nVersion: {wheel.version}\n"
            )
            archive.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: gpuimg\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr(f"{info}/RECORD", "")
