"""``gpuimg report``: reports that were saved, shown again or merged into one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gpuimg.cli import options, outcome
from gpuimg.errors import RequestError
from gpuimg.text import shown_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuimg.model import Report

app = typer.Typer(
    help="Show saved reports, merge them, or tell their schema.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_MOST_BYTES: Final = 2**30
"""More than the logs of ten thousand guests."""

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE", help="What `verify --json` wrote, or logs of pods; - is stdin.")
]


@app.command("merge")
def merge(
    files: Files,
    json_file: Annotated[
        Path | None, typer.Option("--json", "--output", "-o", metavar="FILE", help="File for the merged report.")
    ] = None,
    junit_file: options.JunitFile = None,
    html_file: options.HtmlFile = None,
    markdown_file: options.MarkdownFile = None,
    expect: Annotated[
        int | None, typer.Option("--expect", min=1, metavar="N", help="How many nodes should have reported.")
    ] = None,
) -> int:
    """Merge the reports of several machines into one.

    It adds what only all together show: who is missing, who has another torch or driver, who is slow. Exit code 1 if
    a check failed anywhere.
    """
    from gpuimg.cli.console import Console
    from gpuimg.report.merge import merge as merge_reports
    from gpuimg.report.terminal import render_failures, render_report

    console = Console()
    targets = outcome.report_files(
        json=json_file, junit=junit_file, html=html_file, markdown=markdown_file, environ=os.environ
    )
    *nodes, over_all = merge_reports(_read(files), expected=expect)
    err = console.err
    with outcome.Results(console, targets) as results:
        failures = render_failures(nodes, width=err.width, colour=err.colour, unicode=err.unicode)
        closing = render_report(over_all, width=err.width, colour=err.colour, unicode=err.unicode)
        console.rendered(f"{failures}\n{closing}\n".lstrip("\n"))
        for report in (*nodes, over_all):
            results.add(report)
    return results.exit_code


@app.command("show")
def show(files: Files, html_file: options.HtmlFile = None, markdown_file: options.MarkdownFile = None) -> int:
    """Show saved reports as `verify` does, or as a page or a summary."""
    from gpuimg.cli.console import Console
    from gpuimg.report.terminal import render_report, render_summary

    console = Console()
    targets = outcome.report_files(json=None, junit=None, html=html_file, markdown=markdown_file, environ={})
    reports = [report for _, found in _read(files) for report in found]
    out = console.out
    pages = [render_report(report, width=out.width, colour=out.colour, unicode=out.unicode) for report in reports]
    if len(reports) > 1:
        pages.append(render_summary(reports, width=out.width, colour=out.colour, unicode=out.unicode))
    console.data("\n".join(pages))
    return outcome.write_reports(console, targets, reports)


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of saved reports."""
    import json

    from gpuimg.cli.console import Console
    from gpuimg.report import as_json

    Console().data(json.dumps(as_json.schema(), indent=2))


def _read(files: Sequence[Path]) -> list[tuple[str, Sequence[Report]]]:
    """Each file's name and its reports."""
    from gpuimg.report.merge import read_reports

    if [str(file) for file in files].count("-") > 1:
        raise RequestError("stdin can be read once")
    sources = [(file, "stdin" if str(file) == "-" else str(file)) for file in files]
    return [(source, read_reports(_text(file), source=source)) for file, source in sources]


def _text(file: Path) -> str:
    """What a file or stdin holds. Raises RequestError where it can't be read."""
    if str(file) == "-" and sys.stdin is None:
        raise RequestError("stdin is closed: name a file")
    try:
        with sys.stdin.buffer if str(file) == "-" else file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        shown = shown_path(file)
        raise RequestError(f"{shown} can't be read: {error.strerror or error}") from error
    if len(content) > _MOST_BYTES:
        raise RequestError(f"{shown_path(file)} is larger than any report or log of a guest")
    return content.decode(errors="replace")
