"""``--baseline``: bad files are refused before any work, and what got worse is exit code 1."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuimg.cli.baseline import Baseline, read_baseline
from gpuimg.cli.outcome import ReportFiles, Results
from gpuimg.errors import HostError, RequestError
from gpuimg.model import Check, Report, Status
from gpuimg.report import as_json
from tests.unit.terminals import console


def report(*statuses: Status) -> Report:
    checks = tuple(
        Check(name=f"stack.number_{number}", group="stack", status=status, reason="because")
        for number, status in enumerate(statuses)
    )
    return Report(image=None, torch="2.6.0", python="3.11", gpus=(), checks=checks, seconds=1.0)


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A report whose both checks held."""
    path = tmp_path / "earlier.json"
    path.write_text(as_json.dumps([report(Status.PASS, Status.PASS)]))
    return path


def read(path: Path) -> Baseline:
    return read_baseline(path, only=(), skip=())


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"absent\.json can't be read: No such file"):
        read(tmp_path / "absent.json")
    with pytest.raises(RequestError, match="can't be read: Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff\xfe", "it is no text"),
        (b"", "it is not JSON"),
        (b"[]", "is not of type 'object'"),
        (b'{"schema": 9}', "is not a version that this gpuimg reads"),
        (as_json.dumps([]).encode(), "holds no report to compare with"),
    ],
)
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(RequestError, match=problem):
        read(path)


def test_a_hostile_name_of_a_file_is_shown_safe() -> None:
    with pytest.raises(RequestError) as caught:
        read(Path("a\x1b[2J\0"))
    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize(
    ("second", "code", "words"),
    [(Status.SKIP, 1, "1 thing got worse"), (Status.PASS, 0, "nothing got worse")],
)
def test_what_got_worse_is_exit_1_though_no_check_fails(earlier: Path, second: Status, code: int, words: str) -> None:
    says, stream = console(tty=False)
    with Results(says, ReportFiles(), baseline=read(earlier)) as results:
        results.add(report(Status.PASS, second))
    assert results.exit_code == code
    assert words in stream.getvalue()


def test_checks_that_were_left_out_by_name_are_not_missed(earlier: Path) -> None:
    for only, skip, code in ((("stack.number_0",), (), 0), ((), ("*_1",), 0), (("stack",), (), 1)):
        says, _ = console(tty=False)
        baseline = read_baseline(earlier, only=only, skip=skip)
        with Results(says, ReportFiles(), baseline=baseline) as results:
            results.add(report(Status.PASS))
        assert results.exit_code == code


def test_an_interrupted_run_is_compared_with_nothing(earlier: Path) -> None:
    says, stream = console(tty=False)

    def interrupted() -> None:
        with Results(says, ReportFiles(), baseline=read(earlier)) as results:
            results.add(report(Status.FAIL))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "compared with" not in stream.getvalue()


def test_an_error_keeps_its_exit_code(earlier: Path) -> None:
    says, stream = console(tty=False)
    with Results(says, ReportFiles(), baseline=read(earlier)) as results:
        with results.one_of(2):
            raise HostError("no GPU")
        results.add(report(Status.SKIP, Status.SKIP))
    assert results.exit_code == 3
    assert "1 image more ended in an error: see above\n" in stream.getvalue()
