"""A page of text for a terminal: aligned cells that wrap, styles where there is colour, nothing that steers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gpuimg.model import Status
from gpuimg.report import figures
from gpuimg.text import cell_width, printable, styled, wrap

_NARROWEST: Final = 40
_GAP: Final = 2
_STYLE: Final = {Status.PASS: "green", Status.FAIL: "red", Status.SKIP: "yellow"}
_ASCII: Final = str.maketrans(
    {"✓": "+", "✗": "x", "–": "-", "…": "...", "≤": "<=", "≥": ">=", "×": "x", "µ": "u", "→": "->"}
)


@dataclass(frozen=True, slots=True)
class Span:
    """Lines that are safe to show, all in one style."""

    lines: Sequence[str]
    style: str

    @property
    def width(self) -> int:
        return max(map(cell_width, self.lines))

    def wrapped(self, width: int) -> list[str]:
        """Lines of at most `width` columns; what a line is indented by stays."""
        found = []
        for line in self.lines:
            indent = line[: min(len(line) - len(line.lstrip(" ")), width // 3)]
            found += [(indent + part).rstrip() for part in wrap(line.strip(" "), width - len(indent))]
        return found


class Page:
    """A text that grows from top to bottom."""

    def __init__(self, *, width: int, colour: bool, unicode: bool) -> None:
        self._width = max(width, _NARROWEST)
        self._colour = colour
        self._unicode = unicode
        self._lines: list[str] = []
        self.ellipsis = "…" if unicode else "..."

    @property
    def text(self) -> str:
        return "".join(line + "\n" for line in self._lines)

    def blank(self) -> None:
        self._lines.append("")

    def heading(self, text: str) -> None:
        self.blank()
        self.grid([[self.span(text, "bold")]])

    def span(self, text: str, style: str = "", *, multiline: bool = False) -> Span:
        """Untrusted text, made safe."""
        shown = printable(text.strip("\n"), multiline=multiline)
        if not self._unicode:
            shown = shown.translate(_ASCII).encode("ascii", "backslashreplace").decode()
        return Span(shown.split("\n"), style)

    def status(self, status: Status, *, indent: int = 0) -> Span:
        symbol = figures.SYMBOLS[status] if self._unicode else figures.SYMBOLS[status].translate(_ASCII)
        return Span([f"{' ' * indent}{symbol} {status.value}"], _STYLE[status])

    def labelled(self, rows: Iterable[tuple[str, Span]]) -> None:
        """Labels, and beside them texts that wrap within their column."""
        self.grid([[self.span("  " + label, "dim"), text] for label, text in rows])

    def grid(self, rows: Sequence[Sequence[Span]], *, gap: int = _GAP) -> None:
        """Rows of cells; the last column takes what the others leave."""
        if not rows:
            return
        last = len(rows[0]) - 1
        most = self._width // (2 if last < 3 else 4)
        widths = [min(max(row[column].width for row in rows), most) for column in range(last)]
        widths.append(self._width - sum(widths) - gap * last)
        for row in rows:
            cells = [cell.wrapped(width) for cell, width in zip(row, widths, strict=True)]
            for number in range(max(map(len, cells))):
                parts = [cell[number] if number < len(cell) else "" for cell in cells]
                self._lines.append(self._line(parts, [cell.style for cell in row], widths, gap=gap))

    def _line(self, parts: Sequence[str], styles: Sequence[str], widths: Sequence[int], *, gap: int) -> str:
        line, owed = "", 0
        for part, style, width in zip(parts, styles, widths, strict=True):
            if part:
                line += " " * owed + styled(part, style, colour=self._colour)
                owed = 0
            owed += width - cell_width(part) + gap
        return line
