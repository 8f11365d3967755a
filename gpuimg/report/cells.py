"""Images × checks: what each cell of the page's matrix says, and which place of the page tells more."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gpuimg.model import Report, Status
from gpuimg.report import figures

_SEVERITY: Final = (Status.PASS, Status.SKIP, Status.FAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """How a check ended in one image: the worst of its GPUs. `status` is None where it was not planned."""

    status: Status | None
    reason: str | None = None
    place: str | None = None
    """Where the page tells more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A check in all images, in their order."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Checks of one group."""

    name: str
    rows: tuple[Row, ...]


def lay_out(reports: Sequence[Report]) -> tuple[Group, ...]:
    """Give every check of any image, by group, in the order in which they were planned."""
    by_group: dict[str, dict[str, None]] = {}
    for report in reports:
        for check in report.checks:
            by_group.setdefault(check.group, {})[check.name] = None
    cells = [_cells(report, number) for number, report in enumerate(reports, 1)]
    unplanned = Cell(status=None)
    return tuple(
        Group(
            name=group,
            rows=tuple(
                Row(
                    name=name.removeprefix(f"{group}."),
                    cells=tuple(of_image.get((group, name), unplanned) for of_image in cells),
                )
                for name in names
            ),
        )
        for group, names in by_group.items()
    )


def failure_place(image: int, number: int) -> str:
    """Where the page tells of a failure: the images and the failures of each are counted from 1."""
    return f"image-{image}-failure-{number}"


def skip_place(image: int, number: int) -> str:
    """Where the page tells of a reason to skip."""
    return f"image-{image}-skip-{number}"


def _cells(report: Report, image: int) -> Mapping[tuple[str, str], Cell]:
    skips = {reason: skip_place(image, n) for n, reason in enumerate(figures.skipped_by_reason(report.checks), 1)}
    found: dict[tuple[str, str], Cell] = {}
    failures = itertools.count(1)
    for check in report.checks:
        reason, place = figures.reason(check), None
        if check.status is Status.FAIL:
            place = failure_place(image, next(failures))
        elif check.status is Status.SKIP:
            place = skips[reason]
        cell = Cell(status=check.status, reason=reason if place else None, place=place)
        before = found.setdefault((check.group, check.name), cell)
        if _severity(cell) > _severity(before):
            found[check.group, check.name] = cell
    return found


def _severity(cell: Cell) -> int:
    return -1 if cell.status is None else _SEVERITY.index(cell.status)
