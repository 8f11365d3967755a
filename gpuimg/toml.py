"""TOML → a mapping, by the standard library or, on Python 3.10, by its backport."""

from __future__ import annotations

import importlib
import sys
from typing import Any, cast


def loads(text: str) -> dict[str, Any]:
    """Give what `text` says. Raises ValueError, with line and column, where it is no TOML."""
    reader: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return cast("dict[str, Any]", reader.loads(text))
