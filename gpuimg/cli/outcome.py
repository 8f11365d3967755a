"""Reports → files, a closing table, and the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gpuimg.errors import RequestError
from gpuimg.model import Report

if TYPE_CHECKING:
    from gpuimg.cli.console import Console

CHECK_FAILED = 1


def report_results(
    reports: Sequence[Report], console: Console, *, json_file: Path | None, junit_file: Path | None
) -> int:
    """Write the files that were asked for and, for several images, the table; give the exit code."""
    from gpuimg.report import as_json, junit
    from gpuimg.report.terminal import render_summary

    if json_file is not None:
        _write(json_file, as_json.dumps(reports), console)
    if junit_file is not None:
        _write(junit_file, junit.dumps(reports), console)
    if len(reports) > 1:
        err = console.err
        console.rendered(render_summary(reports, width=err.width, colour=err.colour, unicode=err.unicode))
    return CHECK_FAILED if any(report.failed for report in reports) else 0


def _write(path: Path, text: str, console: Console) -> None:
    if str(path) == "-":
        console.data(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RequestError(f"the report can't be written to {path}: {error.strerror}") from error
