"""Reports as a short summary in GitHub-flavoured Markdown, for ``GITHUB_STEP_SUMMARY``.

All that comes from images stands in code, inline or fenced: there Markdown, HTML, links and mentions are only letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gpuimg.model import Check, Report, Status
from gpuimg.report import figures, products, readings, savings, speeds
from gpuimg.text import printable, shorten, wrap

LIMIT_BYTES: Final = 1 << 20
"""What GitHub takes of the summary of one step:
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits"""
_SYMBOL: Final = {Status.PASS: "✅", Status.FAIL: "❌", Status.SKIP: "⏭️"}
_WIDTH: Final = 110
"""Columns of a fenced block that need no scrolling."""
_MARGIN: Final = " " * 10
_CODE_COLUMNS: Final = 400
_TEXT_COLUMNS: Final = 4000
_LEFT_OUT: Final = (
    "\n*The rest is left out: GitHub takes no longer summary. `--json`, `--junit` and `--html` have all.*\n"
)


def dumps(reports: Sequence[Report], *, limit_bytes: int = LIMIT_BYTES) -> str:
    """The summary, whole up to `limit_bytes` of UTF-8; what is left out then, is said at its end."""
    kept: list[str] = []
    size = 0
    for part in _parts(reports):
        size += len(part.encode())
        if size > limit_bytes:
            return _cut_short(kept, limit_bytes)
        kept.append(part)
    return "".join(kept)


def _cut_short(parts: Sequence[str], limit_bytes: int) -> str:
    """As many of `parts` as leave room to say that others are left out; nothing where not one does."""
    room = limit_bytes - len(_LEFT_OUT.encode())
    kept = []
    for part in parts:
        room -= len(part.encode())
        if room < 0:
            break
        kept.append(part)
    return "".join(kept) + _LEFT_OUT if kept else ""


def _parts(reports: Sequence[Report]) -> Iterator[str]:
    """The summary in pieces after each of which it may end."""
    failed = sum(figures.verdict(report) is Status.FAIL for report in reports)
    worst = figures.worst(reports)
    noun = "image" if len(reports) == 1 else "images"
    yield f"## {_SYMBOL[worst]} gpuimg: {worst.value}, {failed} of {len(reports)} {noun} failed\n\n"
    yield from _images(reports)
    if failed:
        yield "\n### What failed\n"
        yield from (_failure(report, check) for report in reports for check in report.failed)
    tables = [table for report in reports if (table := _measured(report, named=len(reports) > 1))]
    if tables:
        yield "\n### Measured\n"
        yield from tables
    if any(figures.counts(report)[Status.SKIP] for report in reports):
        yield "\n### Skipped\n\n"
        yield from _skipped(reports)


def _images(reports: Sequence[Report]) -> Iterator[str]:
    if not reports:
        return
    yield "| verdict | image | torch | Python | GPU | PASS | FAIL | SKIP | took |\n"
    yield "| --- | --- | --- | --- | --- | ---: | ---: | ---: | ---: |\n"
    for report in reports:
        verdict, count = figures.verdict(report), figures.counts(report)
        gpus = ", ".join(dict.fromkeys(str(gpu.get("name") or "unnamed GPU") for gpu in report.gpus))
        cells = [
            f"{_SYMBOL[verdict]} {verdict.value}",
            code(figures.subject(report), cell=True),
            code(report.torch or "", cell=True),
            code(report.python or "", cell=True),
            f"{len(report.gpus)} × {code(gpus, cell=True)}" if gpus else "none",
            *(str(count[status]) for status in Status),
            figures.duration(report.seconds),
        ]
        yield _row(cells)
    for report in reports:
        for notice in report.notices:
            yield f"\n> {code(figures.subject(report))}: {code(notice)}\n"


def _failure(report: Report, check: Check) -> str:
    """A check with all that its failure says."""
    measured = ", ".join(f"{name} {figures.value(value)}" for name, value in check.measured.items())
    texts = {
        "measured": measured,
        "expected": check.expected or "",
        "reason": figures.reason(check),
        "remedy": check.remedy or "",
    }
    lines = [line for label, text in texts.items() if text for line in _labelled(label, text)]
    name = code(check.name) + readings.on_gpu(report, check)
    return f"\n**{name}** in {code(figures.subject(report))}\n\n{fenced(lines)}\n"


def _labelled(label: str, text: str) -> Iterator[str]:
    shown = printable(shorten(text.strip("\n")[: 2 * _TEXT_COLUMNS], _TEXT_COLUMNS), multiline=True)
    lines = [part for line in shown.split("\n") for part in wrap(line, _WIDTH - len(_MARGIN))]
    yield from (f"{label if not n else '':<{len(_MARGIN)}}{line}".rstrip() for n, line in enumerate(lines))


def _measured(report: Report, *, named: bool) -> str:
    """A table of what is of note: savings with the claim beside, rates, and the largest errors beside their bounds."""
    rows = [
        *((f"allocator, {saving.name}", [savings.sentence(saving)]) for saving in savings.read_savings(report)),
        ("matmul", [f"{rate.name} {speeds.rate_text(rate)}" for rate in speeds.read_matmul(report)]),
        ("memory and links", [f"{rate.name} {speeds.rate_text(rate)}" for rate in speeds.read_links(report)]),
        ("max z", [f"{error.name} {products.error_text(error)}" for error in products.read_errors(report)]),
    ]
    told = [
        _row([code(what, cell=True), "<br>".join(code(result, cell=True) for result in results)])
        for what, results in rows
        if results
    ]
    title = f"\n{code(figures.subject(report))}\n" if named else ""
    return f"{title}\n| what | result |\n| --- | --- |\n{''.join(told)}" if told else ""


def _skipped(reports: Iterable[Report]) -> Iterator[str]:
    found: dict[str, dict[str, None]] = {}
    for report in reports:
        for reason, checks in figures.skipped_by_reason(report.checks).items():
            found.setdefault(reason, {}).update(dict.fromkeys(check.name for check in checks))
    for reason, names in sorted(found.items(), key=lambda item: -len(item[1])):
        noun = "check" if len(names) == 1 else "checks"
        yield f"- {len(names)} {noun}: {code(reason)}: {', '.join(code(name) for name in names)}\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


# --- what Markdown only shows ----------------------------------------------------------------------------------------


def code(text: str, *, cell: bool = False) -> str:
    r"""`text` in one line of inline code; in a `cell` of a table a bar is escaped.

    >>> print(code("a `b` | <c> @d"))
    `` a `b` | <c> @d ``
    >>> print(code("a|b", cell=True))
    `a\|b`
    """
    shown = shorten(" ".join(printable(text).split()), _CODE_COLUMNS)
    if not shown:
        return "–"
    if cell:
        shown = shown.replace("|", r"\|")
    mark = _longer_than_any(shown, least=1)
    return f"{mark} {shown} {mark}" if "`" in shown else f"{mark}{shown}{mark}"


def fenced(lines: Sequence[str]) -> str:
    """`lines` as a block of code that none of them can end."""
    mark = _longer_than_any("\n".join(lines), least=3)
    return "\n".join([f"{mark}text", *lines, mark])


def _longer_than_any(text: str, *, least: int) -> str:
    """More backticks than stand together anywhere in `text`."""
    return "`" * max([least, *(len(run) + 1 for run in re.findall("`+", text))])
