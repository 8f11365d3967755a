"""Blocks of a shell, as a reader types them: commands and their words."""

from __future__ import annotations

import dataclasses
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
    shown: str = ""
    """What stands below its line: all or some of what it prints."""

    def __str__(self) -> str:
        return f"{self.where}: {self.line}"

    @property
    def is_ours(self) -> bool:
        return self.words[0] == "gpuimg" or self.words[:3] in {("python", "-m", "gpuimg"), ("python3", "-m", "gpuimg")}

    @property
    def arguments(self) -> tuple[str, ...]:
        """What `gpuimg` gets."""
        return self.words[1:] if self.words[0] == "gpuimg" else self.words[3:]


def commands(block: Block) -> list[Command]:
    """The commands of a block. Of a `console` those behind a prompt; what stands below them is what they print."""
    lines = _typed(block.text) if block.language == "console" else _scripted(block.text)
    return [
        dataclasses.replace(command, shown=shown)
        for offset, line, shown in lines
        for command in _programs(line, f"{block.document}:{block.line + offset}")
    ]


def _typed(text: str) -> Iterator[tuple[int, str, str]]:
    rows = list(enumerate(text.splitlines(), start=1))
    while rows:
        number, row = rows.pop(0)
        if row.startswith(_PROMPT):
            line = _joined(row.removeprefix(_PROMPT), rows)
            shown = itertools.takewhile(lambda row: not row.startswith(_PROMPT), (row for _, row in rows))
            yield number, line, "\n".join(shown)


def _scripted(text: str) -> Iterator[tuple[int, str, str]]:
    rows = list(enumerate(text.splitlines(), start=1))
    while rows:
        number, row = rows.pop(0)
        if row.strip() and not row.lstrip().startswith("#"):
            yield number, _joined(row, rows), ""


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
