"""The command line as data, read from the program itself: what its reference and its man page are written from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import typer.main
from typer.core import TyperGroup

from gpuimg.cli.app import app

PROGRAM: Final = "gpuimg"
_TYPE: Final = re.compile(r" ?<(?P<type>[^<>]*)>$")
"""How newer Typers tell the type of a value, behind its name or in the place of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option: all its spellings, what stands behind it, and what its help says, default and bounds included."""

    names: tuple[str, ...]
    value: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An argument, by the name that the usage line gives it."""

    name: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command, or a group of such; `path` is what is typed, such as ``gpuimg matrix list``.

    Of ``--help``, which every command has, only ``gpuimg`` itself tells.
    """

    path: str
    usage: str
    summary: str
    text: tuple[str, ...]
    """The help's other paragraphs."""
    arguments: tuple[Argument, ...]
    options: tuple[Option, ...]
    commands: tuple[Command, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition(" ")[2]

    def walk(self) -> Iterator[Command]:
        """It and all below it, in the order of the help."""
        yield self
        for command in self.commands:
            yield from command.walk()


def read_command_line() -> Command:
    """``gpuimg`` itself, with all commands below it."""
    return _read(typer.main.get_command(app), PROGRAM, parent=None)


def _read(command: Any, name: str, *, parent: Any) -> Command:
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    summary, *text = [" ".join(paragraph.split()) for paragraph in (command.help or "").split("\n\n")]
    children = command.list_commands(context) if isinstance(command, TyperGroup) else ()
    parameters = [(parameter, parameter.get_help_record(context)) for parameter in command.get_params(context)]
    return Command(
        path=context.command_path,
        usage=_usage(command.get_usage(context)),
        summary=summary,
        text=tuple(text),
        arguments=tuple(
            Argument(name=_TYPE.sub("", record[0]), help=record[1])
            for parameter, record in parameters
            if record and parameter.param_type_name == "argument"
        ),
        options=tuple(
            _option(parameter, record)
            for parameter, record in parameters
            if record and parameter.param_type_name == "option" and (parent is None or "--help" not in parameter.opts)
        ),
        commands=tuple(
            _read(command.resolve_command(context, [child])[1], child, parent=context) for child in children
        ),
    )


def _usage(text: str) -> str:
    """In one line, and an argument that must be given without the braces of newer Typers."""
    return re.sub(r"\{([^{}]*)\}", r"\1", " ".join(text.split())).removeprefix("Usage: ")


def _option(parameter: Any, record: tuple[str, str]) -> Option:
    names = sorted([*parameter.opts, *parameter.secondary_opts], key=len)
    takes_value = not (parameter.is_flag or parameter.count)
    typed = _TYPE.search(record[0])
    return Option(
        names=tuple(names),
        value=(parameter.metavar or _value(typed["type"] if typed else "")) if takes_value else "",
        help=" ".join(record[1].split()),
    )


def _value(kind: str) -> str:
    """What stands for a value that has no name: a choice is its own.

    >>> _value("int range"), _value("html|json")
    ('N', 'html|json')
    """
    return "N" if kind.startswith(("int", "float")) else kind if "|" in kind else "VALUE"
