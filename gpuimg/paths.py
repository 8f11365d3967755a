"""Where gpuimg's data lies: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent
_CHECKOUT: Final = _PACKAGE.parent
_DATA: Final = _CHECKOUT if (_CHECKOUT / "matrices" / "torch.yaml").is_file() else _PACKAGE / "data"

MATRICES: Final = _DATA / "matrices"
SCHEMAS: Final = MATRICES / "schema"
TEMPLATES: Final = _DATA / "templates"
SMOKE_GUEST: Final = _PACKAGE / "smoke" / "guest"


def cache_folder(environ: Mapping[str, str]) -> Path | None:
    """Where the XDG base directory specification puts our caches: a path that is not absolute counts as none."""
    home = environ.get("HOME")
    caches = (Path(environ.get("XDG_CACHE_HOME", "")), Path(home, ".cache") if home else Path())
    return next((cache / "gpuimg" for cache in caches if cache.is_absolute()), None)


def is_checkout() -> bool:
    """Whether the data lies in a checkout, where it may be changed."""
    return _DATA == _CHECKOUT
