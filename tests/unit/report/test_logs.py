"""Logs of pods: real lines of the guest (``logs/README.md``), as `kubectl logs` gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from gpuimg.errors import RequestError
from gpuimg.model import Status
from gpuimg.report.logs import pod_index, read_log
from tests.unit.report.pods import log, prefixed


@pytest.mark.parametrize("timestamps", [False, True])
def test_one_stream_of_several_pods_is_taken_apart(timestamps: bool) -> None:
    """Also where their lines are mixed, as `kubectl logs --follow` mixes them."""
    streams = [
        prefixed("gpuimg-smoke-0-x2x4z", log("torch-2.6"), timestamps=timestamps).splitlines(),
        prefixed("gpuimg-smoke-1-7kq9d", log("torch-2.13"), timestamps=timestamps).splitlines(),
    ]
    mixed = "\n".join(line for pair in zip(*streams, strict=True) for line in pair)
    found = read_log(mixed, source="-")
    assert [(report.node, report.torch) for report in found] == [
        ("gpuimg-smoke-0-x2x4z", "2.6.0+cu124"),
        ("gpuimg-smoke-1-7kq9d", "2.13.0+cu130"),
    ]
    assert [len(report.checks) for report in found] == [8, 8]


def test_logs_that_were_joined_are_taken_apart_at_each_first_line() -> None:
    found = read_log(log("torch-2.6") + log("killed") + log("torch-2.13"), source="all.log")
    assert [report.torch for report in found] == ["2.6.0+cu124", "2.6.0+cu124", "2.13.0+cu130"]
    assert [report.checks[0].name for report in found] == ["stack.torch", "guest", "stack.torch"]


def test_what_else_stands_in_a_log_is_passed_over() -> None:
    noisy = "NCCL version 2.21.5\n\n{}\n[1, 2]\n" + log("torch-2.6").replace("\n", "\r\n\x1b[31mwarning\x1b[0m\n", 3)
    (report,) = read_log(noisy, source="-")
    assert (report.torch, len(report.checks)) == ("2.6.0+cu124", 8)


def test_a_whole_log_tells_of_no_death_though_it_has_no_exit_code() -> None:
    (report,) = read_log(log("torch-2.6"), source="-")
    assert [check.name for check in report.failed] == ["host.gpu"]


def test_a_log_without_its_end_is_a_guest_that_died() -> None:
    (report,) = read_log(log("killed") + "Killed\n", source="-")
    death = report.checks[0]
    assert death.reason == "guest died (exit code unknown); its log ends with: Killed"
    assert death.remedy is not None
    assert "kubectl describe pod" in death.remedy
    lost = [check.name for check in report.checks if check.reason == "did not run"]
    assert lost == [
        "stack.cudnn",
        "stack.nccl",
        "host.gpu",
        "host.user",
        "dataloader.shm",
        "numerics.matmul_fp32_exact",
    ]
    assert all(check.status is Status.FAIL for check in report.checks if check.reason == "did not run")


def test_a_pod_whose_guest_never_spoke_is_reported_beside_the_others() -> None:
    text = prefixed("gpuimg-smoke-0-x2x4z", log("torch-2.6")) + prefixed("gpuimg-smoke-1-7kq9d", "no such file\n")
    _, dead = read_log(text, source="-")
    assert dead.node == "gpuimg-smoke-1-7kq9d"
    assert [check.reason for check in dead.checks] == [
        "guest died before its first line (exit code unknown); its log ends with: no such file"
    ]


def test_the_node_is_named_where_the_guest_tells_it() -> None:
    told = log("torch-2.6").replace('"event": "start"', '"event": "start", "node": "gpu-7"', 1)
    assert [report.node for report in read_log(told, source="-")] == ["gpu-7"]
    (report,) = read_log(prefixed("gpuimg-smoke-0-x2x4z", told), source="-")
    assert report.node == "gpu-7 (gpuimg-smoke-0-x2x4z)"
    assert pod_index(report.node) == 0


NO_GUEST: Final = {
    "empty": "",
    "other": "Starting nginx\nready\x1b[2J\n",
    "json": '{"level": "info"}\n{"level": "info"}\n',
    "prefixed": prefixed("nginx-0-x2x4z", "Starting\n"),
    "wrong version": '{"v": 99, "event": "start"}\n{"v": 99, "event": "end"}\n',
    "binary": "\x00\x01\ufffd\ufffd\n" * 100,
}


@pytest.mark.parametrize("name", NO_GUEST)
def test_a_log_of_no_guest_is_refused_by_name(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_log(NO_GUEST[name], source="pod\x1b.log")
    assert caught.value.message.startswith("pod\\x1b.log: no line in it is the smoke guest's")
    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("gpuimg-smoke-0-x2x4z", 0),
        ("a-1-b-12-7kq9d", 12),
        ("gpu-7 (gpuimg-smoke-3-x2x4z)", 3),
        ("node-12", None),
        ("rack-12-shelf", None),
        ("", None),
    ],
)
def test_only_a_pods_name_has_an_index(name: str, index: int | None) -> None:
    assert pod_index(name) == index


def test_every_recorded_log_is_told_of() -> None:
    folder = Path(__file__).with_name("logs")
    told = (folder / "README.md").read_text(encoding="utf-8")
    assert all(f"`{path.name}`" in told for path in folder.glob("*.log"))
