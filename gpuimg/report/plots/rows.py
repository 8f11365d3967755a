"""Plots of rows: above each row its name and what it says in words, below all of them one axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from markupsafe import Markup

from gpuimg.report import figures
from gpuimg.report.plots import svg
from gpuimg.report.plots.scales import Scale, ticks
from gpuimg.text import cell_width

START: Final = 16
END: Final = svg.WIDTH - 16
_ROW: Final = 42
_AXIS: Final = 36
_COLUMNS: Final = 50
"""Letters that fit the width."""
_MOST_SAID: Final = 44
_LEAST_NAME: Final = 8
"""Letters of a name that are shown whatever stands beside it."""


def figure(
    rows: Sequence[tuple[str, str]],
    marks: Iterable[Markup],
    *,
    name: str,
    title: str,
    scale: Scale,
    unit: str,
    key: Sequence[tuple[Markup, str]],
    notes: Sequence[str] = (),
) -> svg.Figure:
    """Draw `marks` on rows, each with its name and what it says: together these are the picture in words."""
    picture = svg.document(
        name=name,
        title=title,
        description="; ".join(f"{label}: {words}" for label, words in rows) + ".",
        height=_ROW * len(rows) + _AXIS,
        parts=[*frame(rows, scale, unit=unit), *marks],
    )
    return svg.Figure(title=title, picture=picture, key=tuple(key), notes=tuple(notes))


def middle(number: int) -> float:
    """The height of the marks of a row, counted from 0."""
    return _ROW * number + 28


def span(number: int) -> tuple[float, float]:
    """Top and bottom of the marks of a row."""
    return middle(number) - 10, middle(number) + 10


def frame(rows: Sequence[tuple[str, str]], scale: Scale, *, unit: str) -> list[Markup]:
    """Grid, axis, and for each row its name and what it says."""
    bottom = _ROW * len(rows)
    parts = []
    for value in ticks(scale):
        x = scale.place(value)
        kind = "grid" if value or scale.logarithmic else "zero"
        for number in range(len(rows)):
            top, end = span(number)
            parts.append(svg.line(kind, x1=x, y1=top, x2=x, y2=end))
        parts.append(svg.label("tick middle", figures.short(value), x=x, y=bottom + 14))
    parts.append(svg.label("tick middle", unit, x=svg.WIDTH / 2, y=bottom + 29))
    for number, (name, words) in enumerate(rows):
        y = _ROW * number + 14
        room = max(_COLUMNS - cell_width(words), _LEAST_NAME)
        parts.append(svg.label("name", name, x=0, y=y, room=room))
        parts.append(svg.label("said", words, x=svg.WIDTH, y=y, room=_MOST_SAID))
    return parts
