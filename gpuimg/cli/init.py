"""``gpuimg init``: what the folder has, some questions, then the project file."""

from __future__ import annotations

import os
import platform as host_platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gpuimg.cli import complete, options
from gpuimg.errors import RequestError
from gpuimg.text import shown_path

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.project.propose import Ask
    from gpuimg.project.survey import Findings

Value = TypeVar("Value")


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The project's folder.", file_okay=False, show_default=False)
    ] = Path(),
    spec: Annotated[
        str | None,
        typer.Option(
            "--spec",
            metavar="SPEC",
            autocompletion=complete.specs,
            help="The stack.  [default: the newest that fits]",
            show_default=False,
        ),
    ] = None,
    flavor: options.Flavor = None,
    python: options.Python = None,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            autocompletion=complete.platforms,
            metavar="PLATFORM",
            help="linux/amd64 or linux/arm64.  [default: this machine's]",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="What images are called.  [default: the folder's name]", show_default=False
        ),
    ] = None,
    command: Annotated[
        str | None, typer.Option("--command", metavar="COMMAND", help="What the image runs, such as 'python train.py'.")
    ] = None,
    code: Annotated[
        bool | None,
        typer.Option(
            "--code/--no-code",
            help="Copy the folder into the image, or not.  [default: where it has a program]",
            show_default=False,
        ),
    ] = None,
    driver: Annotated[
        str | None, typer.Option("--driver", metavar="VERSION", help="Driver of the machine that runs the image.")
    ] = None,
    gpu: Annotated[
        list[str] | None, typer.Option("--gpu", metavar="NAME", help="GPU of that machine, such as H100; repeatable.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take what is suggested.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a project file that is there.")] = False,
    only_print: Annotated[bool, typer.Option("--print", help="Print the file instead of writing it.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of project files, and do nothing else.")
    ] = False,
    matrix_dir: options.MatrixDir = None,
) -> None:
    """Write a project file, gpuimg.yaml, from what this folder has.

    Looks at requirements, lock file, scripts, notebooks and Dockerfile, at the torch that is installed, and at this
    machine's driver and GPUs. On a terminal it asks; elsewhere options and what it finds decide.
    """
    from gpuimg import settings
    from gpuimg.cli.console import Console
    from gpuimg.cli.textfile import TextFile
    from gpuimg.machine import this_machine
    from gpuimg.machine.nvidia import host_of
    from gpuimg.matrix import load_matrix
    from gpuimg.matrix.wishes import read_host
    from gpuimg.paths import SCHEMAS
    from gpuimg.project.draft import draft_text
    from gpuimg.project.find import NAME
    from gpuimg.project.propose import Wanted, propose
    from gpuimg.project.survey import survey
    from gpuimg.project.values import read_name

    console = Console()
    if schema:
        console.data((SCHEMAS / "project.schema.json").read_text(encoding="utf-8"))
        return
    options.refuse_empty({"--spec": spec, "--flavor": flavor, "--python": python, "--name": name})
    if not folder.is_dir():
        raise RequestError(f"{shown_path(folder)} is no folder")
    if not only_print:
        _refuse_second(folder, force=force)
    file = TextFile(console, None if only_print else folder / NAME, what="the project file")
    matrix = load_matrix(tuple(matrix_dir or ()))
    console.transient("looking at this folder and this machine …")
    findings = survey(folder, this_machine(os.environ), arch=host_platform.machine())
    console.transient("")
    named = driver is not None or bool(gpu)
    host = read_host(matrix, driver=driver, gpus=gpu or ()) if named else host_of(findings.nvidia, matrix)
    _tell(findings, console, host_is_named=named)
    wanted = Wanted(
        spec=spec,
        flavor=flavor,
        python=settings.python_version(python) if python is not None else None,
        platform=settings.platform(platform) if platform is not None else findings.platform,
        name=read_name(name) if name is not None else None,
        command=command,
        code=code,
    )
    ask = _asker(console, asks=console.can_ask and not yes)
    draft = propose(findings, host, matrix, wanted, ask=ask, say=lambda what, text: _line(console, what, text))
    file.write(draft_text(draft))
    if not only_print:
        console.info("next: gpuimg build" + (f" --file {shown_path(folder / NAME)}" if folder != Path() else ""))


def _refuse_second(folder: Path, *, force: bool) -> None:
    """Never two project files, and none is replaced unasked."""
    from gpuimg.project.find import PYPROJECT, own_project_file

    found = own_project_file(folder)
    if found is None:
        return
    shown = shown_path(found)
    if found.name == PYPROJECT:
        raise RequestError(
            f"{shown} has [tool.gpuimg], which says what the images are",
            hints=["change that, or take it out first", "`gpuimg init --print` shows what would be written"],
        )
    if not force:
        raise RequestError(
            f"there is {shown} already",
            hints=["`gpuimg init --force` replaces it", "`gpuimg init --print` shows what would be written"],
        )


def _tell(findings: Findings, console: Console, *, host_is_named: bool) -> None:
    """What was found, a line each."""
    from gpuimg.project.tell import found_lines

    for what, text in found_lines(findings, host_is_named=host_is_named):
        _line(console, what, text)
    for text in findings.unread:
        console.warning(f"left out: {text}")


def _line(console: Console, what: str, text: str) -> None:
    console.info(f"{what:<17} {text}")


def _asker(console: Console, *, asks: bool) -> Ask:
    """Questions on the terminal; where nobody `asks`, each is answered with its default."""

    def ask(question: str, *, default: str, read: Callable[[str], Value]) -> Value:
        if not asks:
            return read(default)
        try:
            text = console.ask(question, default=default)
        except EOFError:
            raise typer.Abort from None
        try:
            return read(text)
        except RequestError as error:
            console.error(error)
        return ask(question, default=default, read=read)

    return ask
