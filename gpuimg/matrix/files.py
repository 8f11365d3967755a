"""One matrix file → a checked document, from the cache where the same bytes have been checked before."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final

from gpuimg.errors import MatrixError
from gpuimg.matrix.cache import remembered
from gpuimg.paths import SCHEMAS

_MAX_BYTES: Final = 16 * 1024 * 1024  # the largest file here has less than 1 MB; beyond this it is something else


def read_document(path: Path, *, schema: str) -> dict[str, Any]:
    """Give the document at `path`, valid by ``<schema>.schema.json``. Others may have it too: not to be changed.

    Raises:
        MatrixError: not readable, not YAML, or not valid: with file, row and field.
    """
    file = _display(path)
    try:
        if not path.is_file():
            raise MatrixError(
                file, "", "is not a regular file" if path.exists() else "can't be read: there is no such file"
            )
        if path.stat().st_size > _MAX_BYTES:
            raise MatrixError(file, "", f"has more than {_MAX_BYTES // 2**20} MiB: that is no matrix file")
        content = path.read_bytes()
    except OSError as error:
        raise MatrixError(file, "", f"can't be read: {error.strerror}") from error
    return _document(content, schema=schema, file=file)


def _display(path: Path) -> str:
    return "/".join(path.parts[-2:]) if path.parent.name != "wheels" else "/".join(path.parts[-3:])


@functools.lru_cache(maxsize=16)  # a command reads some files for several of their sections, or for each Python
def _document(content: bytes, *, schema: str, file: str) -> dict[str, Any]:
    rules = (SCHEMAS / f"{schema}.schema.json").read_bytes()

    def check() -> dict[str, Any]:
        from gpuimg.matrix.strict import checked_document

        return checked_document(content, schema=rules, file=file)

    return remembered(check, of=(rules, content))
