"""Memory over the steps of one workload: what both settings reserve, what is allocated, and where it was short."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from gpuimg.report import figures
from gpuimg.report.plots import svg
from gpuimg.report.plots.scales import Scale, linear, round_step, ticks
from gpuimg.report.savings import Course, Points, Saving

_LEFT, _RIGHT, _TOP, _BOTTOM, _HEIGHT = 44, 350, 22, 200, 246
_MOST_POINTS: Final = 300
"""Points drawn of a curve: about one a pixel."""
_UNITS: Final = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_CAP_IN_SIGHT: Final = 1.6
"""A limit this many times above all that is reserved would flatten the curves: it is told in words instead."""


def plot_memory(saving: Saving, course: Course, *, name: str) -> svg.Figure:
    """Draw the first pair of `saving`; `name` is unique on the page."""
    curves = [course.default_reserved, course.tuned_reserved, course.allocated]
    points = [point for curve in curves for point in curve]
    most = max([value for _, value in points], default=1.0)
    cap = saving.budget_bytes
    shows_cap = cap is not None and cap <= most * _CAP_IN_SIGHT
    unit, size = next(((unit, size) for unit, size in _UNITS if most >= size), ("B", 1))
    highest = cap if cap is not None and shows_cap and cap > most else most
    up = linear([highest / size], start=_BOTTOM, end=_TOP, most=5)
    along = _along([step for step, _ in points])
    default, tuned, allocated = ([(along.place(x), up.place(y / size)) for x, y in thinned(curve)] for curve in curves)
    parts = [
        *_frame(along, up, unit),
        svg.path("allocated", allocated, closed_at=_BOTTOM),
        svg.path("default", default),
        svg.path("tuned", tuned),
    ]
    key = [
        (svg.swatch(svg.line("default", x1=0, y1=6, x2=20, y2=6)), "reserved, default"),
        (svg.swatch(svg.line("tuned", x1=0, y1=6, x2=20, y2=6)), "reserved, tuned"),
        (svg.swatch(svg.box("allocated", left=0, top=1, right=20, bottom=11)), "allocated"),
    ]
    notes = []
    if cap is not None and shows_cap:
        y = up.place(cap / size)
        parts.append(svg.line("cap", x1=_LEFT, y1=y, x2=_RIGHT, y2=y))
        key.append((svg.swatch(svg.line("cap", x1=0, y1=6, x2=20, y2=6)), f"limit, {figures.size(cap)}"))
    elif cap is not None:
        notes.append(f"The limit, {figures.size(cap)}, lies above this plot.")
    retries = {"default": course.default_retries, "tuned": course.tuned_retries}
    if any(retries.values()):
        parts += _retries(retries, along)
        key.append((svg.swatch(svg.line("default-retry", x1=10, y1=1, x2=10, y2=11)), "retries, default"))
        key.append((svg.swatch(svg.line("tuned-retry", x1=10, y1=1, x2=10, y2=11)), "retries, tuned"))
    else:
        notes.append("No allocation had to be tried again.")
    description = (
        f"Peak reserved {_peak(course.default_reserved)} with the default, {_peak(course.tuned_reserved)} tuned, "
        f"over {len(course.default_reserved) or len(course.tuned_reserved)} points of one pair."
    )
    picture = svg.document(
        name=name, title=f"Memory over steps, {saving.name}", description=description, height=_HEIGHT, parts=parts
    )
    return svg.Figure(title=saving.name, picture=picture, key=tuple(key), notes=tuple(notes))


def thinned(points: Points, most: int = _MOST_POINTS) -> Points:
    """At most `most` of `points`: of neighbours the highest, so that no peak is lost, and both ends."""
    if len(points) <= most:
        return points
    inner, share = points[1:-1], (len(points) - 2) / (most - 2)
    ends = pairwise(round(number * share) for number in range(most - 1))
    kept = [max(inner[start:end], key=lambda point: point[1]) for start, end in ends]
    return (points[0], *kept, points[-1])


def _along(steps: Sequence[float]) -> Scale:
    """From the first step to the last: no rounding, since a run has as many steps as it has."""
    first, last = min(steps, default=0.0), max(steps, default=1.0)
    last = last if last > first else first + 1
    return Scale(low=first, high=last, start=_LEFT, end=_RIGHT, step=max(round_step(last - first, most=6), 1.0))


def _frame(along: Scale, up: Scale, unit: str) -> list[Markup]:
    parts = []
    for value in ticks(up):
        y = up.place(value)
        parts.append(svg.line("grid" if value else "zero", x1=_LEFT, y1=y, x2=_RIGHT, y2=y))
        parts.append(svg.label("tick end", figures.short(value), x=_LEFT - 6, y=y + 4))
    parts.append(svg.label("tick end", unit, x=_LEFT - 6, y=_TOP - 10))
    parts += [svg.label("tick middle", f"{x:.0f}", x=along.place(x), y=_BOTTOM + 31) for x in ticks(along)]
    parts.append(svg.label("tick middle", "step", x=(_LEFT + _RIGHT) / 2, y=_BOTTOM + 45))
    return parts


def _retries(retries: dict[str, Sequence[float]], along: Scale) -> list[Markup]:
    """Below the axis a stroke for each step with a retry, those of the default above."""
    parts = []
    for (arm, steps), top in zip(retries.items(), (_BOTTOM + 3, _BOTTOM + 11), strict=True):
        for step in steps[:_MOST_POINTS]:
            x = along.place(step)
            parts.append(svg.line(f"{arm}-retry", x1=x, y1=top, x2=x, y2=top + 7))
    return parts


def _peak(curve: Points) -> str:
    return figures.size(max(value for _, value in curve)) if curve else "unknown"
