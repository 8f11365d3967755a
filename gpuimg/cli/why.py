"""``gpuimg why``: how a request resolves, or why it can't, with sources."""

from __future__ import annotations

from typing import Annotated

import typer

from gpuimg.cli import complete, options
from gpuimg.text import printable


def why(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC", autocompletion=complete.specs, help="The request to explain, such as 2.6-cu121."
        ),
    ],
    matrix_dir: options.MatrixDir = None,
) -> None:
    """Tell how a request resolves, or why it can't.

    With the source of each fact, and what comes nearest.
    """
    from gpuimg.cli.console import Console
    from gpuimg.explain import explain
    from gpuimg.matrix import load_matrix
    from gpuimg.pipeline.spec import parse_spec

    console = Console()
    story = explain(parse_spec(spec), load_matrix(tuple(matrix_dir or ())), width=options.text_width(console))
    console.data(printable(story.text, multiline=True))
    if story.error is not None:
        raise story.error
