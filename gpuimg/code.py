"""A folder or file of the user's → what of it the image gets, as ``.dockerignore`` says."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from gpuimg import settings
from gpuimg.errors import RequestError
from gpuimg.model import CodeCopy
from gpuimg.text import shown_path

IGNORED: Final = (
    "**/.git",
    "**/.venv",
    "**/venv",
    "**/__pycache__",
    "**/*.pyc",
    "**/.ipynb_checkpoints",
    "**/.mypy_cache",
    "**/.pytest_cache",
    "**/.ruff_cache",
    "**/.env",
    "**/wandb",
)
"""What stays out where there is no ``.dockerignore``: what no image needs, or nobody should get with one."""
_MAX_FILES: Final = 100_000


def collect_code(source: Path, *, target: str) -> CodeCopy:
    """Give what the image gets of `source` below `target`; sockets and devices stay out.

    Raises RequestError: there is no such folder or file, nothing of it is left, or it can't be read.
    """
    target = settings.container_path(target)
    try:
        if source.is_file():
            return CodeCopy(source=source, target=target, files=("",), size_bytes=source.stat().st_size)
        if not source.is_dir():
            raise RequestError(f"there is no {shown_path(source)} to copy into the image")
        return _folder(source, target)
    except OSError as error:
        where = shown_path(Path(str(error.filename or source)))
        raise RequestError(f"{where} can't be read: {error.strerror or error}") from error


def code_mode(path: Path) -> int:
    """What a user's file is in an image: any user of group 0 may do with it what its owner may."""
    return 0o775 if path.stat().st_mode & stat.S_IXUSR else 0o664


def _folder(source: Path, target: str) -> CodeCopy:
    from gpuimg.engine.ignore import kept_paths

    files, size_bytes = [], 0
    for name in kept_paths(source, _patterns(source)):
        state = (source / name).lstat()
        if stat.S_ISREG(state.st_mode) or stat.S_ISLNK(state.st_mode):
            _refuse_unspeakable(name)
            files.append(name)
            size_bytes += state.st_size
        if len(files) > _MAX_FILES:
            raise RequestError(
                f"{shown_path(source)} has more than {_MAX_FILES} files to copy into the image",
                hints=["name what no image needs, such as data and checkpoints, in .dockerignore"],
            )
    if not files:
        raise RequestError(f"of {shown_path(source)} there is nothing to copy into the image: look at .dockerignore")
    return CodeCopy(source=source, target=target, files=tuple(sorted(files)), size_bytes=size_bytes)


def _patterns(source: Path) -> list[str]:
    path = source / ".dockerignore"
    if not path.is_file():
        return list(IGNORED)
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _refuse_unspeakable(name: str) -> None:
    """A name that is not UTF-8 can stand in no archive that every engine reads."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RequestError(
            f"a file's name is not UTF-8: {shown_path(Path(name))}", hints=["rename it, or name it in .dockerignore"]
        ) from error
