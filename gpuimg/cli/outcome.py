"""Reports and errors of one or several images → files, a closing table, and the exit code."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from gpuimg.cli.baseline import Baseline, show_changes
from gpuimg.errors import GpuimgError, RequestError
from gpuimg.model import Report
from gpuimg.text import shown_path

if TYPE_CHECKING:
    from gpuimg.cli.console import Console

CHECK_FAILED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """Where the reports go; a file named ``-`` is stdout."""

    json: Path | None = None
    junit: Path | None = None
    html: Path | None = None
    markdown: Path | None = None
    step_summary: Path | None = None
    """A summary of others to which ours is added, GitHub's of the step that runs."""


def report_files(
    *,
    json: Path | None,
    junit: Path | None,
    html: Path | None,
    markdown: Path | None,
    environ: Mapping[str, str],
) -> ReportFiles:
    """Give the files that options and environment name.

    Raises RequestError, before any work, for one that could not be written after it.
    """
    _check_targets([path for path in (json, junit, html, markdown) if path is not None])
    summary = environ.get("GITHUB_STEP_SUMMARY", "")
    step_summary = Path(summary) if summary and markdown in {None, Path(summary)} else None
    return ReportFiles(
        json=json, junit=junit, html=html, markdown=None if step_summary else markdown, step_summary=step_summary
    )


def _check_targets(files: Sequence[Path]) -> None:
    if [str(path) for path in files].count("-") > 1:
        raise RequestError("only one report can go to stdout")
    for path in files:
        if str(path) == "-":
            continue
        shown = shown_path(path)
        if not path.parent.is_dir():
            raise RequestError(f"the report can't be written to {shown}: there is no such folder")
        if path.exists() and not path.is_file():
            raise RequestError(f"the report can't be written to {shown}: that is no file")


class Results:
    """What came of each image. At the end of its ``with`` block, whatever ended it, the reports are written."""

    def __init__(self, console: Console, files: ReportFiles, *, baseline: Baseline | None = None) -> None:
        self._console = console
        self._files = files
        self._baseline = baseline
        self._reports: list[tuple[int, Report]] = []
        self._errors = 0
        self.exit_code = 0
        """0, else that of the first error, else 1 where a check failed or something is worse than in the baseline."""

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from gpuimg.report import figures
        from gpuimg.report.terminal import render_summary

        reports = self.reports
        if not self.exit_code and any(report.failed for report in reports):
            self.exit_code = CHECK_FAILED
        if len(reports) + self._errors > 1 and reports:
            err = self._console.err
            self._console.rendered(render_summary(reports, width=err.width, colour=err.colour, unicode=err.unicode))
            if self._errors:
                self._console.info(f"{figures.number(self._errors, 'image')} more ended in an error: see above")
        if self._baseline is not None and reports and error is None:
            worse = show_changes(self._baseline, reports, self._console)
            self.exit_code = self.exit_code or (CHECK_FAILED if worse else 0)
        if reports or error is None:
            written = write_reports(self._console, self._files, reports)
            self.exit_code = self.exit_code or written

    @property
    def reports(self) -> tuple[Report, ...]:
        """Those that there are so far, in the order of their positions."""
        return tuple(report for _, report in sorted(self._reports, key=lambda pair: pair[0]))

    def add(self, report: Report, *, position: int = 0) -> None:
        """Take the report of one image; where several end in any order, `position` says where it belongs."""
        self._reports.append((position, report))

    @contextlib.contextmanager
    def one_of(self, count: int) -> Iterator[None]:
        """The work on one of `count` images: where there are others, its error does not end theirs."""
        try:
            yield
        except GpuimgError as error:
            if count == 1:
                raise
            self._console.error(error)
            self._errors += 1
            self.exit_code = self.exit_code or error.exit_code


def write_reports(console: Console, files: ReportFiles, reports: Sequence[Report]) -> int:
    """Write the reports to all files. The exit code is 0, or 2 where one could not be written, which is said."""
    code = 0
    if files.json is not None:
        from gpuimg.report import as_json

        code |= _write(console, files.json, as_json.dumps(reports))
    if files.junit is not None:
        from gpuimg.report import junit

        code |= _write(console, files.junit, junit.dumps(reports))
    if files.html is not None:
        from gpuimg.report import html

        code |= _write(console, files.html, html.dumps(reports, made=dt.datetime.now(dt.timezone.utc)))
    if files.markdown is not None:
        from gpuimg.report import markdown

        code |= _write(console, files.markdown, markdown.dumps(reports))
    if files.step_summary is not None and reports:
        _append_summary(console, files.step_summary, reports)
    return code


def _append_summary(console: Console, path: Path, reports: Sequence[Report]) -> None:
    """Add to what the step's other commands wrote. Nobody asked for it by name, so its lack is no error."""
    from gpuimg.report import markdown

    try:
        with path.open("a", encoding="utf-8") as stream:
            room = markdown.LIMIT_BYTES - stream.tell() - 1
            stream.write("\n" + markdown.dumps(reports, limit_bytes=room))
    except OSError as error:
        console.warning(f"the step's summary can't be written to {path}: {error.strerror or error}")


def _write(console: Console, path: Path, text: str) -> int:
    if str(path) == "-":
        console.data(text)
        return 0
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        console.error(RequestError(f"the report can't be written to {path}: {error.strerror}"))
        return RequestError.exit_code
    return 0
