"""Several images in one command: one that fails ends no other, and the reports are written in any case."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gpuimg.cli.console import Console
from gpuimg.cli.outcome import Results, check_targets
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
    with Results(console, json_file=target, junit_file=tmp_path / "report.xml") as results:
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
        Results(console, json_file=None, junit_file=None) as results,
        results.one_of(1),
    ):
        raise HostError("no engine")


def test_reports_so_far_are_kept_when_the_user_interrupts(console: Console, tmp_path: Path) -> None:
    target = tmp_path / "report.json"

    def interrupted() -> None:
        with Results(console, json_file=target, junit_file=None) as results:
            results.add(report(Status.FAIL))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(json.loads(target.read_text())["reports"]) == 1


def test_a_failed_check_is_exit_1(console: Console) -> None:
    with Results(console, json_file=None, junit_file=None) as results:
        results.add(report(Status.FAIL))
        results.add(report(Status.PASS))
    assert results.exit_code == 1


def test_a_report_that_can_not_be_written_loses_neither_the_other_nor_the_verdict(
    console: Console, tmp_path: Path
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    with Results(console, json_file=folder / "a.json", junit_file=tmp_path / "b.xml") as results:
        results.add(report(Status.FAIL))
        folder.rmdir()
    assert results.exit_code == 1
    assert (tmp_path / "b.xml").is_file()
    assert "can't be written" in said(console)


def test_targets_that_can_not_be_written_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no such folder"):
        check_targets(tmp_path / "absent" / "a.json")
    with pytest.raises(RequestError, match="that is no file"):
        check_targets(None, tmp_path)
    with pytest.raises(RequestError, match="only one report"):
        check_targets(Path("-"), Path("-"))
