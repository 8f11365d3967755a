"""Whether the real command line takes a command, without running it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer
import typer.main
from typer.core import TyperGroup

from gpuimg.cli.app import app


def refusal(arguments: Sequence[str]) -> str | None:
    """What is wrong with ``gpuimg ARGUMENTS``: an option or a command that isn't there, or one that is missing."""
    command: Any = typer.main.get_command(app)
    rest, context = list(arguments), None
    name: str | None = "gpuimg"
    usage_error: Any = typer.BadParameter.__base__
    try:
        while True:
            context = command.make_context(name, rest, parent=context)
            if not isinstance(command, TyperGroup):
                return None
            rest = [*context._protected_args, *context.args]
            if not rest:
                return "a command is missing"
            name, command, rest = command.resolve_command(context, rest)
    except typer.Exit:  # --help and --version
        return None
    except usage_error as error:
        return str(error.format_message())
