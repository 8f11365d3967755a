"""From lines to a report: nothing that was planned goes missing, and nothing that did not run passes."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from gpuimg.model import Check, Measurement, Report, Status
from gpuimg.smoke.protocol import MAX_POINTS, Ended, Event, ReportBuilder, Sample, Started, parse_line, read_report


def start(*planned: str, **fields: Any) -> str:
    return line("start", torch="2.6.0+cu124", python="3.11.2", gpus=[], planned=list(planned), **fields)


def check(name: str, status: str = "PASS", **fields: Any) -> str:
    return line("check", name=name, group=name.partition(".")[0], status=status, measured={}, seconds=0.5, **fields)


def end(**fields: Any) -> str:
    return line("end", **{"pass": 1, "fail": 0, "skip": 0, "seconds": 1.5, **fields})


def line(event: str, **fields: Any) -> str:
    return json.dumps({"v": 1, "event": event, **fields})


def report(*lines: bytes | str, exit_code: int | None = 0, **how: Any) -> Report:
    return read_report(lines, image=None, exit_code=exit_code, **how)


def test_whole_run_gives_checks_in_the_order_of_the_plan() -> None:
    found = report(
        start("stack.torch", "host.gpu"), check("host.gpu", "SKIP", reason="no GPU"), check("stack.torch"), end()
    )
    assert [(item.name, item.status) for item in found.checks] == [
        ("stack.torch", Status.PASS),
        ("host.gpu", Status.SKIP),
    ]
    assert (found.torch, found.python, found.seconds, found.failed) == ("2.6.0+cu124", "3.11.2", 1.5, ())


def test_check_carries_everything_that_was_measured() -> None:
    text = check(
        "numerics.matmul_bf16_exact",
        "FAIL",
        expected="0",
        reason="1 differs",
        remedy="run it again",
        gpu=1,
        data={"series": [1, 2]},
    )
    text = text.replace('"measured": {}', '"measured": {"wrong": {"value": 1, "unit": "count"}}')
    assert parse_line(text) == Check(
        name="numerics.matmul_bf16_exact",
        group="numerics",
        status=Status.FAIL,
        measured={"wrong": Measurement(value=1, unit="count")},
        expected="0",
        reason="1 differs",
        remedy="run it again",
        seconds=0.5,
        gpu=1,
        data={"series": [1, 2]},
    )


def test_planned_check_without_a_line_did_not_run() -> None:
    found = report(start("stack.torch", "host.user"), check("stack.torch"), end())
    assert [(item.name, item.reason) for item in found.failed] == [("host.user", "did not run")]


def test_guest_without_an_end_line_died_and_says_how() -> None:
    found = report(start("stack.torch", "host.user"), check("stack.torch"), exit_code=137, oom_killed=True)
    died, missing = found.failed
    assert died.reason == "guest died (exit code 137); OOMKilled"
    assert died.remedy is not None
    assert "--memory" in died.remedy
    assert missing.reason == "did not run"


def test_guest_that_was_stopped_has_no_exit_code() -> None:
    assert report(start(), exit_code=None).failed[0].reason == "guest died (exit code unknown)"


def test_guest_that_says_nothing_died_and_its_stderr_is_kept() -> None:
    (died,) = report(exit_code=126, stderr="python: not found\n").failed
    assert died.reason == "guest died before its first line (exit code 126)"
    assert died.data["output"] == "python: not found"


def test_refused_config_shows_the_guests_own_words() -> None:
    (died,) = report(exit_code=2, stderr="error: only: `stak` is no check\n").failed
    assert died.reason == "the guest refused its config: error: only: `stak` is no check"


def test_crash_after_the_last_line_is_not_hidden() -> None:
    (died,) = report(start("stack.torch"), check("stack.torch"), end(), exit_code=139).failed
    assert died.reason == "guest died after its last line (exit code 139)"


@pytest.mark.parametrize("exit_code", [0, 1])
def test_the_guests_own_exit_codes_are_no_death(exit_code: int) -> None:
    assert not report(start("a.b"), check("a.b"), end(), exit_code=exit_code).failed


@pytest.mark.parametrize(
    "noise",
    [
        "",
        "== NVIDIA PyTorch ==",
        b"\xff\xfe not utf-8",
        "{",
        "[1]",
        "3",
        '{"event": "check"}',
        '{"v": 2, "event": "end"}',
    ],
)
def test_other_lines_on_stdout_are_passed_over(noise: bytes | str) -> None:
    found = report(noise, start("a.b"), noise, check("a.b"), noise, end())
    assert [item.name for item in found.checks] == ["a.b"]
    assert not found.failed


def test_noise_explains_a_death() -> None:
    (died,) = report("Traceback", "ImportError: no module", exit_code=1).failed
    assert died.data["output"] == "Traceback\nImportError: no module"


@pytest.mark.parametrize("broken", ['"status": "WARN"', '"status": null', '"seconds": "soon", "status": "PASS"'])
def test_line_that_breaks_the_protocol_is_no_result(broken: str) -> None:
    text = f'{{"v": 1, "event": "check", "name": "a.b", "group": "a", {broken}}}'
    (missing,) = report(start("a.b"), text, end()).failed
    assert missing.reason == "did not run"


def test_unknown_keys_are_ignored() -> None:
    found = report(start("a.b", colour="red"), check("a.b", colour="blue"), end(colour="green"))
    assert not found.failed


def test_check_outside_the_plan_is_shown_too() -> None:
    found = report(start("a.b"), check("a.b"), check("c.d", "FAIL", reason="broken"), end())
    assert [item.name for item in found.checks] == ["a.b", "c.d"]


def test_first_of_two_lines_for_a_check_counts() -> None:
    found = report(start("a.b"), check("a.b", "FAIL", reason="broken"), check("a.b"), end())
    assert [item.status for item in found.checks] == [Status.FAIL]


def test_events_come_as_they_are_fed() -> None:
    events: list[Event] = []
    builder = ReportBuilder(on_event=events.append)
    for text in (start("a.b"), "noise", line("sample", name="a.b", t=1, allocated=5, reserved=9), check("a.b"), end()):
        builder.feed(text)
    assert [type(event) for event in events] == [Started, Sample, Check, Ended]


def test_samples_become_a_series_of_their_check() -> None:
    samples = [line("sample", name="a.b", t=t, allocated=t * 10, reserved=t * 20) for t in range(3)]
    (found,) = report(start("a.b"), *samples, check("a.b", data={"kept": 1}), end()).checks
    assert found.data["samples"] == tuple({"t": t, "allocated": t * 10.0, "reserved": t * 20.0} for t in range(3))
    assert found.data["kept"] == 1


def test_long_series_is_thinned_evenly() -> None:
    samples = [line("sample", name="a.b", t=t, allocated=t) for t in range(10 * MAX_POINTS)]
    (found,) = report(start("a.b"), *samples, check("a.b"), end()).checks
    points: Any = found.data["samples"]
    gaps = {second["t"] - first["t"] for first, second in pairwise(points)}
    assert MAX_POINTS / 2 <= len(points) <= MAX_POINTS
    assert len(gaps) == 1
