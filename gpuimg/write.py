"""A rendered context → a folder. What can fail is done beside it first; then files are moved to their places."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from gpuimg.code import code_mode
from gpuimg.errors import RequestError
from gpuimg.model import Context
from gpuimg.text import printable

_MANIFEST: Final = ".gpuimg.json"
"""Names the files that gpuimg wrote, so that the next render may replace them and nothing else."""


def write_context(context: Context, folder: Path) -> None:
    """Write the context to `folder`, in place of an earlier one that gpuimg wrote there.

    The folder itself stays, since it may be a mount point or the current one; on an error so does what it holds.

    Raises:
        RequestError: the folder holds files that gpuimg did not write, or it can't be written.
    """
    try:
        folder = folder.resolve()
        earlier = _earlier_files(folder) if folder.exists() else ()
        folder.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=folder, prefix=".gpuimg-new-"))
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        for name, content in {**context.files, _MANIFEST: _manifest(context)}.items():
            _write(new / name, content)
        for name, source in context.large.items():
            _link(new / name, source)
        for name, source in context.code.items():
            _copy(new / name, source)
        for name in (*context.files, *context.large, *context.code, _MANIFEST):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).replace(folder / name)
        _remove(folder, sorted(set(earlier) - {*context.files, *context.large, *context.code}))
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _manifest(context: Context) -> bytes:
    names = sorted([*context.files, *context.large, *context.code])
    return (json.dumps({"plan": context.plan_digest, "files": names}, indent=2) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    """A file that every user of the image may read once it is copied there, whatever this user's umask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o644)


def _copy(path: Path, source: Path) -> None:
    """A copy, since the user goes on to edit the file; a symbolic link stays one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path, follow_symlinks=False)
    if not source.is_symlink():
        path.chmod(code_mode(source))


def _link(path: Path, source: Path) -> None:
    """The file itself under a second name; a copy where the folder is on another disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, path)
        path.chmod(0o644)


def _remove(folder: Path, names: Iterable[str]) -> None:
    """Remove files of the earlier context that the new one lacks, and the folders that this empties."""
    for name in names:
        path = folder / name
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the first that is not empty ends it
            for above in itertools.takewhile(folder.__ne__, path.parents):
                above.rmdir()


def _earlier_files(folder: Path) -> tuple[str, ...]:
    """What gpuimg wrote to `folder` before. Raises RequestError where anything else lies in it."""
    if not folder.is_dir():
        raise RequestError(f"{folder} is not a folder", hints=["name an empty or new folder"])
    manifest = folder / _MANIFEST
    known: tuple[str, ...] = ()
    if manifest.is_file():
        try:
            known = tuple(str(name) for name in json.loads(manifest.read_text(encoding="utf-8"))["files"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RequestError(f"{manifest} is not what gpuimg wrote", hints=["name an empty or new folder"]) from error
    foreign = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if not (path.is_dir() and not path.is_symlink()) and str(path.relative_to(folder)) not in {*known, _MANIFEST}
    )
    if foreign:
        raise RequestError(
            f"{folder.name} holds files that gpuimg did not write, such as `{foreign[0]}`",
            hints=["name an empty or new folder"],
        )
    return tuple(name for name in known if not Path(name).is_absolute() and ".." not in Path(name).parts)


def _unwritable(folder: Path, error: OSError) -> RequestError:
    return RequestError(
        f"{printable(str(folder))} can't be written: {error.strerror or error}",
        hints=["name another folder with -o DIR"],
    )


def require_folder(folder: Path) -> None:
    """Raise RequestError where no file can be written to `folder`: before the hours that make the file.

    A folder that isn't there yet is not made.
    """
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise RequestError(f"{printable(str(nearest))} is no folder", hints=["name a folder with -o DIR"])
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise RequestError(
            f"{printable(str(nearest))} can't be written by this user", hints=["name another folder with -o DIR"]
        )
