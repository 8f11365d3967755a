"""Terminals in memory, and a clock, for tests of what is drawn."""

from __future__ import annotations

import io
import re

from gpuimg.cli.console import Console


class Stream(io.StringIO):
    """A stream in memory that may claim to be a terminal."""

    def __init__(self, *, tty: bool = False) -> None:
        super().__init__()
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty


class Clock:
    """A clock that goes when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def console(*, tty: bool, quiet: bool = False, width: int = 60, height: int = 24) -> tuple[Console, Stream]:
    """A console, and what it says on stderr."""
    stream = Stream(tty=tty)
    environ = {"COLUMNS": str(width), "LINES": str(height), "NO_COLOR": "1"}
    return Console(stdout=Stream(), stderr=stream, environ=environ, quiet=quiet), stream


def last_frame(text: str) -> list[str]:
    """What stands on the terminal after its last redrawing."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.rpartition("\x1b[2K")[2]).rstrip().splitlines()
