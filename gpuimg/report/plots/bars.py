"""Rates as bars: the median filled, the best as a tick, the datasheet's figure as an outline."""

from __future__ import annotations

from collections.abc import Sequence

from gpuimg.report.plots import rows, svg
from gpuimg.report.plots.scales import linear
from gpuimg.report.speeds import Rate, rate_text


def plot_rates(rates: Sequence[Rate], *, title: str, name: str) -> svg.Figure | None:
    """Draw rates of one unit; None where there are none."""
    if not rates:
        return None
    shown = [(rate.name, rate_text(rate)) for rate in rates]
    values = [value for rate in rates for value in (rate.value, rate.best, rate.peak) if value is not None]
    scale = linear(values, start=rows.START, end=rows.END)
    marks = []
    for number, rate in enumerate(rates):
        top, bottom = rows.middle(number) - 6, rows.middle(number) + 6
        if rate.peak is not None:
            marks.append(svg.box("peak", left=rows.START, top=top, right=scale.place(rate.peak), bottom=bottom))
        marks.append(svg.box("bar", left=rows.START, top=top, right=scale.place(rate.value), bottom=bottom))
        if rate.best is not None:
            x = scale.place(rate.best)
            marks.append(svg.line("best", x1=x, y1=top - 3, x2=x, y2=bottom + 3))
    has_best = any(rate.best is not None for rate in rates)
    has_peak = any(rate.peak is not None for rate in rates)
    key = [(svg.swatch(svg.box("bar", left=0, top=2, right=20, bottom=10)), "median" if has_best else "measured")]
    if has_best:
        key.append((svg.swatch(svg.line("best", x1=10, y1=0, x2=10, y2=12)), "best shape and run (MAMF)"))
    if has_peak:
        key.append((svg.swatch(svg.box("peak", left=1, top=2, right=19, bottom=10)), "datasheet, dense"))
    notes = () if has_peak or not has_best else ("No datasheet figure is known for this chip.",)
    return rows.figure(shown, marks, name=name, title=title, scale=scale, unit=rates[0].unit, key=key, notes=notes)
