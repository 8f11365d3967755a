"""Groups of commands that are known by name, and imported when they are called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar

import typer
import typer.main
from typer.core import TyperGroup


class Commands(TyperGroup):
    """A group whose commands are the modules of `package`, by name."""

    package: ClassVar[str] = "gpuimg.cli"

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Give name, command and the other arguments, as click asks for them."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, _load(self.package, name) if name else None, rest


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
        holder.command(name)(getattr(module, name))
    return typer.main.get_group(holder).commands[name]
