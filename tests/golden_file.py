"""A committed file that a test's text is held against; the fixture `golden` is in ``tests/conftest.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Golden(Protocol):
    """Fails where `text` is not what the file at `path` has; with ``--update-golden`` writes the file first."""

    def __call__(self, text: str, path: Path) -> None: ...
