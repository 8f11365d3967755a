"""Findings → lines for people, worst last, and JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from gpuimg.doctor.finding import Finding, Mend, Status, Subject
from gpuimg.text import printable, styled, wrap

_STYLES: Final = {Status.OK: "green", Status.SKIP: "dim", Status.WARN: "yellow", Status.FAIL: "red"}
_INDENT: Final = 20
"""Columns before what was found: status, name and gaps."""


def render(findings: Sequence[Finding], *, width: int, colour: bool = False) -> str:
    """A line for what is well, then what warns, then what fails, with what mends it.

    Commands stay whole, to be pasted; those with a pipe break after it.
    """
    lines: list[str] = []
    for status in Status:
        for finding in findings:
            if finding.status is status:
                if lines and status in {Status.WARN, Status.FAIL}:
                    lines.append("")
                lines += _lines(finding, width=width, colour=colour)
    return "\n".join(lines) + "\n"


def summary(findings: Sequence[Finding]) -> str:
    """What it comes to, in a line."""
    fails, warns = (sum(finding.status is status for finding in findings) for status in (Status.FAIL, Status.WARN))
    if fails:
        said = f"this host is not ready: {fails} {'thing is' if fails == 1 else 'things are'} missing or wrong"
    elif any(finding.check == "driver" and finding.status is Status.OK for finding in findings):
        said = "this host can build and run GPU images"
    else:
        said = "nothing is wrong with what was looked at"
    return said + (f"; {warns} warning{'s' if warns > 1 else ''}" if warns else "")


def as_json(findings: Sequence[Finding], subject: Subject) -> dict[str, Any]:
    """What was found, and on which host."""
    info = subject.info
    return {
        "schema": 1,
        "host": {
            "distribution": subject.distribution.name or None,
            "platform": None if subject.platform is None else str(subject.platform),
            "driver": None if subject.nvidia.driver is None else str(subject.nvidia.driver),
            "gpus": [printable(gpu.name) for gpu in subject.nvidia.gpus],
            "engine": None if info is None else {"host": subject.engine.host, "release": info.release, "api": info.api},
        },
        "findings": [
            {
                "check": finding.check,
                "status": finding.status.value,
                "what": printable(finding.what),
                "why": printable(finding.why, multiline=True),
                "commands": list(finding.mend.commands),
                "hints": list(finding.mend.hints),
            }
            for finding in findings
        ],
    }


def _lines(finding: Finding, *, width: int, colour: bool) -> Iterator[str]:
    head = f"{styled(f'{finding.status.value:<4}', _STYLES[finding.status], colour=colour)}  {finding.check:<12}  "
    first, *rest = wrap(printable(finding.what), width - _INDENT)
    yield head + first
    for part in rest:
        yield " " * _INDENT + part
    for line in finding.why.splitlines():
        yield from _hanging(line, width)
    yield from _mending(finding.mend, width)


def _hanging(text: str, width: int) -> Iterator[str]:
    first, *rest = wrap(printable(text), width - _INDENT)
    yield " " * _INDENT + first
    for part in rest:
        yield " " * _INDENT + part


def _mending(mend: Mend, width: int) -> Iterator[str]:
    for command in mend.commands:
        parts = [command] if len(command) <= width - 6 else command.split(" | ")
        for number, part in enumerate(parts):
            more = " |" if number < len(parts) - 1 else ""
            yield f"  {'  ' if number else '$ '}{'  ' if number else ''}{printable(part)}{more}"
    for hint in mend.hints:
        for number, part in enumerate(wrap(printable(hint), width - 4)):
            yield f"  {'  ' if number else '- '}{part}"
