"""Max z of each type on a logarithmic axis, its bound as a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gpuimg.report.plots import rows, svg
from gpuimg.report.plots.scales import decades
from gpuimg.report.products import Error, error_text

_LOWEST, _HIGHEST = 1e-3, 1e6
_ZERO_NOTE: Final = "An error of 0 stands on the left edge: a logarithmic axis has no 0."


def plot_errors(errors: Sequence[Error], *, name: str) -> svg.Figure | None:
    """Draw those whose max z is a number; None where there are none."""
    shown = [error for error in errors if error.max_z is not None]
    if not shown:
        return None
    named = [(error.name, error_text(error)) for error in shown]
    values = [value for error in shown for value in (error.max_z, error.bound) if value is not None]
    held = [min(max(value, _LOWEST), _HIGHEST) for value in values if value > 0]
    scale = decades(held, start=rows.START, end=rows.END)
    marks = []
    for number, error in enumerate(shown):
        top, bottom = rows.span(number)
        if error.bound is not None:
            x = scale.place(error.bound)
            marks.append(svg.line("bound", x1=x, y1=top, x2=x, y2=bottom))
        if error.max_z is not None:
            kind = "over-dot" if error.failed else "tuned-dot"
            marks.append(svg.dot(kind, x=scale.place(error.max_z), y=rows.middle(number), radius=5))
    key = [(svg.swatch(svg.dot("tuned-dot", x=10, y=6, radius=5)), "max z")]
    if any(error.failed for error in shown):
        key.append((svg.swatch(svg.dot("over-dot", x=10, y=6, radius=5)), "max z over its bound"))
    if any(error.bound is not None for error in shown):
        key.append((svg.swatch(svg.line("bound", x1=10, y1=0, x2=10, y2=12)), "bound"))
    return rows.figure(
        named,
        marks,
        name=name,
        title="Largest error of a matrix product, in units of its type's roundoff u",
        scale=scale,
        unit="max z in u, logarithmic",
        key=key,
        notes=(_ZERO_NOTE,) if any(error.max_z is not None and error.max_z <= 0 for error in shown) else (),
    )
