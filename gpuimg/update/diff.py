"""What an update changes, for people: stacks that come and go, then each file line by line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from gpuimg.update.run import Update


def unified(update: Update, folder: Path) -> Iterator[str]:
    """The lines of a unified diff of all files, without line ends; a file that is new or goes is told in one line."""
    for name, text in update.files.items():
        path = folder / name
        old = path.read_text(encoding="utf-8") if path.exists() else None
        if old is None:
            yield f"new file: {name}"
        elif text is None:
            yield f"removed: {name}"
        else:
            yield from difflib.unified_diff(
                old.splitlines(), text.splitlines(), fromfile=f"a/{name}", tofile=f"b/{name}", n=1, lineterm=""
            )


def style_of(line: str) -> str | None:
    """The style that a line of the diff has on a terminal."""
    if line.startswith(("+++", "---", "new file:", "removed:")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
