"""``gpuimg matrix``: look at the matrix, check it, derive it anew, take it elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from gpuimg.cli import complete, options
from gpuimg.cli.matrix_export import export
from gpuimg.cli.matrix_list import list_stacks
from gpuimg.cli.matrix_update import update
from gpuimg.text import printable

app = typer.Typer(help="Look at the matrix of stacks and check it.", no_args_is_help=True, rich_markup_mode=None)

app.command("list")(list_stacks)

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]


@app.command("show")
def show(
    spec: Annotated[
        str, typer.Argument(metavar="SPEC", autocompletion=complete.specs, help="The stack to show, such as 2.6-cu124.")
    ],
    as_json: AsJson = False,
    matrix_dir: options.MatrixDir = None,
) -> None:
    """Show a stack, with the source of each fact."""
    import json

    from gpuimg.cli.console import Console
    from gpuimg.explain import describe
    from gpuimg.matrix import load_matrix
    from gpuimg.matrix.export import stack_as_json
    from gpuimg.pipeline.resolve import resolve
    from gpuimg.pipeline.spec import parse_spec

    console = Console()
    matrix = load_matrix(tuple(matrix_dir or ()))
    resolution = resolve(parse_spec(spec), matrix)
    stack, substitution = resolution.stack, resolution.substitution
    if substitution is not None:
        console.notice(f"{substitution.name} was never published; this is {stack.name}, which serves in its place")
    console.data(
        json.dumps({"requested": spec, **stack_as_json(stack, matrix)}, indent=2)
        if as_json
        else printable(describe(stack, matrix, width=options.text_width(console)), multiline=True)
    )


@app.command("validate")
def validate(matrix_dir: options.MatrixDir = None) -> None:
    """Check all matrix files.

    Their shapes and sources, what rows say about each other, and that the wheel sets say the same.
    """
    from gpuimg.cli.console import Console
    from gpuimg.matrix import load_matrix
    from gpuimg.matrix.checks import check_wheels
    from gpuimg.matrix.load import load_hosts
    from gpuimg.paths import MATRICES
    from gpuimg.update.check import check_folder

    matrix = load_matrix(tuple(matrix_dir or ()))
    load_hosts(tuple(matrix_dir or ()))
    for folder in (MATRICES, *(matrix_dir or ())):
        check_folder(folder)
    sets = check_wheels(matrix)
    Console().info(
        f"{len(matrix.stacks)} stacks, {len(matrix.compatible)} compatible names, {sets} wheel sets: all hold"
    )


app.command("update")(update)
app.command("export")(export)
