"""Reports and errors of one or several images → files, a closing table, and the exit code."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from gpuimg.errors import GpuimgError, RequestError
from gpuimg.model import Report
from gpuimg.text import printable, shorten

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
        shown = shorten(printable(str(path)), 80)
        if not path.parent.is_dir():
            raise RequestError(f"the report can't be written to {shown}: there is no such folder")
        if path.exists() and not path.is_file():
            raise RequestError(f"the report can't be written to {shown}: that is no file")


class Results:
    """What came of each image. At the end of its ``with`` block, whatever ended it, the reports are written."""

    def __init__(self, console: Console, files: ReportFiles) -> None:
        self._console = console
        self._files = files
        self._reports: list[Report] = []
        self.exit_code = 0
        """0, else that of the first error, else 1 where a check failed."""

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from gpuimg.report.terminal import render_summary

        if not self.exit_code and any(report.failed for report in self._reports):
            self.exit_code = CHECK_FAILED
        if len(self._reports) > 1:
            err = self._console.err
            self._console.rendered(
                render_summary(self._reports, width=err.width, colour=err.colour, unicode=err.unicode)
            )
        if self._reports or error is None:
            self._write_files()

    def add(self, report: Report) -> None:
        """Take the report of one image."""
        self._reports.append(report)

    @contextlib.contextmanager
    def one_of(self, count: int) -> Iterator[None]:
        """The work on one of `count` images: where there are others, its error does not end theirs."""
        try:
            yield
        except GpuimgError as error:
            if count == 1:
                raise
            self._console.error(error)
            self.exit_code = self.exit_code or error.exit_code

    def _write_files(self) -> None:
        files = self._files
        if files.json is not None:
            from gpuimg.report import as_json

            self._write(files.json, as_json.dumps(self._reports))
        if files.junit is not None:
            from gpuimg.report import junit

            self._write(files.junit, junit.dumps(self._reports))
        if files.html is not None:
            from gpuimg.report import html

            self._write(files.html, html.dumps(self._reports, made=dt.datetime.now(dt.timezone.utc)))
        if files.markdown is not None:
            from gpuimg.report import markdown

            self._write(files.markdown, markdown.dumps(self._reports))
        if files.step_summary is not None and self._reports:
            self._append_summary(files.step_summary)

    def _append_summary(self, path: Path) -> None:
        """Add to what the step's other commands wrote. Nobody asked for it by name, so its lack is no error."""
        from gpuimg.report import markdown

        try:
            with path.open("a", encoding="utf-8") as stream:
                room = markdown.LIMIT_BYTES - stream.tell() - 1
                stream.write("\n" + markdown.dumps(self._reports, limit_bytes=room))
        except OSError as error:
            self._console.warning(f"the step's summary can't be written to {path}: {error.strerror or error}")

    def _write(self, path: Path, text: str) -> None:
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
