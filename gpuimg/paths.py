"""Where gpuimg's data lies: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent
_CHECKOUT: Final = _PACKAGE.parent
_DATA: Final = _CHECKOUT if (_CHECKOUT / "matrices" / "torch.yaml").is_file() else _PACKAGE / "data"

MATRICES: Final = _DATA / "matrices"
SCHEMAS: Final = MATRICES / "schema"
TEMPLATES: Final = _DATA / "templates"
SMOKE_GUEST: Final = _PACKAGE / "smoke" / "guest"
