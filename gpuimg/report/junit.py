"""Reports as JUnit XML: one suite an image, one case a check, so that CI shows them beside its other tests.

The form is the one that Jenkins, GitLab and GitHub's reporters share:
https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from gpuimg import __version__
from gpuimg.model import Check, Report, Status
from gpuimg.report import figures
from gpuimg.text import printable

_ILLEGAL = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def dumps(reports: Sequence[Report]) -> str:
    """The reports as one XML document."""
    checks = [check for report in reports for check in report.checks]
    root = ET.Element(
        "testsuites", {"name": "gpuimg"} | _totals(checks, sum(_seconds(report.seconds) for report in reports))
    )
    for report in reports:
        _suite(root, report)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, report: Report) -> None:
    subject = figures.subject(report)
    suite = ET.SubElement(root, "testsuite", {"name": _line(subject)} | _totals(report.checks, report.seconds))
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(report):
        ET.SubElement(properties, "property", name=_line(name), value=_line(value))
    several = len(report.gpus) > 1
    for check in report.checks:
        _case(suite, check, subject=subject, several=several)
    if report.notices:
        ET.SubElement(suite, "system-out").text = _text("\n".join(f"notice: {notice}" for notice in report.notices))


def _case(suite: ET.Element, check: Check, *, subject: str, several: bool) -> None:
    name = f"{check.name} (GPU {check.gpu})" if several and check.gpu is not None else check.name
    case = ET.SubElement(
        suite,
        "testcase",
        name=_line(name),
        classname=_line(f"{subject}.{check.group}"),
        time=f"{_seconds(check.seconds):.3f}",
    )
    measured = [f"{key}: {figures.value(value)}" for key, value in check.measured.items()]
    match check.status:
        case Status.FAIL:
            message = check.reason or "it did not hold"
            failure = ET.SubElement(case, "failure", message=_line(message), type=_line(check.group))
            failure.text = _text("\n".join(_failure_body(check, measured)))
        case Status.SKIP:
            ET.SubElement(case, "skipped", message=_line(check.reason or "no reason was given"))
        case Status.PASS:
            if measured:
                ET.SubElement(case, "system-out").text = _text("\n".join(measured))


def _failure_body(check: Check, measured: Sequence[str]) -> list[str]:
    body = [check.reason] if check.reason else []
    if measured:
        body += ["", "measured", *(f"  {line}" for line in measured)]
    if check.expected:
        body += ["", f"expected: {check.expected}"]
    if check.remedy:
        body += ["", f"remedy: {check.remedy}"]
    return body


def _properties(report: Report) -> list[tuple[str, str]]:
    """What the image is: its identity, the versions that were found, the GPUs."""
    found = [("gpuimg", __version__), ("verdict", figures.verdict(report).value)]
    if report.image:
        found += [("image.id", report.image.id), ("image.platform", report.image.platform)]
    known = (("node", report.node), ("torch", report.torch), ("python", report.python))
    found += [(name, value) for name, value in known if value]
    for check in report.checks:
        if check.group == "stack" and len(check.measured) == 1:
            found.append((check.name, figures.value(next(iter(check.measured.values())))))
    found += [(f"gpu.{number}", figures.gpu(gpu)) for number, gpu in enumerate(report.gpus)]
    return found


def _totals(checks: Sequence[Check], seconds: float) -> dict[str, str]:
    count = {status: sum(check.status is status for check in checks) for status in Status}
    return {
        "tests": str(len(checks)),
        "failures": str(count[Status.FAIL]),
        "errors": "0",
        "skipped": str(count[Status.SKIP]),
        "time": f"{_seconds(seconds):.3f}",
    }


def _seconds(value: float) -> float:
    return max(value, 0.0) if math.isfinite(value) else 0.0


def _text(text: str) -> str:
    """`text` without what XML can't hold; what a terminal would obey is shown as an escape."""
    return _ILLEGAL.sub("", printable(text, multiline=True))


def _line(text: str) -> str:
    return " ".join(_text(text).split())
