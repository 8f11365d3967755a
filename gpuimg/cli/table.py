"""Tables as lines of text: plain columns for programs, fitted ones for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from gpuimg.text import cell_width, shorten, wrap

_GAP = 2
_NARROWEST = 8
"""No column gets narrower than this; a table that still doesn't fit becomes a list."""


def plain_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns with a header, nothing cut; an empty cell is ``-`` so that fields keep their number."""
    cells = [[header.upper() for header in headers], *([cell or "-" for cell in row] for row in rows)]
    widths = _natural_widths(cells)
    return "".join(_line(row, widths) + "\n" for row in cells)


def terminal_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, width: int, elastic: str, unicode: bool = True
) -> list[str]:
    """Lines of at most `width` columns: the column `elastic` wraps first, then the others are cut, right to left.

    Where even that is too wide, each row becomes a block of ``header: cell`` lines.
    """
    cells = [[header.upper() for header in headers], *([cell or "-" for cell in row] for row in rows)]
    widths = _natural_widths(cells)
    at = headers.index(elastic)
    order = [at, *(column for column in reversed(range(len(headers))) if column not in {0, at}), *({0} - {at})]
    for column in order:
        excess = sum(widths) + _GAP * (len(widths) - 1) - width
        if excess > 0:
            widths[column] = max(min(_NARROWEST, widths[column]), widths[column] - excess)
    if sum(widths) + _GAP * (len(widths) - 1) > width:
        return _blocks(headers, rows, width)
    ellipsis = "…" if unicode else "..."
    lines = []
    for row in cells:
        wrapped = wrap(row[at], widths[at])
        for number, part in enumerate(wrapped):
            shown = [
                shorten(cell, size, ellipsis=ellipsis) if number == 0 else ""
                for cell, size in zip(row, widths, strict=True)
            ]
            shown[at] = part
            lines.append(_line(shown, widths))
    return lines


def _natural_widths(cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(cell_width(row[column]) for row in cells) for column in range(len(cells[0]))]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    gap = " " * _GAP
    return gap.join(cell + " " * (size - cell_width(cell)) for cell, size in zip(cells, widths, strict=True)).rstrip()


def _blocks(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    lines: list[str] = []
    for row in rows:
        for number, (header, cell) in enumerate(zip(headers, row, strict=True)):
            indent = "" if number == 0 else "  "
            first, *rest = wrap(f"{header}: {cell or '-'}", width - len(indent))
            lines += [indent + first, *(wrapped for part in rest for wrapped in _hanging(part, width))]
    return lines


def _hanging(text: str, width: int) -> list[str]:
    return [("    " + part)[:width] for part in wrap(text, width - 4)]
