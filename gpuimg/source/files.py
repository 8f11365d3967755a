"""The files that the stage which compiles torch reads: its repository, and the programs that run in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gpuimg.model import SourceStage

_GUEST: Final = Path(__file__).resolve().parent / "guest"


def source_files(stage: SourceStage) -> dict[str, str]:
    """Give the files by name. Where a site has the repository stands with what else is the site's own."""
    programs = {f"layers/source/{path.name}": path.read_text(encoding="utf-8") for path in sorted(_GUEST.glob("*.py"))}
    return {**programs, "origin/repository": f"{stage.repository}\n"}
