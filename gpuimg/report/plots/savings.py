"""What the tuned allocator saves: in percent beside the claim, and in bytes, default beside tuned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from gpuimg.report import figures
from gpuimg.report.plots import rows, svg
from gpuimg.report.plots.scales import Scale, linear
from gpuimg.report.readings import median
from gpuimg.report.savings import Pair, Saving, cap_text, claim_text, spread_text

_GIB: Final = 1 << 30
_MOST_PERCENT: Final = 100.0
_LEAST_SIGHT: Final = 30.0
"""Percent that are always in sight, so that a small saving looks small."""
_MOST_PAIRS: Final = 100


def plot_percent(savings: Sequence[Saving], *, name: str) -> svg.Figure | None:
    """Both savings of each workload, each pair a dot; None where none was measured."""
    shown = [saving for saving in savings if saving.peak is not None or saving.cap_saving is not None]
    if not shown:
        return None
    scale = _percents(shown)
    drawn: list[tuple[str, str]] = []
    marks: list[Markup] = []
    for saving in shown:
        first = len(drawn)
        if saving.peak is not None:
            drawn.append((f"{saving.name}: peak reserved", spread_text(saving.peak)))
        if saving.cap_saving is not None:
            drawn.append((f"{saving.name}: smallest memory", f"{figures.short(saving.cap_saving)} %"))
        if saving.claim is not None:
            marks += [_band(saving.claim, scale, rows.span(number)) for number in range(first, len(drawn))]
        marks += _percent_marks(saving, scale, first)
    key = [(svg.swatch(svg.dot("tuned-dot", x=10, y=6, radius=5)), "median, and the range of the pairs")]
    if any(saving.pairs for saving in shown):
        key.append((svg.swatch(svg.dot("pair", x=10, y=6, radius=3)), "a pair"))
    if any(saving.cap_saving is not None for saving in shown):
        key.append((svg.swatch(_diamond("cap-dot", 10, 6)), "smallest memory that fits, measured once"))
    if any(saving.claim for saving in shown):
        key.append((svg.swatch(svg.box("claim", left=0, top=0, right=20, bottom=12)), "what is claimed"))
    return rows.figure(
        drawn,
        marks,
        name=name,
        title="Saved, in percent of the default",
        scale=scale,
        unit="% less than the default",
        key=key,
        notes=_percent_notes(shown, scale),
    )


def plot_bytes(savings: Sequence[Saving], *, name: str) -> svg.Figure | None:
    """Default and tuned as paired dots with their ranges; None where no pair was measured."""
    drawn = [line for saving in savings for line in _lines(saving)]
    if not drawn:
        return None
    largest = max(value for line in drawn for value in (*line.default, *line.tuned))
    unit, size = ("GiB", _GIB) if largest >= _GIB else ("MiB", 1 << 20)
    scale = linear([largest / size], start=rows.START, end=rows.END)
    return rows.figure(
        [(line.name, line.words) for line in drawn],
        [mark for number, line in enumerate(drawn) for mark in _paired(line, scale, size, number)],
        name=name,
        title="Default beside tuned",
        scale=scale,
        unit=unit,
        key=(
            (svg.swatch(svg.dot("default-dot", x=10, y=6, radius=4)), "default: median, range of the pairs"),
            (svg.swatch(svg.dot("tuned-dot", x=10, y=6, radius=5)), "tuned"),
        ),
    )


# --- percent ---------------------------------------------------------------------------------------------------------


def _percents(savings: Sequence[Saving]) -> Scale:
    values = [_LEAST_SIGHT]
    for saving in savings:
        values += [saving.peak.low, saving.peak.median, saving.peak.high] if saving.peak is not None else []
        values += [saving.cap_saving] if saving.cap_saving is not None else []
        values += [end for end in saving.claim if end is not None] if saving.claim is not None else []
        values += [pair.saving for pair in saving.pairs]
    held = [min(max(value, -_MOST_PERCENT), _MOST_PERCENT) for value in values]
    return linear(held, start=rows.START, end=rows.END)


def _percent_notes(savings: Sequence[Saving], scale: Scale) -> list[str]:
    claims = [f"{saving.name} {claim_text(saving.claim)}" for saving in savings if saving.claim is not None]
    notes = [f"Claimed: {'; '.join(claims)}."] if claims else []
    return [*notes, "Left of 0 the tuned allocator takes more."] if scale.low < 0 else notes


def _band(claim: tuple[float, float | None], scale: Scale, span: tuple[float, float]) -> Markup:
    """What is claimed; without an upper end, up to the edge."""
    low, high = claim
    right = rows.END if high is None else scale.place(high)
    return svg.box("claim", left=scale.place(low), top=span[0], right=right, bottom=span[1])


def _percent_marks(saving: Saving, scale: Scale, row: int) -> list[Markup]:
    marks = []
    if saving.peak is not None:
        y = rows.middle(row)
        low, middle, high = (scale.place(value) for value in (saving.peak.low, saving.peak.median, saving.peak.high))
        marks.append(svg.line("tuned-range", x1=low, y1=y, x2=high, y2=y))
        marks += [svg.dot("pair", x=scale.place(pair.saving), y=y, radius=3) for pair in saving.pairs[:_MOST_PAIRS]]
        marks.append(svg.dot("tuned-dot", x=middle, y=y, radius=5))
        row += 1
    if saving.cap_saving is not None:
        marks.append(_diamond("cap-dot", scale.place(saving.cap_saving), rows.middle(row)))
    return marks


def _diamond(kind: str, x: float, y: float) -> Markup:
    return svg.path(kind, [(x - 6, y), (x, y - 6), (x + 6, y)], closed_at=y) + svg.path(
        kind, [(x - 6, y), (x, y + 6), (x + 6, y)], closed_at=y
    )


# --- bytes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A row: bytes of all pairs with each setting."""

    name: str
    words: str
    default: tuple[float, ...]
    tuned: tuple[float, ...]


def _lines(saving: Saving) -> list[_Line]:
    lines = []
    if saving.pairs:
        default, tuned = _peaks(saving.pairs)
        words = " → ".join(figures.size(median(values) or 0.0) for values in (default, tuned))
        lines.append(_Line(name=f"{saving.name}: peak reserved", words=words, default=default, tuned=tuned))
    caps = saving.default_cap, saving.tuned_cap
    if any(caps):
        words = " → ".join(cap_text(cap) for cap in caps)
        sizes = [() if cap is None else (cap.size_bytes,) for cap in caps]
        lines.append(_Line(name=f"{saving.name}: smallest memory", words=words, default=sizes[0], tuned=sizes[1]))
    return lines


def _peaks(pairs: Sequence[Pair]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(pair.default_peak for pair in pairs), tuple(pair.tuned_peak for pair in pairs)


def _paired(line: _Line, scale: Scale, size: int, row: int) -> list[Markup]:
    """The arms stand one above the other, so that their ranges don't hide each other."""
    marks: list[Markup] = []
    y = rows.middle(row)
    places = [[scale.place(value / size) for value in arm] for arm in (line.default, line.tuned)]
    middles = [median(arm) for arm in places]
    if middles[0] is not None and middles[1] is not None:
        marks.append(svg.line("pairing", x1=middles[0], y1=y - 4, x2=middles[1], y2=y + 4))
    for arm, values, place, offset in zip(("default", "tuned"), places, middles, (-4, 4), strict=True):
        if place is not None:
            at = y + offset
            marks.append(svg.line(f"{arm}-range", x1=min(values), y1=at, x2=max(values), y2=at))
            marks.append(svg.dot(f"{arm}-dot", x=place, y=at, radius=4 if arm == "default" else 5))
    return marks
