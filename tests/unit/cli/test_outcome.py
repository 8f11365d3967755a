"""Several images in one command: one that fails ends no other, and the reports are written in any case."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from gpuimg.cli.console import Console
from gpuimg.cli.outcome import ReportFiles, Results, report_files
from gpuimg.errors import BuildError, HostError, RequestError
from gpuimg.model import Check, Report, Status


def report(status: Status) -> Report:
    check = Check(name="stack.torch", group="stack", status=status, reason="because")
    return Report(image=None, torch="2.6.0", python="3.11", gpus=(), checks=(check,), seconds=1.0)


@pytest.fixture
def console() -> Console:
    return Console(stdout=io.StringIO(), stderr=io.StringIO(), environ={})


def said(console: Console) -> str:
    stream = console.err.stream
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def test_an_error_of_one_of_several_is_said_and_the_others_go_on(console: Console, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    with Results(console, ReportFiles(json=target, junit=tmp_path / "report.xml")) as results:
        with results.one_of(2):
            raise BuildError("it broke", step="RUN false", log_tail=["the last line"])
        with results.one_of(2):
            results.add(report(Status.PASS))
    assert results.exit_code == 4
    assert "the last line" in said(console)
    assert len(json.loads(target.read_text())["reports"]) == 1
    assert (tmp_path / "report.xml").read_text().startswith("<?xml")


def test_the_error_of_the_only_one_ends_the_command(console: Console) -> None:
    with (
        pytest.raises(HostError),
        Results(console, ReportFiles()) as results,
        results.one_of(1),
    ):
        raise HostError("no engine")


def test_reports_so_far_are_kept_when_the_user_interrupts(console: Console, tmp_path: Path) -> None:
    target = tmp_path / "report.json"

    def interrupted() -> None:
        with Results(console, ReportFiles(json=target)) as results:
            results.add(report(Status.FAIL))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(json.loads(target.read_text())["reports"]) == 1


def test_a_failed_check_is_exit_1(console: Console) -> None:
    with Results(console, ReportFiles()) as results:
        results.add(report(Status.FAIL))
        results.add(report(Status.PASS))
    assert results.exit_code == 1


def test_a_report_that_can_not_be_written_loses_neither_the_other_nor_the_verdict(
    console: Console, tmp_path: Path
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    with Results(console, ReportFiles(json=folder / "a.json", junit=tmp_path / "b.xml")) as results:
        results.add(report(Status.FAIL))
        folder.rmdir()
    assert results.exit_code == 1
    assert (tmp_path / "b.xml").is_file()
    assert "can't be written" in said(console)


def test_every_file_that_was_asked_for_is_written(console: Console, tmp_path: Path) -> None:
    files = _named(tmp_path)
    with Results(console, files) as results:
        results.add(report(Status.PASS))
    assert json.loads((tmp_path / "a.json").read_text())
    assert (tmp_path / "a.xml").read_text().startswith("<?xml")
    assert (tmp_path / "a.html").read_text().startswith("<!DOCTYPE html>")
    assert (tmp_path / "a.md").read_text().startswith("## ✅ gpuimg")
    assert len(list(tmp_path.iterdir())) == 4


class TestStepSummary:
    """What GitHub shows beside the step: GITHUB_STEP_SUMMARY names a file to which every command adds its part."""

    def test_ours_is_added_to_what_others_wrote(self, console: Console, tmp_path: Path) -> None:
        summary = tmp_path / "summary.md"
        summary.write_text("of others", encoding="utf-8")
        for _ in range(2):
            with Results(console, _named(environ={"GITHUB_STEP_SUMMARY": str(summary)})) as results:
                results.add(report(Status.PASS))
        text = summary.read_text()
        assert text.startswith("of others\n## ✅ gpuimg")
        assert text.count("## ✅ gpuimg") == 2

    def test_a_named_file_takes_its_place(self, tmp_path: Path) -> None:
        files = _named(tmp_path, environ={"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")})
        assert (files.markdown, files.step_summary) == (tmp_path / "a.md", None)

    def test_the_same_file_named_both_ways_is_added_to(self, tmp_path: Path) -> None:
        """`--markdown "$GITHUB_STEP_SUMMARY"` must not take away what other commands wrote."""
        files = _named(tmp_path, environ={"GITHUB_STEP_SUMMARY": str(tmp_path / "a.md")})
        assert (files.markdown, files.step_summary) == (None, tmp_path / "a.md")

    def test_nothing_is_added_where_nothing_was_checked(self, console: Console, tmp_path: Path) -> None:
        summary = tmp_path / "summary.md"
        with Results(console, _named(environ={"GITHUB_STEP_SUMMARY": str(summary)})):
            pass
        assert not summary.exists()

    def test_one_that_can_not_be_written_is_a_warning(self, console: Console, tmp_path: Path) -> None:
        with Results(console, _named(environ={"GITHUB_STEP_SUMMARY": str(tmp_path / "absent" / "a.md")})) as results:
            results.add(report(Status.PASS))
        assert results.exit_code == 0
        assert "warning: the step's summary can't be written" in said(console)

    def test_what_others_wrote_counts_for_its_limit(self, console: Console, tmp_path: Path) -> None:
        summary = tmp_path / "summary.md"
        summary.write_text("x" * (1 << 20), encoding="utf-8")
        with Results(console, _named(environ={"GITHUB_STEP_SUMMARY": str(summary)})) as results:
            results.add(report(Status.PASS))
        assert "gpuimg" not in summary.read_text()


def test_targets_that_can_not_be_written_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no such folder"):
        _named(tmp_path / "absent")
    with pytest.raises(RequestError, match="that is no file"):
        report_files(json=None, junit=None, html=tmp_path, markdown=None, environ={})
    with pytest.raises(RequestError, match="only one report"):
        report_files(json=Path("-"), junit=None, html=None, markdown=Path("-"), environ={})


def _named(folder: Path | None = None, environ: Mapping[str, str] | None = None) -> ReportFiles:
    """All reports in `folder`, or none."""
    json_file, junit, html, markdown = (folder and folder / f"a.{end}" for end in ("json", "xml", "html", "md"))
    return report_files(json=json_file, junit=junit, html=html, markdown=markdown, environ=environ or {})
