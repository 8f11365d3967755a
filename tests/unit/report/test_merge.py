"""Files of many machines → one report."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gpuimg.errors import RequestError
from gpuimg.model import Report, Status
from gpuimg.report import as_json, junit
from gpuimg.report.merge import merge, read_reports
from gpuimg.report.terminal import render_failures
from tests.unit.report.pods import log, prefixed

PODS = ("gpuimg-smoke-0-x2x4z", "gpuimg-smoke-1-7kq9d", "gpuimg-smoke-2-b8hjv")
MIXED = "".join(prefixed(pod, log(name)) for pod, name in zip(PODS, ("torch-2.6", "torch-2.13", "killed"), strict=True))


def merged(text: str, *, expected: int | None = None) -> tuple[Report, ...]:
    return merge([("-", read_reports(text, source="-"))], expected=expected)


def test_pods_that_have_the_same_agree() -> None:
    text = prefixed(PODS[0], log("torch-2.6")) + prefixed(PODS[1], log("torch-2.6-again"))
    *nodes, over_all = merged(text, expected=2)
    assert [report.node for report in nodes] == [*PODS[:2]]
    assert (over_all.node, over_all.image, over_all.failed) == ("2 nodes together", None, ())
    agree = next(check for check in over_all.checks if check.name == "nodes.agree")
    assert {name: value.value for name, value in agree.measured.items()} == {
        "torch": "2.6.0+cu124",
        "Python": "3.11.7",
        "GPUs": "none",
        "CUDA": "12.4",
        "cuDNN": "9.1.0",
        "NCCL": "2.21.5",
    }


def test_an_image_that_differs_a_pod_that_died_and_one_that_is_missing_all_show() -> None:
    *nodes, over_all = merged(MIXED, expected=4)
    assert [report.checks[0].name for report in nodes if report.checks[0].group == "guest"] == ["guest"]
    reported, agree = over_all.failed
    assert reported.reason == "no report of index 3"
    assert f"cuDNN: 9.1.0 on {PODS[0]}; 9.20.0 on {PODS[1]}" in str(agree.reason)


def test_nodes_come_in_the_order_of_their_index() -> None:
    text = "".join(prefixed(f"smoke-{index}-x2x4z", log("torch-2.6")) for index in (10, 2, 0))
    assert [report.node for report in merged(text)[:-1]] == ["smoke-0-x2x4z", "smoke-2-x2x4z", "smoke-10-x2x4z"]


def test_a_merged_file_can_be_merged_again() -> None:
    """Its closing report is made anew."""
    once = merged(MIXED)
    again = merge([("merged.json", read_reports(as_json.dumps(once), source="merged.json"))])
    assert as_json.dumps(again) == as_json.dumps(once)


def test_reports_of_verify_are_named_by_their_files(healthy: Report) -> None:
    text = as_json.dumps([healthy])
    files = [
        (name, read_reports(text, source=name)) for name in ("out/rack-7.json", "rack-9.json", "again/rack-9.json")
    ]
    assert [report.node for report in merge(files)] == ["rack-7", "rack-9", "rack-9 (2)", "3 nodes together"]


def test_a_log_in_a_file_of_its_pods_name_has_the_pods_index() -> None:
    told = log("torch-2.6").replace('"event": "start"', '"event": "start", "node": "gpu-7"', 1)
    files = [
        (f"logs/{PODS[1]}.log", read_reports(log("torch-2.6"), source="x")),
        (f"logs/{PODS[0]}.log", read_reports(told, source="x")),
    ]
    first, second, over_all = merge(files, expected=2)
    assert (first.node, second.node) == (f"gpu-7 ({PODS[0]})", PODS[1])
    assert over_all.checks[0].status is Status.PASS


def test_a_report_of_the_first_gpuimg_has_no_node(healthy: Report) -> None:
    document = json.loads(as_json.dumps([healthy]))
    del document["reports"][0]["node"]
    assert read_reports(json.dumps(document), source="old.json") == (healthy,)


def test_a_file_that_is_neither_is_refused_by_name() -> None:
    for text in ("", "hello", '{"schema": 1}', "[1, 2]", "null"):
        with pytest.raises(RequestError, match=r"^some\.file: "):
            read_reports(text, source="some.file")


def test_a_line_alone_is_a_log() -> None:
    """It is JSON too, and a guest that was killed early may have left no more."""
    first, *_ = log("killed").splitlines()
    (report,) = read_reports(first, source="-")
    assert report.checks[0].name == "guest"


def test_lines_that_break_the_protocol_do_no_harm() -> None:
    """A log is of any program: what has the guest's form and not its types is no result."""
    start = {"v": 1, "event": "start", "torch": "2.6.0", "python": "3.11", "gpus": [], "planned": ["a.b"]}
    check = {"v": 1, "event": "check", "name": "a.b", "group": "a", "status": "PASS", "measured": {}, "seconds": 1}
    broken_starts = (
        {**start, "node": {"x": 1}},
        {**start, "torch": 2.6},
        {**start, "gpus": [1]},
        {**start, "planned": 5},
    )
    broken_checks = (
        {**check, "reason": ["x"]},
        {**check, "gpu": "first"},
        {**check, "measured": {"x": {"value": {"y": 1}}}},
        {**check, "measured": {"x": {"value": 1, "unit": 2}}},
        {**check, "data": 7},
        {**check, "seconds": "long"},
        {"v": 1, "event": "sample", "name": ["x"], "t": 1},
    )
    for lines in (*((broken, start) for broken in broken_starts), *((start, broken) for broken in broken_checks)):
        reports = merged("\n".join(map(json.dumps, lines)))
        assert as_json.loads(as_json.dumps(reports))
        assert "did not run" in {item.reason for item in reports[0].checks}


def test_failures_of_many_nodes_are_told_once() -> None:
    page = render_failures(merged(MIXED)[:-1], width=80, colour=False, unicode=True)
    assert page.count("host.gpu\n") == 1
    assert f"on        {PODS[0]}, {PODS[1]}" in page
    assert "stack.cudnn, stack.nccl, host.gpu, host.user and 2 more\n  reason  did not run" in page


def test_junit_and_the_table_name_the_node(healthy: Report) -> None:
    page = junit.dumps([replace(healthy, node="gpu-7")])
    assert 'name="gpuimg:2.6.0-cu124-py311-runtime on gpu-7"' in page
    assert '<property name="node" value="gpu-7" />' in page
