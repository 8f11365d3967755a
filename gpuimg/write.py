"""A rendered context → a folder, whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Final

from gpuimg.errors import RequestError
from gpuimg.model import Context

_MANIFEST: Final = ".gpuimg.json"
"""Names the files that gpuimg wrote, so that the next render may replace them and nothing else."""


def write_context(context: Context, folder: Path) -> None:
    """Write the context to `folder`, in place of an earlier one that gpuimg wrote there.

    Raises:
        RequestError: the folder holds files that gpuimg did not write, or it can't be written.
    """
    try:
        if folder.exists():
            _refuse_foreign(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        new.chmod(0o755)
        for name, content in context.files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        manifest = {"plan": context.plan_digest, "files": sorted(context.files)}
        (new / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _refuse_foreign(folder: Path) -> None:
    known = {_MANIFEST}
    manifest = folder / _MANIFEST
    if manifest.is_file():
        try:
            known |= set(json.loads(manifest.read_text(encoding="utf-8"))["files"])
        except (ValueError, KeyError, TypeError) as error:
            raise RequestError(f"{manifest} is not what gpuimg wrote", hints=["name an empty or new folder"]) from error
    if not folder.is_dir():
        raise RequestError(f"{folder} is not a folder", hints=["name an empty or new folder"])
    foreign = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if not path.is_dir() and str(path.relative_to(folder)) not in known
    )
    if foreign:
        raise RequestError(
            f"{folder} holds files that gpuimg did not write, such as `{foreign[0]}`",
            hints=["name an empty or new folder"],
        )


def _unwritable(folder: Path, error: OSError) -> RequestError:
    return RequestError(f"{folder} can't be written: {error.strerror or error}")
