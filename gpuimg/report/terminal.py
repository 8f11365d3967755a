"""A report to read on a terminal: the verdict first and last, then what failed, then all the rest.

Names, reasons and values come from images: whatever a terminal would obey is shown, never followed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from gpuimg.model import Check, Report, Status
from gpuimg.report import figures
from gpuimg.report.page import Page
from gpuimg.report.savings import read_saving, sentence
from gpuimg.text import cell_width, shorten

_MEASURED_SHOWN: Final = 4
"""Values that a passed check shows; a failed one shows all."""
_VALUE_COLUMNS: Final = 48
_SUMMARY_COLUMNS: Final = 48
"""What a line of the summary needs beside the image's name."""


def render_report(report: Report, *, width: int, colour: bool, unicode: bool) -> str:
    """The whole report as text of at most `width` columns (40, where that is less)."""
    page = Page(width=width, colour=colour, unicode=unicode)
    several = len(report.gpus) > 1
    folded = figures.skipped_together(report.checks)
    _verdict(page, report)
    _facts(page, report)
    _notices(page, report)
    for check in report.failed:
        _failure(page, check, several=several)
    _stack(page, [check for check in report.checks if check.group == "stack"])
    for group, checks in figures.groups(check for check in report.checks if check.group != "stack").items():
        own = [check for check in checks if check.status is not Status.SKIP or check.reason not in folded]
        _group(page, group, own, several=several)
    _skipped(page, folded)
    page.blank()
    _verdict(page, report)
    return page.text


def render_brief(report: Report, *, width: int, colour: bool, unicode: bool) -> str:
    """One of several images: its verdict and what failed, no more. Whole reports of many are nothing to read."""
    page = Page(width=width, colour=colour, unicode=unicode)
    page.blank()
    page.grid([[page.span(figures.subject(report), "bold")]])
    _verdict(page, report)
    _notices(page, report)
    for check in report.failed:
        _failure(page, check, several=len(report.gpus) > 1)
    page.blank()
    return page.text


def render_failures(reports: Sequence[Report], *, width: int, colour: bool, unicode: bool) -> str:
    """What failed on several machines. What failed on many in the same way is told once, with their names; so are
    checks that failed for the same reason."""
    page = Page(width=width, colour=colour, unicode=unicode)
    alike: dict[tuple[str, str | None], list[Report]] = {}
    for report in reports:
        for check in report.failed:
            alike.setdefault((check.name, check.reason), []).append(report)
    told: dict[tuple[str | None, tuple[str, ...]], list[Check]] = {}
    for (name, reason), on in alike.items():
        subjects = tuple(map(figures.subject, on))
        told.setdefault((reason, subjects), []).append(next(check for check in on[0].failed if check.name == name))
    for (_, subjects), checks in told.items():
        names = figures.names([check.name for check in checks])
        check = (
            checks[0] if len(checks) == 1 else dataclasses.replace(checks[0], name=names, measured={}, expected=None)
        )
        _failure(page, check, several=False, on=figures.names(subjects))
    return page.text


def render_summary(reports: Sequence[Report], *, width: int, colour: bool, unicode: bool) -> str:
    """One line for each image, then how many failed."""
    page = Page(width=width, colour=colour, unicode=unicode)
    beside = max((cell_width(figures.subject(report)) for report in reports), default=0) + _SUMMARY_COLUMNS <= width
    rows = []
    for report in reports:
        count = figures.counts(report)
        row = [
            page.status(figures.verdict(report)),
            page.span(f"PASS {count[Status.PASS]}"),
            page.span(f"FAIL {count[Status.FAIL]}", "red" if count[Status.FAIL] else "dim"),
            page.span(f"SKIP {count[Status.SKIP]}", "dim"),
            page.span(figures.duration(report.seconds), "dim"),
            page.span(figures.subject(report)),
        ]
        rows.append(row if beside else row[:-1])
        if not beside:
            page.grid([[row[-1]]])
            page.grid([[page.span(""), *row[:-1]]])
    if beside:
        page.grid(rows)
    failed = sum(bool(report.failed) for report in reports)
    what = "report" if any(report.node for report in reports) else "image"
    page.blank()
    told = f"{failed} of {figures.number(len(reports), what)} failed"
    page.grid([[page.status(figures.worst(reports)), page.span(told, "bold")]])
    return page.text


# --- sections --------------------------------------------------------------------------------------------------------


