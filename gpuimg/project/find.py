"""Where the project file of a folder is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from gpuimg.errors import RequestError
from gpuimg.text import printable, shown_path

NAME: Final = "gpuimg.yaml"
PYPROJECT: Final = "pyproject.toml"
_TABLE: Final = re.compile(rb"^[ \t]*\[+[ \t]*tool[ \t]*\.[ \t]*[\"']?gpuimg\b", re.MULTILINE)
_MAX_BYTES: Final = 1 << 20


def find_project_file(folder: Path, *, environ: Mapping[str, str]) -> Path | None:
    """The project file of `folder`, else that of the nearest folder above it; None: there is none.

    Looks no further than the repository that `folder` is in, or the user's home; outside of both, no further than
    `folder`, since anyone may write above it.

    Raises:
        RequestError: a folder has two.
    """
    for place in _folders(folder, environ):
        found = own_project_file(place)
        if found is not None:
            return found
    return None


def own_project_file(folder: Path) -> Path | None:
    """The project file that lies in `folder` itself. Raises RequestError where there are two, or a misspelt one."""
    file, pyproject = folder / NAME, folder / PYPROJECT
    has_table = _has_table(pyproject)
    if file.is_file() and has_table:
        raise RequestError(
            f"{printable(folder.resolve().name)} has both {NAME} and [tool.gpuimg] in {PYPROJECT},"
            " and one place can say what the images are",
            hints=["keep one of them"],
        )
    other = file.with_suffix(".yml")
    if other.is_file() and not file.is_file():
        raise RequestError(
            f"{shown_path(other)} is not read: a project file is called {NAME}", hints=[f"mv {other.name} {NAME}"]
        )
    return file if file.is_file() else pyproject if has_table else None


def _folders(folder: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """`folder` and those above it up to the first that has a .git or is the user's home."""
    folder = folder.resolve()
    home = environ.get("HOME")
    ends = (place for place in (folder, *folder.parents) if (place / ".git").exists() or str(place) == home)
    end = next(ends, folder)
    for place in (folder, *folder.parents):
        yield place
        if place == end:
            return


def _has_table(pyproject: Path) -> bool:
    try:
        with pyproject.open("rb") as file:
            return _TABLE.search(file.read(_MAX_BYTES)) is not None
    except OSError:
        return False
