"""The reference of the command line: a page a command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from docs.ext.commandline import Argument, Command, Option, read_command_line
from docs.ext.markdown import code, page, plain, table, toctree


def command_pages() -> Mapping[str, str]:
    """File name → text, and ``index.md`` with all of them."""
    root = read_command_line()
    pages = {f"{command.name}.md": page(command.path, *_parts(command)) for command in root.commands}
    return {"index.md": _index(root), **pages}


def _index(root: Command) -> str:
    rows = [
        (f"[`{command.path}`]({_address(command, top)})", plain(command.summary))
        for top in root.commands
        for command in top.walk()
    ]
    return page(
        "Command line",
        plain(root.summary),
        "`python -m gpuimg` is the same program. Every command takes `--help`. Data goes to stdout, all else to"
        " stderr. A name that begins with a dash, and what a command in a container gets, stand after `--`.",
        table(("command", "does"), rows),
        "## gpuimg",
        *_usage(root),
        toctree(f"{command.name}.md" for command in root.commands),
    )


def _address(command: Command, top: Command) -> str:
    return f"{top.name}.md" if command is top else f"{top.name}.md#{command.path.replace(' ', '-')}"


def _parts(command: Command) -> Iterator[str]:
    yield from map(plain, (command.summary, *command.text))
    yield from _usage(command)
    for child in command.commands:
        yield f"## {child.path}"
        yield from _parts(child)


def _usage(command: Command) -> Iterator[str]:
    yield f"```text\n{command.usage}\n```"
    yield from map(_argument, command.arguments)
    yield f"```{{program}} {command.path}\n```"
    yield from map(_option, command.options)


def _argument(argument: Argument) -> str:
    return f"{code(argument.name)}\n: {plain(argument.help)}"


def _option(option: Option) -> str:
    names = f"{', '.join(option.names)} {option.value}".rstrip()
    return f"```{{option}} {names}\n{plain(option.help)}\n```"
