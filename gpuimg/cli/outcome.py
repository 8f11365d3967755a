"""Reports and errors of one or several images → files, a closing table, and the exit code."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from gpuimg.cli.baseline import Baseline, show_changes
from gpuimg.errors import GpuimgError, RequestError
from gpuimg.model import Report
from gpuimg.text import printable, shorten

if TYPE_CHECKING:
    from gpuimg.cli.console import Console

CHECK_FAILED = 1


def check_targets(*files: Path | None) -> None:
    """Raise RequestError, before any work, for a report file that could not be written after it."""
    named = [path for path in files if path is not None]
    if [str(path) for path in named].count("-") > 1:
        raise RequestError("only one report can go to stdout")
    for path in named:
        if str(path) == "-":
            continue
        shown = shorten(printable(str(path)), 80)
        if not path.parent.is_dir():
            raise RequestError(f"the report can't be written to {shown}: there is no such folder")
        if path.exists() and not path.is_file():
            raise RequestError(f"the report can't be written to {shown}: that is no file")


class Results:
    """What came of each image. At the end of its ``with`` block, whatever ended it, the reports are written."""

    def __init__(
        self,
        console: Console,
        *,
        json_file: Path | None,
        junit_file: Path | None,
        baseline: Baseline | None = None,
    ) -> None:
        self._console = console
        self._baseline = baseline
        self._json_file = json_file
        self._junit_file = junit_file
        self._reports: list[tuple[int, Report]] = []
        self._errors = 0
        self.exit_code = 0
        """0, else that of the first error, else 1 where a check failed or something is worse than in the baseline."""

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from gpuimg.report import as_json, figures, junit
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
            self._write(self._json_file, as_json.dumps)
            self._write(self._junit_file, junit.dumps)

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

    def _write(self, path: Path | None, dumps: Callable[[Sequence[Report]], str]) -> None:
        if path is None:
            return
        text = dumps(self.reports)
        if str(path) == "-":
            self._console.data(text)
            return
        new = path.with_name(f".{path.name}.new")
        try:
            new.write_text(text, encoding="utf-8")
            new.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                new.unlink()
            self._console.error(RequestError(f"the report can't be written to {path}: {error.strerror}"))
            self.exit_code = self.exit_code or RequestError.exit_code
