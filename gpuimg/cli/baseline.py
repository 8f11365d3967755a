"""``--baseline``: an earlier report, read before any work, and what got worse since, shown after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from gpuimg.errors import RequestError
from gpuimg.model import Check, Report
from gpuimg.text import shown_path

if TYPE_CHECKING:
    from gpuimg.cli.console import Console


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Earlier reports, and which checks can be missed now."""

    source: str
    reports: tuple[Report, ...]
    asked: Callable[[Check], bool]


def read_baseline(path: Path, *, only: Sequence[str], skip: Sequence[str]) -> Baseline:
    """The reports in the file at `path`; what `only` and `skip` leave out of this run is not missed.

    Raises RequestError for a file that can't be read, is no report of ours, or holds none.
    """
    from gpuimg.report import as_json

    shown = shown_path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise RequestError(f"the earlier report {shown} can't be read: {why}") from error
    reports = as_json.loads(text, source=shown)
    if not reports:
        raise RequestError(f"{shown} holds no report to compare with")
    return Baseline(source=shown, reports=reports, asked=lambda check: _asked(check, only, skip))


def show_changes(baseline: Baseline, reports: Sequence[Report], console: Console) -> bool:
    """Show what is not as it was; give whether something got worse."""
    from gpuimg.report.changes import render_comparison
    from gpuimg.report.compare import compare

    comparison = compare(baseline.reports, reports, asked=baseline.asked)
    err = console.err
    console.rendered(
        render_comparison(comparison, source=baseline.source, width=err.width, colour=err.colour, unicode=err.unicode)
    )
    return comparison.worse > 0


def _asked(check: Check, only: Sequence[str], skip: Sequence[str]) -> bool:
    """As the guest chooses: by the name of a check or a group, or a glob on checks."""

    def named(patterns: Sequence[str]) -> bool:
        return any(pattern == check.group or fnmatchcase(check.name, pattern) for pattern in patterns)

    return (not only or named(only)) and not named(skip)
