"""The manual page, in troff's man macros, of the same reading of the command line as the reference.

python -m docs.ext.manpage > docs/man/gpuimg.1
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Final

from docs.ext.commandline import Command, Option, read_command_line
from docs.ext.fact_pages import exit_codes
from gpuimg import __version__

_SPEC: Final = (
    "A SPEC is torch, then what you care about: `2.6`, `2.6-cu124`, `2.6.0+cu124`, `2.6-cu124-py312-devel`, or a tag"
    " from Docker Hub such as `2.6.0-cuda12.4-cudnn9-devel`. A name that was never published, such as `2.6-cu121`, is"
    " built as what serves in its place, and says so."
)
ENVIRONMENT: Final[Mapping[str, str]] = {
    "DOCKER_HOST": "The engine to use; otherwise the current docker context says.",
    "GITHUB_STEP_SUMMARY": "Reports are appended to this file as Markdown, unless `--markdown` names another.",
    "HTTPS_PROXY": "Passed to builds, as are HTTP_PROXY and NO_PROXY, unless a password is in it.",
    "NO_COLOR": "Set: no colours.",
    "SSL_CERT_FILE": "The CA bundle that builds trust, unless `--ca-bundle` names another.",
    "XDG_CACHE_HOME": "Where matrix files that were checked are remembered.",
}
FILES: Final[Mapping[str, str]] = {
    "gpuimg.yaml": "The project file of this folder, or of one above it.",
    "pyproject.toml": "Its table [tool.gpuimg] takes the same fields.",
    ".dockerignore": "What stays out of an image.",
}
_EXAMPLES: Final[Mapping[str, str]] = {
    "gpuimg build 2.6-cu124": "Builds an image, checks it from inside, and tags it.",
    "gpuimg run 2.6-cu124 -- python train.py": "Trains in it, with all GPUs and this folder.",
    "gpuimg matrix list --driver 535.104 --gpu H100": "What runs there, and why the rest can't.",
}


def man_page() -> str:
    """The page of `gpuimg`, with every command and option."""
    root = read_command_line()
    return "\n".join(
        [
            f'.TH GPUIMG 1 "" "gpuimg {__version__}" "User Commands"',
            ".SH NAME",
            "gpuimg \\- build and check GPU training images",
            ".SH SYNOPSIS",
            f".B {_code('gpuimg')}",
            f'.RI {_code("COMMAND")} " [" OPTIONS "] [" ARGUMENTS ]',
            ".SH DESCRIPTION",
            _text(root.summary),
            ".PP",
            _text(_SPEC),
            ".SH OPTIONS",
            *(line for option in root.options for line in _option(option)),
            ".SH COMMANDS",
            _text("Every command takes `--help`."),
            *(line for top in root.commands for command in top.walk() for line in _command(command)),
            ".SH EXIT STATUS",
            *_terms({str(number): said for number, said in exit_codes().items()}),
            ".SH ENVIRONMENT",
            *_terms(ENVIRONMENT),
            ".SH FILES",
            *_terms(FILES),
            ".SH EXAMPLES",
            *_terms(_EXAMPLES),
            ".SH SEE ALSO",
            ".BR docker (1),",
            ".BR nvidia\\-smi (1)",
            "",
        ]
    )


def _command(command: Command) -> Iterator[str]:
    yield f".SS {_code(command.usage.partition(' [OPTIONS]')[0])}"
    yield f".B {_code(command.usage)}"
    for paragraph in (command.summary, *command.text):
        yield ".PP"
        yield _text(paragraph)
    for argument in command.arguments:
        yield from (".TP", f".I {_code(argument.name)}", _text(argument.help))
    for option in command.options:
        yield from _option(option)


def _option(option: Option) -> Iterator[str]:
    names = ", ".join(f"\\fB{_code(name)}\\fR" for name in option.names)
    yield ".TP"
    yield names + (f" \\fI{_code(option.value)}\\fR" if option.value else "")
    yield _text(option.help)


def _terms(terms: Mapping[str, str]) -> Iterator[str]:
    for term, meaning in terms.items():
        yield from (".TP", f".B {_code(term)}", _text(meaning))


def _text(text: str) -> str:
    """`text` in lines that troff fills, with words in backticks in bold."""
    parts = re.split(r"`([^`]+)`", text)
    shown = "".join(f"\\fB{_code(part)}\\fR" if index % 2 else _escaped(part) for index, part in enumerate(parts))
    lines = textwrap.wrap(shown, 79, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in lines)


def _code(text: str) -> str:
    """`text` as it is typed: a hyphen is one that can be copied."""
    return _escaped(text).replace("-", "\\-").replace('"', "\\(dq")


def _escaped(text: str) -> str:
    r"""`text` without anything that troff would obey, in ASCII.

    >>> print(_escaped("a\\b … 'c'"))
    a\eb \[u2026] \(aqc\(aq
    """
    plain = text.replace("\\", "\\e").replace("'", "\\(aq").replace("^", "\\(ha").replace("~", "\\(ti")
    return "".join(character if character.isascii() else f"\\[u{ord(character):04X}]" for character in plain)


if __name__ == "__main__":
    sys.stdout.write(man_page())