def _verdict(page: Page, report: Report) -> None:
    count, verdict = figures.counts(report), figures.verdict(report)
    ran = figures.number(count[Status.PASS] + count[Status.FAIL], "check")
    words = {
        Status.PASS: "all that ran held",
        Status.FAIL: f"{count[Status.FAIL]} of {ran} failed",
        Status.SKIP: "no check could run",
    }[verdict]
    numbers = "  ".join(f"{status.value} {number}" for status, number in count.items())
    page.grid([[page.status(verdict), page.span(f": {words}  ({numbers})", "bold")]], gap=0)


def _notices(page: Page, report: Report) -> None:
    for notice in report.notices:
        page.blank()
        page.grid([[page.span("notice:", "yellow"), page.span(notice)]], gap=1)


def _facts(page: Page, report: Report) -> None:
    image = report.image
    rows = [("image" if image else "checked", figures.subject(report))]
    if image:
        rows.append(("", f"{image.id[:19]}, {figures.size(image.size_bytes)}, {image.platform}"))
    if report.torch or report.python:
        rows.append(("torch", f"{report.torch or 'not found'} on Python {report.python or '?'}"))
    rows += figures.gpus(report)
    rows.append(("took", figures.duration(report.seconds)))
    page.labelled((label, page.span(text)) for label, text in rows)


def _failure(page: Page, check: Check, *, several: bool, on: str = "") -> None:
    page.blank()
    page.grid([[page.status(Status.FAIL), page.span(check.name + _on_gpu(check, several=several), "bold")]])
    texts = (
        ("measured", page.span(_measured(page, check))),
        ("expected", page.span(check.expected or "")),
        ("reason", page.span(check.reason or "", multiline=True)),
        ("remedy", page.span(check.remedy or "", multiline=True)),
        ("on", page.span(on)),
    )
    page.labelled((label, text) for label, text in texts if text.lines != [""])


def _stack(page: Page, checks: Sequence[Check]) -> None:
    """What was wanted beside what was found."""
    if not checks:
        return
    page.heading("stack")
    rows = [[page.span(""), page.span(""), page.span("wanted", "dim"), page.span("found", "dim")]]
    for check in checks:
        found = _found(page, check)
        if check.status is Status.SKIP:
            found = check.reason or ""
        style = "dim" if check.status is Status.SKIP else ""
        rows.append(
            [
                page.status(check.status, indent=2),
                page.span(_short(check)),
                page.span(check.expected or "–"),
                page.span(found or "–", style),
            ]
        )
    page.grid(rows)


def _found(page: Page, check: Check) -> str:
    """What stands beside what was wanted: the values that the expectation speaks of, else all."""
    asked = figures.asked(check)
    if len(asked) == 1:
        return figures.value(next(iter(asked.values())))
    return _measured(page, dataclasses.replace(check, measured=asked), _MEASURED_SHOWN)


def _group(page: Page, group: str, checks: Sequence[Check], *, several: bool) -> None:
    if not checks:
        return
    page.heading(group)
    rows = []
    for check in checks:
        text = _told(page, check) if check.status is Status.PASS else check.reason or ""
        name = _short(check) + _on_gpu(check, several=several)
        style = "" if check.status is Status.PASS else "dim"
        rows.append(
            [page.status(check.status, indent=2), page.span(name), page.span(" ".join(text.split()), style)],
        )
    page.grid(rows)


def _told(page: Page, check: Check) -> str:
    """What a check that held measured: of an allocator's savings both, with the claim beside them."""
    saving = read_saving(check)
    return _measured(page, check, _MEASURED_SHOWN) if saving is None else sentence(saving)


def _skipped(page: Page, folded: Mapping[str, Sequence[Check]]) -> None:
    if not folded:
        return
    page.heading("skipped")
    rows = []
    for reason, same in folded.items():
        told = page.span(f"{len(same)} checks: {' '.join(reason.split())}")
        names = page.span(", ".join(dict.fromkeys(check.name for check in same)), "dim")
        rows += [[page.status(Status.SKIP, indent=2), told], [page.span(""), names]]
    page.grid(rows)


def _measured(page: Page, check: Check, limit: int | None = None) -> str:
    values = list(check.measured.items())[:limit]
    shown = [
        f"{name} {shorten(figures.value(value), _VALUE_COLUMNS, ellipsis=page.ellipsis)}" for name, value in values
    ]
    more = len(check.measured) - len(shown)
    return ", ".join(shown) + (f" (and {more} more)" if more else "")


def _short(check: Check) -> str:
    return check.name.removeprefix(check.group + ".")


def _on_gpu(check: Check, *, several: bool) -> str:
    return f" (GPU {check.gpu})" if several and check.gpu is not None else ""
