"""What got worse since an earlier report, to read on a terminal."""

from __future__ import annotations

from typing import Final

from gpuimg.model import Status
from gpuimg.report import figures
from gpuimg.report.compare import Comparison, Pair
from gpuimg.report.metrics import Change
from gpuimg.report.page import Page

_STYLE: Final = {Change.WORSE: "red", Change.BETTER: "green", Change.NEW: "cyan", Change.OTHER: "yellow"}


def render_comparison(comparison: Comparison, *, source: str, width: int, colour: bool, unicode: bool) -> str:
    """The comparison with the report in the file `source`: images with differences, then the verdict."""
    page = Page(width=width, colour=colour, unicode=unicode)
    page.heading(f"compared with {source}")
    same = [pair for pair in comparison.pairs if pair.before is not None and not pair.differences and not pair.notices]
    for pair in comparison.pairs:
        if pair not in same:
            _pair(page, pair)
    if same or comparison.missing:
        page.blank()
    if same:
        _plain(page, f"the same as then: {', '.join(pair.subject for pair in same)}")
    if comparison.missing:
        _plain(page, f"there then, and not checked now: {', '.join(comparison.missing)}")
    page.blank()
    worse = comparison.worse
    if any(pair.before is not None for pair in comparison.pairs):
        status = Status.FAIL if worse else Status.PASS
        told = f"{figures.number(worse, 'thing')} got worse" if worse else "nothing got worse"
    else:
        status, told = Status.SKIP, "nothing to compare: no image there is one of these"
    page.grid([[page.status(status), page.span(told, "bold")]])
    return page.text


def _pair(page: Page, pair: Pair) -> None:
    page.blank()
    known_as = f", then {pair.before}" if pair.before not in {None, pair.subject} else ""
    page.grid([[page.span(pair.subject + known_as, "bold")]])
    if pair.before is None:
        _plain(page, "  not in the earlier report")
    page.labelled(("notice", page.span(notice)) for notice in pair.notices)
    page.grid(
        [
            [
                page.span(f"  {change.value}", _STYLE[change]),
                page.span(difference.subject),
                page.span(difference.text),
            ]
            for change in Change
            for difference in pair.of(change)
        ]
    )


def _plain(page: Page, text: str) -> None:
    page.grid([[page.span(text, "dim")]])
