"""``gpuimg export --format apptainer``: a definition file. Neither apptainer nor an engine is asked."""

from __future__ import annotations

from typing import Annotated

import typer

from gpuimg.cli import options
from gpuimg.cli.export.common import WHERE_PUSHED, PlatformName, PythonProgram, Repository, TargetName, find_image
from gpuimg.cli.textfile import Output, TextFile
from gpuimg.errors import RequestError


def apptainer(
    target: TargetName = None,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="What it runs, after a --.  [default: the image's own]"),
    ] = None,
    output: Output = None,
    from_engine: Annotated[
        bool, typer.Option("--from-engine", help="Take the image from docker's engine, not from a registry.")
    ] = False,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", metavar="NAME=VALUE", help="A variable of its own; repeatable.")
    ] = None,
    repository: Repository = None,
    platform: PlatformName = None,
    python: PythonProgram = None,
    matrix_dir: options.MatrixDir = None,
    template_dir: options.TemplateDir = None,
) -> None:
    """A definition file, of which Apptainer builds a .sif.

    The file's head has the commands that build and run it.
    """
    from gpuimg.cli.console import Console
    from gpuimg.export import container, hpc
    from gpuimg.export.apptainer import Definition, render_definition

    console = Console()
    file = TextFile(console, output, what="the definition file")
    image = find_image(
        target, console, repository=repository, platform=platform, python=python, matrix_dir=tuple(matrix_dir or ())
    )
    definition = Definition(
        image=image,
        from_engine=from_engine,
        command=hpc.command(tuple(command or ()), torchrun=False),
        environment=container.variables(env or (), _valued),
    )
    if image.is_local and not from_engine:
        console.warning(
            f"no registry has `{image.reference}`: name the one that it was pushed to, {WHERE_PUSHED}, or --from-engine"
            " takes it from docker's engine"
        )
    file.write(render_definition(definition, template_dirs=tuple(template_dir or ())))


def _valued(text: str) -> tuple[str, str]:
    from gpuimg.export import hpc

    name, value = hpc.variable(text)
    if value is None:
        raise RequestError(
            f"{name} has no value, and a .sif has none but its own",
            hints=[f"write it as --env {name}=VALUE", f"or give it at the start: apptainer run --env {name}=VALUE"],
        )
    return name, value
