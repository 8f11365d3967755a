"""What only several machines together can show: whether all reported, have the same inside, and are equally fast."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from gpuimg.model import Check, Measurement, Report, Status
from gpuimg.report import figures
from gpuimg.report.logs import pod_index

GROUP: Final = "nodes"
_Key = TypeVar("_Key", bound=Hashable)
_FACTS: Final = (
    ("CUDA", "stack.torch", "cuda"),
    ("cuDNN", "stack.cudnn", "cudnn"),
    ("NCCL", "stack.nccl", "nccl"),
    ("driver", "host.driver", "driver"),
)
"""What must be the same: its name, and the check and value that tell it."""
_FEWEST: Final = 3
"""Of two that differ, nothing says which is the slow one."""
_COMPUTE_BOUND: Final = 0.10
"""How far below the median a chip may be. GPUs of one model differ by 8 % on average over a cluster's whole spread, by
manufacture and power management (https://arxiv.org/abs/2208.11035); the slowest sets the pace of synchronous training.
"""
_LINK_BOUND: Final = 0.30
"""A link that came up with half its lanes or a generation lower gives half; where pinned memory lies moves less."""


def compare_nodes(reports: Sequence[Report], *, expected: int | None) -> Report:
    """The closing report over the reports of several nodes.

    Args:
        expected: How many nodes should have reported; None: as many as the highest index of a pod says.
    """
    count = len({report.node for report in reports})
    return Report(
        image=None,
        torch=None,
        python=None,
        gpus=(),
        checks=(_reported(reports, expected), _agree(reports), _rates(reports)),
        seconds=max((report.seconds for report in reports if math.isfinite(report.seconds)), default=0.0),
        notices=tuple(_replaced(reports)),
        node="1 node" if count == 1 else f"{count} nodes together",
    )


# --- who reported ----------------------------------------------------------------------------------------------------


def _reported(reports: Sequence[Report], expected: int | None) -> Check:
    indexes = [index for index in map(_index, reports) if index is not None]
    known = len(indexes) == len(reports) and bool(indexes)
    count = len(set(indexes)) if known else len({report.node for report in reports})
    wanted = expected if expected is not None else max(indexes) + 1 if known else count
    problems = []
    if known:
        missing = sorted(set(range(wanted)) - set(indexes))
        extra = sorted({index for index in indexes if index >= wanted})
        if missing:
            problems.append(f"no report of {_numbered(missing)}")
        if extra:
            problems.append(f"{_numbered(extra)} reported, beyond the {wanted} that were expected")
    elif count != wanted:
        problems.append(f"{count} nodes reported, and {wanted} were expected")
    return _check(
        "reported",
        problems,
        measured={"nodes": Measurement(value=count, unit="count")},
        expected="1 node" if wanted == 1 else f"{wanted} nodes",
        remedy="`kubectl get pods -o wide` shows which pods wait or ended, and where; `kubectl describe pod` says why",
    )


def _replaced(reports: Sequence[Report]) -> Iterable[str]:
    counts = Counter(index for index in map(_index, reports) if index is not None)
    for index, count in sorted(counts.items()):
        if count > 1:
            yield f"index {index} reported {count} times: its pod was replaced, or logs of two runs were given"


def _index(report: Report) -> int | None:
    return pod_index(report.node or "")


def _numbered(indexes: Sequence[int]) -> str:
    return f"{'index' if len(indexes) == 1 else 'indexes'} {figures.names(list(map(str, indexes)), shown=20)}"


# --- the same everywhere ---------------------------------------------------------------------------------------------


def _agree(reports: Sequence[Report]) -> Check:
    """The same torch, libraries, driver and GPUs on all nodes that checked the same image."""
    alive = [report for report in reports if report.python is not None]
    groups = [same for same in _grouped(alive, _reference).values() if len(same) > 1]
    if not groups:
        return _skipped("agree", "needs the reports of two nodes on one image")
    measured: dict[str, Measurement] = {}
    problems = []
    for same in groups:
        facts = [_facts(report) for report in same]
        for name in dict.fromkeys(name for found in facts for name in found):
            nodes = _by_value(
                (found[name], _name(report)) for found, report in zip(facts, same, strict=True) if name in found
            )
            if len(nodes) > 1:
                problems.append(f"{name}: {_told(nodes)}")
            elif len(groups) == 1:
                measured[name] = Measurement(value=next(iter(nodes)))
    return _check(
        "agree",
        problems,
        measured=measured,
        expected="the same image, torch, CUDA, cuDNN, NCCL, driver and GPUs on all nodes",
        remedy="name the image by its digest, so that all nodes have the same; bring drivers and GPUs into line, or"
        " keep nodes apart with --node-selector",
    )


def _facts(report: Report) -> dict[str, str]:
    """What is known of a node; the GPUs always are."""
    checks = {check.name: check for check in report.checks}
    found = {
        "image": report.image.id if report.image else None,
        "torch": report.torch,
        "Python": report.python,
        "GPUs": _gpus(report),
    }
    for name, check, key in _FACTS:
        value = checks[check].measured.get(key) if check in checks else None
        found[name] = str(value.value) if value is not None else None
    return {name: value for name, value in found.items() if value}


def _gpus(report: Report) -> str:
    counts = Counter(str(gpu.get("name") or "unnamed GPU") for gpu in report.gpus)
    return ", ".join(f"{count} x {name}" for name, count in sorted(counts.items())) or "none"


def _by_value(pairs: Iterable[tuple[str, str]]) -> Mapping[str, Sequence[str]]:
    """Nodes by value, the most frequent value first."""
    found: dict[str, list[str]] = {}
    for value, node in pairs:
        found.setdefault(value, []).append(node)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _told(nodes: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{value} on {figures.names(names)}" for value, names in nodes.items())


# --- equally fast ----------------------------------------------------------------------------------------------------


def _rates(reports: Sequence[Report]) -> Check:
    """No node is far below the median of those that have the same GPUs and checked the same image."""
    measured: dict[str, Measurement] = {}
    problems, tables = [], []
    for (_, gpus), same in _grouped(reports, lambda report: (_reference(report), _gpus(report))).items():
        found = [(_name(report), _measured_rates(report)) for report in same]
        for name in dict.fromkeys(name for _, rates in found for name in rates):
            nodes = {node: rates[name] for node, rates in found if name in rates}
            if len(nodes) < _FEWEST:
                continue
            median = statistics.median(rate.value for rate in nodes.values())
            bound = _bound(name)
            unit = next(iter(nodes.values())).unit
            below = {node: 100 * (1 - rate.value / median) for node, rate in nodes.items()}
            problems += [
                f"{name}: {nodes[node].value:.4g} {unit} on {node}, {percent:.0f} % below the median of"
                f" {len(nodes)} nodes, {median:.4g}"
                for node, percent in below.items()
                if percent > 100 * bound
            ]
            slowest = max(below.values())
            if name not in measured or slowest > float(measured[name].value):
                measured[name] = Measurement(value=round(slowest, 1), unit="% below")
            values = {node: rate.value for node, rate in nodes.items()}
            tables.append({"rate": name, "unit": unit, "gpus": gpus, "median": median, "bound": bound, "nodes": values})
    if not tables:
        return _skipped(
            "rates", f"needs rates of {_FEWEST} nodes with the same GPUs: of fewer, none can be called slow"
        )
    return _check(
        "rates",
        problems,
        measured=measured,
        expected=f"no node more than {_COMPUTE_BOUND:.0%} below the median; of copies and links, {_LINK_BOUND:.0%}",
        remedy="look there at clocks, power cap and temperature (`nvidia-smi -q`), at links (`nvidia-smi nvlink -s`),"
        " and at what else runs on the node",
        data={"rates": tables},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rate:
    """A rate of one node."""

    value: float
    unit: str


def _measured_rates(report: Report) -> Mapping[str, _Rate]:
    """The rates that one node measured, by name; of several that a check has, its median."""
    found = {}
    for check in report.checks:
        if check.status is not Status.PASS:
            continue
        if check.group == "rate":
            values = {check.name: check.measured.get("median") or check.measured.get("rate")}
        else:
            values = {f"{check.name} {key}": value for key, value in check.measured.items() if key.startswith("bus_")}
        for name, measurement in values.items():
            value = measurement.value if measurement is not None else None
            if measurement is not None and isinstance(value, int | float) and math.isfinite(value) and value > 0:
                found[name] = _Rate(value=float(value), unit=measurement.unit or "")
    return found


def _bound(name: str) -> float:
    on_chip = name.startswith("rate.matmul_") or name == "rate.memory"
    return _COMPUTE_BOUND if on_chip else _LINK_BOUND


# --- shared ----------------------------------------------------------------------------------------------------------


def _grouped(reports: Iterable[Report], key: Callable[[Report], _Key]) -> Mapping[_Key, Sequence[Report]]:
    found: dict[_Key, list[Report]] = {}
    for report in reports:
        found.setdefault(key(report), []).append(report)
    return found


def _reference(report: Report) -> str | None:
    return report.image.reference if report.image else None


def _name(report: Report) -> str:
    return report.node or figures.subject(report)


def _check(
    name: str,
    problems: Sequence[str],
    *,
    measured: Mapping[str, Measurement],
    expected: str,
    remedy: str,
    data: Mapping[str, object] | None = None,
) -> Check:
    return Check(
        name=f"{GROUP}.{name}",
        group=GROUP,
        status=Status.FAIL if problems else Status.PASS,
        measured=measured,
        expected=expected,
        reason="\n".join(problems) or None,
        remedy=remedy if problems else None,
        data=data or {},
    )


def _skipped(name: str, reason: str) -> Check:
    return Check(name=f"{GROUP}.{name}", group=GROUP, status=Status.SKIP, reason=reason)
