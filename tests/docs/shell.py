"""Blocks of a shell, as a reader types them: commands and their words."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.docs.documents import Block

LANGUAGES: Final = ("console", "bash", "sh", "shell")
_PROMPT: Final = "$ "
_SEPARATORS: Final = {"|", "||", "&&", ";", "&", "|&"}
_REDIRECTIONS: Final = {"<", ">", ">>", "<<<", ">&"}


@dataclass(frozen=True)
class Command:
    """One program of a line: `words` is what a shell would give it, without what it redirects."""

    where: str
    line: str
    words: tuple[str, ...]
    piped: bool = False
    """Whether it reads what another program writes."""

    def __str__(self) -> str:
        return f"{self.where}: {self.line}"

    @property
    def is_ours(self) -> bool:
        return self.words[0] == "gpuimg" or self.words[:3] in {("python", "-m", "gpuimg"), ("python3", "-m", "gpuimg")}

    @property
    def arguments(self) -> tuple[str, ...]:
        """What `gpuimg` gets."""
        return self.words[1:] if self.words[0] == "gpuimg" else self.words[3:]


@dataclass(frozen=True)
class Line:
    """What is typed at once, and what the document shows that it prints."""

    where: str
    text: str
    shown: tuple[str, ...] = ()

    @property
    def commands(self) -> list[Command]:
        return list(_programs(self.text, self.where))


def commands(block: Block) -> list[Command]:
    """The commands of a block."""
    return [command for line in lines(block) for command in line.commands]


def lines(block: Block) -> list[Line]:
    """The lines of a block. Of a `console` those behind a prompt; what stands below them is what they print.

    A script that begins with its interpreter is a file.
    """
    if block.text.startswith("#!"):
        return []
    typed = _typed(block.text) if block.language == "console" else _scripted(block.text)
    return [Line(f"{block.document}:{block.line + offset}", text, shown) for offset, text, shown in typed]


def _typed(text: str) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    rows = list(enumerate(text.splitlines(), start=1))
    while rows:
        number, row = rows.pop(0)
        if row.startswith(_PROMPT):
            line = _joined(row.removeprefix(_PROMPT), rows)
            shown = itertools.takewhile(lambda row: not row[1].startswith(_PROMPT), rows)
            yield number, line, tuple(row for _, row in shown if row.strip())


def _scripted(text: str) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    rows = list(enumerate(text.splitlines(), start=1))
    while rows:
        number, row = rows.pop(0)
        if row.strip() and not row.lstrip().startswith("#"):
            yield number, _joined(row, rows), ()


def _joined(row: str, rows: list[tuple[int, str]]) -> str:
    """A line with those that go on with it, a here-document's text too, which no program gets as a word."""
    while _goes_on(row) and rows:
        row = row.removesuffix("\\") + (" " if not row.endswith("\\") else "") + rows.pop(0)[1].removeprefix("> ")
    if "<<" in row and "<<<" not in row:
        row, _, end = row.partition("<<")
        while rows and rows.pop(0)[1].removeprefix("> ").strip() != end.lstrip("-").strip().strip("'\""):
            pass
    return row


def _goes_on(row: str) -> bool:
    return row.endswith("\\") or row.rstrip().endswith(("|", "&&"))


def _programs(line: str, where: str) -> Iterator[Command]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    piped = skip = False
    for word in [*_without_comment(lexer), ";"]:
        if skip:
            skip = False
        elif word in _SEPARATORS:
            if words:
                yield Command(where, line, tuple(words), piped)
            words, piped = [], word in {"|", "|&"}
        elif word in _REDIRECTIONS:
            if words and words[-1] in {"1", "2"}:
                words.pop()
            skip = True
        elif words or not _is_assignment(word):
            words.append(word)


def _without_comment(lexer: shlex.shlex) -> Iterator[str]:
    """shlex takes a ``#`` in the middle of a word for a comment; a shell does not."""
    for word in lexer:
        if word.startswith("#"):
            return
        yield word


def _is_assignment(word: str) -> bool:
    name, separator, _ = word.partition("=")
    return bool(separator) and name.isidentifier()
