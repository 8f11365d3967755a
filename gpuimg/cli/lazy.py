"""Groups of commands that are known by name, and imported when they are called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup


class Commands(TyperGroup):
    """A group whose commands are the modules of `package`, by name."""

    package: ClassVar[str] = "gpuimg.cli"

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Give name, command and the other arguments, as click asks for them."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, _load(self.package, name) if name else None, rest


class _Command(TyperCommand):
    """One that may run another: what stands behind a ``--`` is that one's, also where no image was named before."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the words behind ``--`` from filling the arguments before the command."""
        words: list[str] = []
        if "--" in args and any(parameter.name == "command" for parameter in self.params):
            place = args.index("--")
            args, words = args[:place], args[place + 1 :]
        rest: list[str] = super().parse_args(ctx, args)
        if words:
            ctx.params["command"] = (*(ctx.params.get("command") or ()), *words)
        return rest


def add_commands(app: typer.Typer, helps: Mapping[str, str]) -> None:
    """Make `app` know its commands by name, with what the list of commands says of each."""
    for name, text in helps.items():
        app.command(name, help=text)(lambda: None)


def _load(package: str, name: str) -> Any:
    """The command itself: the function of that name in its module, or the module's own group of commands."""
    module = importlib.import_module(f"{package}.{name}")
    holder = typer.Typer(rich_markup_mode=None)
    if hasattr(module, "app"):
        holder.add_typer(module.app, name=name)
    else:
        holder.command(name, cls=_Command)(getattr(module, name))
    return typer.main.get_group(holder).commands[name]
