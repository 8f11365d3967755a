"""``gpuimg matrix export``: the whole matrix as a JSON document, or as a page that opens in a browser."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gpuimg.cli import options
from gpuimg.cli.textfile import Output, TextFile


class Format(str, enum.Enum):
    """What the matrix can be written as."""

    HTML = "html"
    JSON = "json"


def export(
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.JSON,
    output: Output = None,
    matrix_dir: options.MatrixDir = None,
) -> None:
    """Write the whole matrix, as JSON or as one HTML page.

    The page needs no server and makes no request: open the file.
    """
    from gpuimg.cli.console import Console

    target = TextFile(Console(), output, what="the matrix")
    target.write(_text(form, tuple(matrix_dir or ())))


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
