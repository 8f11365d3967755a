"""``gpuimg matrix export``: the whole matrix as a JSON document, or as a page that opens in a browser."""

from __future__ import annotations

import enum
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gpuimg.cli import options
from gpuimg.errors import RequestError
from gpuimg.text import printable, shorten


class Format(str, enum.Enum):
    """What the matrix can be written as."""

    HTML = "html"
    JSON = "json"


def export(
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.JSON,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write.  [default: stdout]", show_default=False),
    ] = None,
    matrix_dir: options.MatrixDir = None,
) -> None:
    """Write the whole matrix: JSON for programs, or one HTML page for people.

    The page needs no server and makes no request: open the file.
    """
    from gpuimg.cli.console import Console

    console = Console()
    file = None if output is None or str(output) == "-" else output
    if file is not None:
        _check_target(file)
    text = _text(form, tuple(matrix_dir or ()))
    if file is None:
        console.data(text)
        return
    _write(file, text)
    console.info(f"wrote {file}")


def _text(form: Format, overlays: Sequence[Path]) -> str:
    import json

    from gpuimg.matrix import load_matrix

    matrix = load_matrix(overlays)
    match form:
        case Format.HTML:
            from gpuimg.matrix.page import render_page

            return render_page(matrix)
        case Format.JSON:
            from gpuimg.matrix.document import matrix_as_json

            return json.dumps(matrix_as_json(matrix), indent=2) + "\n"


def _check_target(file: Path) -> None:
    """Raise RequestError, before any work, for a file that could not be written after it."""
    try:
        if file.exists() and not file.is_file():
            raise _unwritable(file, "that is no file")
        if not file.resolve().parent.is_dir():
            raise _unwritable(file, "there is no such folder")
    except (OSError, RuntimeError) as error:  # a loop of links, a name too long
        raise _unwritable(file, getattr(error, "strerror", None) or "its path leads nowhere") from error


def _write(file: Path, text: str) -> None:
    """Write `text` whole or not at all: an earlier file stays until the new one is complete."""
    place = file.resolve()
    beside: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=place.parent, prefix=".gpuimg-", delete=False, encoding="utf-8", newline="\n"
        ) as stream:
            beside = Path(stream.name)
            stream.write(text)
        beside.chmod(0o644)  # it is there to be shown to others
        beside.replace(place)
    except OSError as error:
        raise _unwritable(file, error.strerror or str(error)) from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)


def _unwritable(file: Path, problem: str) -> RequestError:
    shown = shorten(printable(str(file)), 80)
    return RequestError(f"the matrix can't be written to {shown}: {problem}", hints=["name a file with -o FILE"])
