"""Numbers out of what checks say. An image may say anything: what is no finite number is None, and is never shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from gpuimg.model import Check, Report, Status

_MOST_BYTES: Final = 1 << 60
_MOST_THINGS: Final = 10**9


def number(value: object) -> float | None:
    """`value` where it is a finite number.

    >>> number(2), number(True), number("nan"), number(float("inf")), number([1])
    (2.0, None, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def positive(value: object) -> float | None:
    """`value` where it is a number above 0: a size, a rate, a ratio."""
    found = number(value)
    return found if found is not None and found > 0 else None


def amount(value: object) -> float | None:
    """`value` where it is a number of bytes that a machine can have, or 0."""
    found = number(value)
    return found if found is not None and 0 <= found <= _MOST_BYTES else None


def size(value: object) -> float | None:
    """`value` where it is an amount of at least a byte."""
    found = amount(value)
    return found if found is not None and found >= 1 else None


def count(value: object) -> int | None:
    """`value` where it is a number of things that a run can have."""
    found = number(value)
    return int(found) if found is not None and 0 <= found <= _MOST_THINGS else None


def fields(value: object) -> Mapping[str, object]:
    """`value` where it is an object, else one without fields."""
    return value if isinstance(value, Mapping) else {}


def entries(value: object) -> Sequence[object]:
    """`value` where it is a list, else an empty one."""
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def text(value: object) -> str | None:
    """`value` where it is a text that says something."""
    return value if isinstance(value, str) and value.strip() else None


def measured(check: Check, name: str) -> float | None:
    """What `check` measured under that name."""
    found = check.measured.get(name)
    return number(found.value) if found is not None else None


def told(check: Check, name: str) -> str | None:
    """What `check` says under that name in words."""
    found = check.measured.get(name)
    return text(found.value) if found is not None else None


def ran(report: Report, prefix: str) -> Iterator[tuple[str, Check]]:
    """Checks that ran and whose name begins so, each with the rest of its name."""
    for check in report.checks:
        if check.status is not Status.SKIP and check.name.startswith(prefix):
            yield check.name.removeprefix(prefix), check


def on_gpu(report: Report, check: Check) -> str:
    """Words that tell checks of several GPUs apart: `` (GPU 1)``; nothing where there is one."""
    return f" (GPU {check.gpu})" if len(report.gpus) > 1 and check.gpu is not None else ""


def device(report: Report, check: Check) -> str:
    """As `on_gpu`, and `` (CPU)`` for what ran there: it says nothing of a GPU."""
    return " (CPU)" if told(check, "device") == "cpu" else on_gpu(report, check)


def median(values: Iterable[float]) -> float | None:
    """The middle of `values`; None where there are none."""
    ordered = sorted(values)
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else ordered[middle - 1] / 2 + ordered[middle] / 2
