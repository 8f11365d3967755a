"""Reports as one HTML page that needs nothing else: no request, no script. It prints, and reads in light and dark.

All text comes from images: it reaches the page escaped, and the page's policy lets the browser run nothing at all.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from gpuimg import __version__
from gpuimg.model import Check, Report, Status
from gpuimg.pages import page_environment, policy_hash
from gpuimg.report import figures, products, readings
from gpuimg.report.cells import failure_place, lay_out, skip_place
from gpuimg.report.savings import Saving, cap_text, claim_text, read_savings, runs_text, spread_text
from gpuimg.report.sections import Section, facts, sections
from gpuimg.report.speeds import Shape, read_shapes
from gpuimg.templating import render_template
from gpuimg.text import printable

_BESIDE_FOUND: Final = ("function", "path")
"""What a check of the stack says of how it knows, which has columns of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skips:
    """Checks that were skipped for one reason."""

    place: str
    reason: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A row of the stack: what was wanted and found, by which function and in which file."""

    check: Check
    found: str
    function: str | None
    path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An image's report as the template takes it. Images are counted from 1."""

    number: int
    place: str
    subject: str
    verdict: Status
    counts: dict[Status, int]
    facts: tuple[tuple[str, str], ...]
    report: Report
    failures: tuple[tuple[str, Check], ...]
    sections: tuple[Section, ...]
    savings: tuple[Saving, ...]
    shapes: tuple[Shape, ...]
    products: Mapping[str, tuple[products.Exact | None, Sequence[products.Error]]]
    stack: tuple[Found, ...]
    ran: dict[str, list[Check]]
    """By group, the stack's left out."""
    skips: tuple[Skips, ...]


def dumps(reports: Sequence[Report], *, made: dt.datetime) -> str:
    """The page of all `reports`; `made` is the time that it names."""
    environment = page_environment()
    environment.filters["lines"] = _lines
    environment.filters["unbroken"] = _unbroken
    environment.filters["amount"] = figures.value
    environment.filters["size"] = figures.size
    environment.filters["short"] = figures.short
    environment.filters["duration"] = figures.duration
    style = Markup(render_template(environment, "report.css.j2", {}))
    shown = [_shown(report, number) for number, report in enumerate(reports, 1)]
    return render_template(
        environment,
        "report.html.j2",
        {
            "images": shown,
            "groups": lay_out(reports),
            "verdict": figures.worst(reports),
            "failed": sum(image.verdict is Status.FAIL for image in shown),
            "made": made.strftime("%Y-%m-%d %H:%M %Z").strip(),
            "version": __version__,
            "symbols": figures.SYMBOLS,
            "on_gpu": readings.on_gpu,
            "cap_text": cap_text,
            "claim_text": claim_text,
            "spread_text": spread_text,
            "runs_text": runs_text,
            "error_text": products.error_text,
            "style": style,
            "style_hash": policy_hash(style),
        },
    )


def _shown(report: Report, number: int) -> Shown:
    place = f"image-{number}"
    return Shown(
        number=number,
        place=place,
        subject=figures.subject(report),
        verdict=figures.verdict(report),
        counts=figures.counts(report),
        facts=tuple(facts(report)),
        report=report,
        failures=tuple((failure_place(number, n), check) for n, check in enumerate(report.failed, 1)),
        sections=sections(report, name=place),
        savings=read_savings(report),
        shapes=read_shapes(report),
        products=products.by_type(report),
        stack=tuple(_found(check) for check in report.checks if check.group == "stack"),
        ran=figures.groups(
            check for check in report.checks if check.group != "stack" and check.status is not Status.SKIP
        ),
        skips=tuple(
            Skips(place=skip_place(number, n), reason=reason, names=tuple(dict.fromkeys(check.name for check in same)))
            for n, (reason, same) in enumerate(figures.skipped_by_reason(report.checks).items(), 1)
        ),
    )


def _found(check: Check) -> Found:
    values = {name: value for name, value in figures.asked(check).items() if name not in _BESIDE_FOUND}
    texts = [
        figures.value(value) if len(values) == 1 else f"{name} {figures.value(value)}" for name, value in values.items()
    ]
    return Found(
        check=check,
        found=", ".join(texts),
        function=readings.told(check, "function"),
        path=readings.told(check, "path"),
    )


def _lines(text: str) -> Markup:
    """Text whose line breaks are kept."""
    return escape(printable(text.strip("\n"), multiline=True))


def _unbroken(text: str) -> str:
    """Numbers that stay beside their per cent sign."""
    return text.replace(" %", "\u00a0%")
