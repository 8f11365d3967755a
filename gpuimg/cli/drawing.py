"""What the views have in common that draw in place: lines, and the frame that shows them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gpuimg.cli.console import Console
from gpuimg.text import cell_width, shorten

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.console import ConsoleOptions, RenderResult
    from rich.live import Live

_SPINNER: Final = ("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "-\\|/")
_FRAMES_A_SECOND: Final = 8
_RICH_STYLES: Final = {
    "red": "bold red",
    "green": "green",
    "cyan": "cyan",
    "dim": "dim",
    "bold": "bold",
    "yellow": "bold yellow",
    "": "",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line and its style."""

    text: str
    style: str = ""


def beside(left: str, right: str, width: int, *, unicode: bool) -> str:
    """`left` cut to leave room for `right` at the end of the line."""
    room = max(width - cell_width(right) - 2, 1) if right else width
    left = shorten(left, room, ellipsis="…" if unicode else "...")
    if not right:
        return left
    return shorten(left + " " * (width - cell_width(left) - cell_width(right)) + right, width, ellipsis="")


def spinner(now: float, *, unicode: bool) -> str:
    """What turns beside something that runs."""
    frames = _SPINNER[0 if unicode else 1]
    return frames[int(now * _FRAMES_A_SECOND) % len(frames)]


class Frame:
    """Lines that are drawn in place and redrawn as time passes; what else goes to stderr meanwhile stands above them.

    `draw` gives them, at most so many columns wide and so many lines high; it is called in a thread of its own.
    """

    def __init__(self, console: Console, draw: Callable[[int, int], list[Line]], *, stays: bool = True) -> None:
        self._console = console
        self._draw = draw
        self._stays = stays
        self._stack = contextlib.ExitStack()
        self._live: Live | None = None

    def start(self) -> None:
        """Begin to draw."""
        from rich.console import Console as RichConsole
        from rich.live import Live
        from rich.text import Text

        err = self._console.err
        ours = err.stream is not sys.stderr
        screen: RichConsole = RichConsole(
            file=err.stream,
            force_terminal=True,
            color_system="standard" if err.colour else None,
            width=err.width if ours else None,
            height=err.height if ours else None,
            legacy_windows=False,
            markup=False,
            highlight=False,
            emoji=False,
        )
        self._live = Live(
            self,
            console=screen,
            refresh_per_second=_FRAMES_A_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
            transient=not self._stays,
        )
        self._stack.enter_context(self._live)
        above = lambda text: screen.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=True)  # noqa: E731
        self._stack.enter_context(self._console.diverted(above))

    def stop(self) -> None:
        """Draw for the last time; the last lines stay, unless the frame was not to."""
        self._stack.close()

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        for line in self._draw(options.max_width, max(options.size.height - 1, 1)):
            yield Text(line.text, style=_RICH_STYLES[line.style], no_wrap=True, overflow="crop", end="\n")
