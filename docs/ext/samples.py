"""Pages that gpuimg itself writes, and what leads to them: the whole matrix, and the report of an image."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final

from docs.ext.markdown import code, page, table
from gpuimg.facts import UNKNOWN, Stack
from gpuimg.matrix import load_matrix
from gpuimg.matrix.page import render_page
from gpuimg.pipeline.resolve import python_range
from gpuimg.report import html
from gpuimg.report.as_json import loads

_MATRIX: Final = "matrix.html"
_REPORT: Final = "report.html"
_RECORDED: Final = Path(__file__).parents[1] / "samples" / "report.json"
_WHEN: Final = dt.datetime(2026, 11, 30, tzinfo=dt.timezone.utc)
"""When the report was recorded."""


def write_samples(folder: Path) -> None:
    """Write the pages to where the site's own are."""
    (folder / _MATRIX).write_text(render_page(load_matrix()), encoding="utf-8")
    reports = loads(_RECORDED.read_text(encoding="utf-8"), source=_RECORDED.name)
    (folder / _REPORT).write_text(html.dumps(reports, made=_WHEN), encoding="utf-8")


def stacks_page() -> str:
    """The stacks in short, so that the site's search finds them."""
    matrix = load_matrix()
    drivers = {row.version: str(row.min_driver) for row in matrix.cudas}
    rows = [
        (
            code(stack.name),
            _known(stack.cudnn),
            _known(stack.nccl),
            _pythons(stack),
            ", ".join(str(each.platform).removeprefix("linux/") for each in stack.platforms),
            drivers[stack.cuda],
        )
        for stack in reversed(matrix.stacks)
    ]
    compatible = ", ".join(code(row.name) for row in matrix.compatible)
    return page(
        "Stacks",
        f'<a href="../{_MATRIX}">The matrix as one page</a> has every fact with its source, and filters by your'
        " driver and GPU. `gpuimg matrix list` and `gpuimg matrix show` say the same on a terminal.",
        table(("stack", "cuDNN", "NCCL", "Pythons", "platforms", "oldest driver"), rows),
        f"Names that were never published, and have a stack that serves in their place: {compatible}.",
    )


def sample_report_page() -> str:
    """What the recorded report is, so that nobody takes it for a measurement of a GPU."""
    (report,) = loads(_RECORDED.read_text(encoding="utf-8"), source=_RECORDED.name)
    return page(
        "A sample report",
        f'<a href="../{_REPORT}">This report</a> is what `gpuimg build 2.6-cu124 --html report.html` wrote on a machine'
        f" with {len(report.gpus) or 'no'} GPUs: a real image, built and checked. All that needs a GPU is a SKIP there,"
        " with the reason, so it shows no rate and no saving.",
        "`--json`, `--junit` and `--markdown` write the same for programs.",
    )


def _known(fact: object) -> str:
    return "unknown" if fact is UNKNOWN else str(fact)


def _pythons(stack: Stack) -> str:
    return python_range(sorted({python for each in stack.platforms for python in each.pythons}))
