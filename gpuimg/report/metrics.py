"""Which measured values say that something got worse: in which direction, and from what distance on. Pure."""

from __future__ import annotations

import contextlib
import enum
import math
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from gpuimg.model import Measurement
from gpuimg.report import figures


class Change(enum.Enum):
    """What became of one thing between two reports."""

    WORSE = "worse"
    BETTER = "better"
    NEW = "new"
    OTHER = "changed"


class Noise(enum.Enum):
    """How far two measurements of the same thing may lie apart."""

    SHARE = enum.auto()
    """By a share of the earlier value."""
    FACTOR = enum.auto()
    """By a factor."""
    POINTS = enum.auto()
    """By percentage points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """Values that say whether something got worse; `checks` and `values` are globs."""

    checks: str
    values: str
    unit: str
    higher_is_better: bool
    noise: Noise
    limit: float
    floor: float = -math.inf
    """What lies below is as good as this."""
    all_gpus: bool = False
    """Whether it depends on how many GPUs there are."""


def _rate(checks: str, values: str, unit: str, *, all_gpus: bool = False) -> Metric:
    """More is better; a twentieth is left to clocks, which follow temperature and power."""
    return Metric(
        checks=checks,
        values=values,
        unit=unit,
        higher_is_better=True,
        noise=Noise.SHARE,
        limit=0.05,
        all_gpus=all_gpus,
    )


def _saving(values: str) -> Metric:
    """Medians over the same seeds each time: what is left to chance is how blocks happen to lie."""
    return Metric(
        checks="allocator.saving_*", values=values, unit="%", higher_is_better=True, noise=Noise.POINTS, limit=5
    )


METRICS: Final = (
    _rate("rate.matmul_*", "best", "TFLOP/s"),  # beside them stands `peak`, which is the datasheet's
    _rate("rate.matmul_*", "median", "TFLOP/s"),
    _rate("rate.*", "rate", "GB/s"),
    _rate("distributed.nccl", "bus_*", "GB/s", all_gpus=True),  # a ring of another length has another bandwidth
    # An error in units of the type's rounding, of the same product of the same operands: another order of the same sum
    # moves it by less than twice, so that more means another algorithm. Below one unit it is less than a single
    # rounding. Over its bound it has failed, and is told as that.
    Metric(checks="*", values="*", unit="u", higher_is_better=False, noise=Noise.FACTOR, limit=2, floor=1),
    _saving("peak_saving"),
    _saving("cap_saving"),
)
IMAGE_SIZE: Final = Metric(  # torch and its libraries are most of it, and the distribution's updates little
    checks="", values="", unit="B", higher_is_better=False, noise=Noise.SHARE, limit=0.05
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A value that is not what it was; `text` says both, and how far they are apart."""

    change: Change
    text: str


def find_metric(check: str, value: str, unit: str | None) -> Metric | None:
    """The row for a value of a check; None: it says nothing of better or worse."""
    for metric in METRICS:
        if fnmatchcase(check, metric.checks) and fnmatchcase(value, metric.values) and unit == metric.unit:
            return metric
    return None


def judge(metric: Metric, before: Measurement, now: Measurement) -> Judged | None:
    """What became of a value; None: the same, as far as can be told."""
    old, new = _number(before), _number(now)
    if old is None or new is None or not _apart(metric, max(old, metric.floor), max(new, metric.floor)):
        return None
    shown = f"{figures.value(before).removesuffix(f' {metric.unit}')} → {figures.value(now)}"
    if metric.noise is Noise.POINTS:
        shown += f" ({new - old:+.1f} points)"
    elif metric.noise is Noise.SHARE and old:
        shown += f" ({(new - old) / abs(old) * 100:+.1f} %)"
    return Judged(change=Change.BETTER if (new > old) is metric.higher_is_better else Change.WORSE, text=shown)


def _number(measurement: Measurement) -> float | None:
    """None for a text, and for what no arithmetic can be done with."""
    with contextlib.suppress(OverflowError):
        if isinstance(measurement.value, int | float) and math.isfinite(measurement.value):
            return float(measurement.value)
    return None


def _apart(metric: Metric, old: float, new: float) -> bool:
    match metric.noise:
        case Noise.SHARE:
            return abs(new - old) > metric.limit * abs(old)
        case Noise.FACTOR:
            return max(old, new) > metric.limit * min(old, new)
        case Noise.POINTS:
            return abs(new - old) > metric.limit
