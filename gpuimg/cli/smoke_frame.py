"""What the view of smoke steps shows: a line an image, computed from what its guest has said and the clock. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gpuimg.cli.drawing import Line, beside, spinner
from gpuimg.errors import GpuimgError
from gpuimg.model import Check, Report, Status
from gpuimg.report import figures
from gpuimg.smoke.protocol import Ended, Event, Sample, Started
from gpuimg.text import cell_width, printable, shorten

_GAP: Final = 2
_NARROWEST_NAME: Final = 16
_GIVE_WAY: Final = ("skip", "pass", "gpu", "time", "checks", "fail")
"""Columns in the order in which they make room for the image's name."""


@dataclass(slots=True)
class Row:
    """One image: what is known of its smoke step so far."""

    title: str
    where: str = ""
    """The GPUs that it has, where it shares them out with others."""
    began: float | None = None
    ended: float | None = None
    planned: tuple[str, ...] = ()
    statuses: dict[str, Status] = field(default_factory=dict)
    verdict: Status | None = None
    """None before its end, and where it ended in an error."""
    check_began: float = 0.0

    def begin(self, where: str, now: float) -> None:
        """Its turn has come."""
        self.where, self.began, self.check_began = where, now, now

    def take(self, event: Event, now: float) -> None:
        """What the guest says."""
        match event:
            case Started():
                self.planned, self.statuses = event.planned, {}  # a second start: the first got no GPU after all
                self.check_began = now
            case Check():
                self.statuses[event.name] = event.status
                self.check_began = now
            case Sample() | Ended():
                pass

    def end(self, outcome: Report | GpuimgError, now: float) -> None:
        """What came of it. The report knows of checks that no line told of."""
        self.ended = now
        if isinstance(outcome, Report):
            self.verdict = figures.verdict(outcome)
            self.statuses = {check.name: check.status for check in outcome.checks}

    @property
    def running(self) -> bool:
        return self.began is not None and self.ended is None

    @property
    def current(self) -> str:
        """The check that runs now, or what happens before the first."""
        if not self.planned:
            return "starting"
        return next((name for name in self.planned if name not in self.statuses), "ending")

    def count(self, status: Status) -> int:
        """How many checks ended so."""
        return sum(found is status for found in self.statuses.values())

    def seconds(self, now: float) -> float:
        """How long it took, or has taken so far."""
        return 0.0 if self.began is None else (now if self.ended is None else self.ended) - self.began


def table_lines(rows: Sequence[Row], *, width: int, height: int, now: float, unicode: bool) -> list[Line]:
    """At most `height` lines of at most `width` columns: who waits gives way first, who failed last."""
    shown = _shown(rows, height)
    hidden = len(rows) - len(shown)
    cells = {id(row): _cells(row, now) for row in shown}
    widths = _widths(list(cells.values()), width)
    lines: list[Line] = []
    room = height - len(shown) - bool(hidden)
    if room > 0 and len(widths) > 1:
        lines.append(Line(_joined("  ", "image", {name: name for name in widths}, widths, unicode=unicode), "dim"))
        room -= 1
    for row in shown:
        mark, style = _mark(row, now, unicode=unicode)
        lines.append(Line(_joined(f"{mark} ", row.title, cells[id(row)], widths, unicode=unicode), style))
        if row.running and room > 0:
            since = figures.duration(now - row.check_began)
            lines.append(Line(beside(f"    {row.current}", since, width, unicode=unicode), "dim"))
            room -= 1
    if hidden and len(lines) < height:
        waiting = sum(row.began is None for row in rows)
        text = f"  {'…' if unicode else '...'} {hidden} more, {waiting} of {len(rows)} waiting"
        lines.append(Line(beside(text, "", width, unicode=unicode), "dim"))
    return [Line(shorten(line.text, width, ellipsis=""), line.style) for line in lines]


def _shown(rows: Sequence[Row], height: int) -> list[Row]:
    shown = list(rows)
    wait = [row for row in reversed(rows) if row.began is None]
    passed = [row for row in rows if row.ended is not None and row.verdict in {Status.PASS, Status.SKIP}]
    failed = [row for row in rows if row.ended is not None and row.verdict in {Status.FAIL, None}]
    for row in (*wait, *passed, *failed):
        if len(shown) + (len(shown) < len(rows)) <= height:
            break
        shown.remove(row)
    return shown[:height]


def _cells(row: Row, now: float) -> dict[str, str]:
    if row.began is None:
        return {"gpu": "", "checks": "", "pass": "", "fail": "", "skip": "", "time": "waiting"}
    done, planned = len(row.statuses), len(row.planned)
    return {
        "gpu": row.where,
        "checks": f"{done}/{max(planned, done)}" if planned or done else "",
        "pass": str(row.count(Status.PASS)),
        "fail": str(row.count(Status.FAIL)),
        "skip": str(row.count(Status.SKIP)),
        "time": figures.duration(row.seconds(now)),
    }


def _widths(cells: Sequence[dict[str, str]], width: int) -> dict[str, int]:
    """The columns that there is room for, with the image's own, which takes what is left, as ``image``."""
    names = [name for name in (cells[0] if cells else ()) if name != "gpu" or any(row["gpu"] for row in cells)]
    widths = {name: max(len(name), *(cell_width(row[name]) for row in cells)) for name in names}
    for name in _GIVE_WAY:
        left = width - 2 - sum(size + _GAP for size in widths.values())
        if left >= _NARROWEST_NAME:
            break
        widths.pop(name, None)
    return {"image": max(width - 2 - sum(size + _GAP for size in widths.values()), 1), **widths}


def _joined(mark: str, title: str, cells: dict[str, str], widths: dict[str, int], *, unicode: bool) -> str:
    room = widths["image"]
    name = _end_of(printable(title), room, unicode=unicode)
    text = mark + name + " " * (room - cell_width(name))
    for column, size in list(widths.items())[1:]:
        text += " " * (_GAP + size - cell_width(cells[column])) + cells[column]
    return text.rstrip()


def _end_of(text: str, width: int, *, unicode: bool) -> str:
    """The end of an image's name, which tells it from the others, where all of it is too wide."""
    if cell_width(text) <= width:
        return text
    dots = "…" if unicode else "..."
    kept = text[-max(width - len(dots), 1) :]
    while cell_width(dots + kept) > width and kept:
        kept = kept[1:]
    return (dots + kept)[:width]


def _mark(row: Row, now: float, *, unicode: bool) -> tuple[str, str]:
    if row.began is None:
        return "·" if unicode else ".", "dim"
    failed = row.count(Status.FAIL) > 0
    if row.ended is None:
        return spinner(now, unicode=unicode), "red" if failed else "cyan"
    if failed or row.verdict is None:
        return "✗" if unicode else "x", "red"
    if row.verdict is Status.SKIP:
        return "–" if unicode else "-", "yellow"
    return "✓" if unicode else "+", "green"
