"""The files of a matrix folder that only `gpuimg matrix update` reads, and files that nothing reads."""

from __future__ import annotations

from pathlib import Path

from gpuimg.errors import MatrixError
from gpuimg.paths import MATRICES
from gpuimg.text import did_you_mean, printable
from gpuimg.update.record import load_record
from gpuimg.update.typed import load_typed


def check_folder(folder: Path) -> None:
    """Raise MatrixError where ``builds.yaml`` or a record doesn't hold, or a file has a name that nothing reads."""
    known = sorted(path.name for path in MATRICES.glob("*.yaml"))
    for path in sorted(folder.glob("*.y*ml")):
        if path.name not in known:
            raise MatrixError(
                printable(f"{folder.name}/{path.name}"),
                "",
                f"is none of the files that a matrix has: {', '.join(known)}",
                hints=did_you_mean(path.name, known),
            )
    if (folder / "builds.yaml").exists():
        load_typed(folder)
    for path in sorted((folder / "upstream").glob("*.yaml")):
        load_record(path)
