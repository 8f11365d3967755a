"""Reports as JUnit XML, held against the form that CI systems share (junit-10 of Jenkins' xunit plugin)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from gpuimg.model import Report
from gpuimg.report import junit

CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out", "system-err"},
    "properties": {"property"},
    "property": set(),
    "testcase": {"skipped", "error", "failure", "system-out", "system-err"},
    "failure": set(),
    "skipped": set(),
    "system-out": set(),
}
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "disabled", "errors", "skipped"},
    "testsuite": {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "package"},
    "testcase": {"name", "assertions", "time", "classname", "status", "file", "line"},
    "failure": {"type", "message"},
    "skipped": {"type", "message"},
    "property": {"name", "value"},
}
REQUIRED = {"testsuite": {"name", "tests"}, "testcase": {"name", "classname"}, "property": {"name", "value"}}


def assert_form(element: ET.Element) -> None:
    assert set(element.attrib) <= ATTRIBUTES.get(element.tag, set()), element.tag
    assert set(element.attrib) >= REQUIRED.get(element.tag, set()), element.tag
    for child in element:
        assert child.tag in CHILDREN[element.tag]
        assert_form(child)
    for name in {"tests", "failures", "errors", "skipped"} & set(element.attrib):
        assert element.attrib[name].isdecimal()
    if "time" in element.attrib:
        assert float(element.attrib["time"]) >= 0
    if element.tag in {"testsuites", "testsuite"}:
        assert int(element.attrib["tests"]) == len(list(element.iter("testcase")))
        assert int(element.attrib["failures"]) == len(list(element.iter("failure")))
        assert int(element.attrib["skipped"]) == len(list(element.iter("skipped")))
    if element.tag == "testcase":
        assert len([child for child in element if child.tag in {"failure", "skipped", "error"}]) <= 1


def parsed(*reports: Report) -> ET.Element:
    text = junit.dumps(reports)
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ')
    return ET.fromstring(text.encode())


def test_form_is_that_of_ci_systems(healthy: Report, failing: Report, hostile: Report) -> None:
    root = parsed(healthy, failing, hostile)
    assert_form(root)
    assert [suite.get("name") for suite in root][:2] == ["gpuimg:2.6.0-cu124-py311-runtime"] * 2
    assert_form(parsed())


def test_failure_says_what_was_measured_expected_and_what_helps(failing: Report) -> None:
    case = next(case for case in parsed(failing).iter("testcase") if case.get("name") == "dataloader.shm")
    assert case.get("classname") == "gpuimg:2.6.0-cu124-py311-runtime.dataloader"
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == (
        "killed by SIGBUS: RuntimeError: DataLoader worker (pid 41) is killed by signal: Bus error."
    )
    assert failure.text is not None
    assert failure.text.splitlines()[-7:-1] == [
        "measured",
        "  free: 64 MiB",
        "  needed: 616 MiB",
        "",
        "expected: free ≥ 1 GiB",
        "",
    ]
    assert failure.text.splitlines()[-1].startswith("remedy: docker run --shm-size 8g")


def test_skip_has_its_reason(healthy: Report) -> None:
    reasons = {skipped.get("message") for skipped in parsed(healthy).iter("skipped")}
    assert reasons == {"no GPU was asked for", "torch 2.4 has no scaled matrix product: it came with 2.5"}


def test_same_check_on_two_gpus_is_two_cases(failing: Report) -> None:
    names = [case.get("name") or "" for case in parsed(failing).iter("testcase")]
    assert {name for name in names if "bf16_exact" in name} == {
        "numerics.matmul_bf16_exact (GPU 0)",
        "numerics.matmul_bf16_exact (GPU 1)",
    }
    assert len(names) == len(set(names))


def test_properties_hold_the_stack_that_was_found(failing: Report) -> None:
    found = {item.get("name"): item.get("value") for item in parsed(failing).iter("property")}
    assert found["torch"] == "2.6.0+cu124"
    assert found["stack.cudnn"] == "9.10.2"
    assert found["gpu.1"] == "NVIDIA H100 80GB HBM3, compute capability 9.0, 79.2 GiB"


@pytest.mark.parametrize("text", ["\x00\x08\x1b[31m", "\ufffe\uffff", "\ud800", "]]><!--", "<a>&amp;\"'"])
def test_text_that_xml_can_not_hold_does_no_harm(text: str, healthy: Report) -> None:
    root = parsed(replace(healthy, notices=(text,), checks=(replace(healthy.checks[0], name=text, group=text),)))
    assert_form(root)
