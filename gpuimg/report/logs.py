"""What pods logged → reports. The guest's lines are found among whatever else stands in a log.

`kubectl logs` gives stdout and stderr of a pod, with ``--prefix`` those of many, each line named, with ``--timestamps``
each with its time. No log says how its guest ended: a missing last line does.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from gpuimg.errors import RequestError
from gpuimg.model import Check, Report
from gpuimg.smoke.protocol import Started, parse_line, read_report
from gpuimg.text import log_line, printable, shorten

_PREFIX: Final = re.compile(r"\[pod/(?P<pod>[^/\]\s]+)/[^\]\s]*\] ")
"""https://github.com/kubernetes/kubectl/blob/master/pkg/cmd/logs/logs.go: addPrefixIfNeeded."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d) ")
_POD: Final = re.compile(r"-(?P<index>\d+)-[bcdfghjklmnpqrstvwxz2456789]{5}(?![\w.-])")
"""The end of a pod's name in an Indexed Job: its index, and five characters that Kubernetes draws."""
_WHY: Final = "`kubectl describe pod` tells why it ended: its memory limit, its deadline, an eviction"


@dataclass(slots=True, kw_only=True)
class _Part:
    """The lines of one guest, and what else its pod said."""

    pod: str | None
    lines: list[str] = field(default_factory=list)
    guest: bool = False
    """Whether any line is a guest's."""


def read_log(text: str, *, source: str) -> tuple[Report, ...]:
    """The report of each guest in a log, in the order in which they stand there; messages call it `source`.

    A guest that has no last line is reported as dead; a pod without any line of a guest, beside others that have some,
    as dead before its first. Raises RequestError where no line is a guest's.
    """
    parts = [part for pod, lines in _by_pod(text.split("\n")).items() for part in _by_guest(pod, lines)]
    if not any(part.guest for part in parts):
        said = [shown for part in parts for line in part.lines if (shown := log_line(line))]
        raise RequestError(
            f"{printable(source)}: no line in it is the smoke guest's, "
            + (f"and it ends with: {shorten(said[-1].strip(), 200)}" if said else "since it is empty"),
            hints=["give what `gpuimg verify --json` wrote, or what `kubectl logs` says of the pods"],
        )
    return tuple(_report(part) for part in parts if part.guest or part.pod is not None)


def pod_index(name: str) -> int | None:
    """The index of a pod in its Job, from its name.

    >>> pod_index("gpuimg-smoke-3-x2x4z"), pod_index("node-12")
    (3, None)
    """
    match = _POD.search(name)
    return int(match["index"]) if match else None


def _by_pod(lines: Iterable[str]) -> Mapping[str | None, list[str]]:
    """The lines of each pod, without what `kubectl` put before them; None: lines that name no pod."""
    found: dict[str | None, list[str]] = {}
    for line in lines:
        prefix = _PREFIX.match(line)
        rest = line[prefix.end() :] if prefix else line
        time = _TIME.match(rest)
        found.setdefault(prefix["pod"] if prefix else None, []).append(rest[time.end() :] if time else rest)
    return found


def _by_guest(pod: str | None, lines: Iterable[str]) -> list[_Part]:
    """The lines of each guest: where logs were joined, a first line follows on another's last."""
    parts = [_Part(pod=pod)]
    for line in lines:
        event = parse_line(line)
        if isinstance(event, Started) and parts[-1].guest:
            parts.append(_Part(pod=pod))
        parts[-1].guest = parts[-1].guest or event is not None
        parts[-1].lines.append(line)
    return parts


def _report(part: _Part) -> Report:
    report = read_report(part.lines, image=None, exit_code=None)
    return dataclasses.replace(
        report,
        node=f"{report.node} ({part.pod})" if report.node and part.pod else report.node or part.pod,
        checks=tuple(_with_cause(check) if check.group == "guest" else check for check in report.checks),
    )


def _with_cause(death: Check) -> Check:
    """The guest's death with the last that its pod said, and where to ask."""
    output = str(death.data.get("output", "")).splitlines()
    said = f"; its log ends with: {shorten(log_line(output[-1]), 300)}" if output else ""
    return dataclasses.replace(death, reason=f"{death.reason}{said}", remedy=_WHY)
