"""Saved reports and logs of many machines → one report: theirs, and a closing one over all."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from gpuimg.model import Report
from gpuimg.report import as_json
from gpuimg.report.logs import pod_index, read_log
from gpuimg.report.nodes import GROUP, compare_nodes


def read_reports(text: str, *, source: str) -> tuple[Report, ...]:
    """The reports in a file's `text`, which is JSON of gpuimg's or a log; messages call it `source`.

    Raises RequestError for a file that is neither.
    """
    return as_json.loads(text, source=source) if _is_document(text) else read_log(text, source=source)


def merge(files: Sequence[tuple[str, Sequence[Report]]], *, expected: int | None = None) -> tuple[Report, ...]:
    """One report a node and image, by index where there is one, and last the one over all.

    Closing reports of an earlier merge are left out.

    Args:
        files: Each file's name, which stands for a node that nothing else names, and its reports.
        expected: How many nodes should have reported; None: not known.
    """
    reports = [_named(report, name) for name, found in files for report in found if not _is_closing(report)]
    by_index = sorted(reports, key=lambda report: _index(report, after=len(reports)))
    unique = _with_unique_names(by_index)
    return (*unique, compare_nodes(unique, expected=expected))


def _is_document(text: str) -> bool:
    """Whether it is one JSON value, and none of the guest's lines alone."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return not (isinstance(document, dict) and "event" in document)


def _is_closing(report: Report) -> bool:
    return bool(report.checks) and all(check.group == GROUP for check in report.checks)


def _named(report: Report, file: str) -> Report:
    name = PurePath(file).stem
    if report.node is None:
        return dataclasses.replace(report, node=name)
    if pod_index(report.node) is None and pod_index(name) is not None:  # one pod's log, in a file of its name
        return dataclasses.replace(report, node=f"{report.node} ({name})")
    return report


def _index(report: Report, *, after: int) -> int:
    index = pod_index(report.node or "")
    return after if index is None else index


def _with_unique_names(reports: Sequence[Report]) -> list[Report]:
    seen: Counter[tuple[str | None, str | None]] = Counter()
    found = []
    for report in reports:
        key = (report.image.reference if report.image else None, report.node)
        seen[key] += 1
        again = f"{report.node} ({seen[key]})" if seen[key] > 1 else report.node
        found.append(dataclasses.replace(report, node=again))
    return found
