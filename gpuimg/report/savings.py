"""What the tuned allocator saves against torch's default: ``allocator.saving_*`` → numbers, and a sentence of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gpuimg.model import Check, Report, Status
from gpuimg.report import figures, readings

_PREFIX: Final = "allocator.saving_"
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A median and the range around it; the ends are the median itself where no range was told."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One seed, run with both settings."""

    default_peak: float
    """Reserved bytes."""
    tuned_peak: float

    @property
    def saving(self) -> float:
        """Percent that tuned reserves less; below 0 where it reserves more."""
        return 100 * (1 - self.tuned_peak / self.default_peak)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """The smallest memory in which the workload ran; `at_most`: nothing smaller was tried."""

    size_bytes: float
    at_most: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The first pair, step by step: (step, bytes), and the steps at which an allocation had to be tried again."""

    default_reserved: Points
    tuned_reserved: Points
    allocated: Points
    default_retries: Sequence[float]
    tuned_retries: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """One workload. What was not measured is None."""

    key: str
    """Such as ``bert``: the end of the check's name."""
    workload: str
    where: str
    setting: str | None
    claim: tuple[float, float | None] | None
    """Percent that is claimed to be saved: from, and up to where there is an end."""
    peak: Spread | None
    cap_saving: float | None
    default_cap: Cap | None
    tuned_cap: Cap | None
    pairs: tuple[Pair, ...]
    pair_count: int
    steps: int | None
    retries: tuple[int, int] | None
    """Default and tuned, over all pairs."""
    fragmentation: tuple[float, float] | None
    """Medians at the peak, default and tuned: 0 is none."""
    step_time_ratio: float | None
    verdict: str | None
    budget_bytes: float | None
    course: Course | None

    @property
    def name(self) -> str:
        return self.workload + self.where


def read_savings(report: Report) -> tuple[Saving, ...]:
    """Each workload that ran and left a number."""
    found = [read_saving(check, where=readings.on_gpu(report, check)) for _, check in readings.ran(report, _PREFIX)]
    return tuple(saving for saving in found if saving is not None)


def read_saving(check: Check, *, where: str = "") -> Saving | None:
    """What a check of one workload measured; None for another check, and for one that left no number."""
    if not check.name.startswith(_PREFIX) or check.status is Status.SKIP:
        return None
    saving = _saving(check, where=where)
    told = saving.peak is not None or saving.cap_saving is not None or saving.pairs or saving.course is not None
    return saving if told else None


def claim_text(claim: tuple[float, float | None] | None) -> str:
    """A claim in words.

    >>> claim_text((12, 18)), claim_text((20, None)), claim_text(None)
    ('12 to 18 %', 'more than 20 %', 'none')
    """
    if claim is None:
        return "none"
    low, high = claim
    start = figures.short(low)
    return f"more than {start} %" if high is None else f"{start} to {figures.short(high)} %"


def spread_text(spread: Spread) -> str:
    """A median with its range.

    >>> spread_text(Spread(median=28.94, low=-4, high=32.1))
    '28.9 % (-4 to 32.1 %)'
    """
    middle, low, high = (figures.short(value) for value in (spread.median, spread.low, spread.high))
    return f"{middle} %" if low == high else f"{middle} % ({low} to {high} %)"


def cap_text(cap: Cap | None) -> str:
    """A smallest memory.

    >>> cap_text(Cap(size_bytes=2**34, at_most=True)), cap_text(None)
    ('≤ 16 GiB', 'none found')
    """
    return "none found" if cap is None else f"{'≤ ' if cap.at_most else ''}{figures.size(cap.size_bytes)}"


def runs_text(saving: Saving) -> str:
    """How often it ran: ``5 pairs of 40 steps``."""
    pairs = f"{saving.pair_count} {'pair' if saving.pair_count == 1 else 'pairs'}"
    return pairs if saving.steps is None else f"{pairs} of {saving.steps} steps"


def sentence(saving: Saving) -> str:
    """What was measured, in one line: both savings, with the claim beside them."""
    parts = []
    if saving.peak is not None:
        parts.append(f"peak reserved saves {spread_text(saving.peak)}")
    if saving.cap_saving is not None:
        parts.append(f"smallest memory that fits saves {figures.short(saving.cap_saving)} %")
    if saving.claim is not None:
        parts.append(f"the claim is {claim_text(saving.claim)}")
    if saving.step_time_ratio is not None:
        parts.append(f"step time × {figures.short(saving.step_time_ratio)}")
    if saving.retries is not None and any(saving.retries):
        parts.append(f"retries {saving.retries[0]} → {saving.retries[1]}")
    parts.append(runs_text(saving))
    if saving.verdict is not None:
        parts.append(saving.verdict)
    return "; ".join(parts)


# --- reading ---------------------------------------------------------------------------------------------------------


def _saving(check: Check, *, where: str) -> Saving:
    key, data = check.name.removeprefix(_PREFIX), check.data
    runs = list(_runs(data.get("pairs")))
    pairs = tuple(pair for default, tuned in runs if (pair := _pair(default, tuned)) is not None)
    caps = readings.fields(data.get("caps"))
    count = readings.count(readings.measured(check, "pairs"))
    return Saving(
        key=key,
        workload=readings.text(data.get("workload")) or key,
        where=where,
        setting=readings.text(data.get("setting")),
        claim=_claim(data.get("claim_percent")),
        peak=_spread(check),
        cap_saving=readings.measured(check, "cap_saving"),
        default_cap=_cap(caps.get("default")),
        tuned_cap=_cap(caps.get("tuned")),
        pairs=pairs,
        pair_count=len(pairs) if count is None else count,
        steps=readings.count(runs[0][0].get("steps")) if runs else None,
        retries=_retries(runs),
        fragmentation=_fragmentation(runs),
        step_time_ratio=readings.positive(readings.measured(check, "step_time_ratio")),
        verdict=readings.told(check, "verdict"),
        budget_bytes=readings.size(data.get("budget_bytes")),
        course=_course(readings.fields(data.get("series"))),
    )


Run = Mapping[str, object]


def _runs(pairs: object) -> Iterator[tuple[Run, Run]]:
    for entry in readings.entries(pairs):
        pair = readings.fields(entry)
        yield readings.fields(pair.get("default")), readings.fields(pair.get("tuned"))


def _pair(default: Run, tuned: Run) -> Pair | None:
    before, after = (readings.size(run.get("peak_reserved")) for run in (default, tuned))
    return None if before is None or after is None else Pair(default_peak=before, tuned_peak=after)


def _spread(check: Check) -> Spread | None:
    middle = readings.measured(check, "peak_saving")
    if middle is None:
        return None
    ends = [readings.measured(check, name) for name in ("peak_saving_min", "peak_saving_max")]
    low, high = (middle if end is None else end for end in ends)
    return Spread(median=middle, low=min(low, middle), high=max(high, middle))


def _claim(value: object) -> tuple[float, float | None] | None:
    ends = readings.entries(value)
    if len(ends) != 2:
        return None
    low, high = (readings.number(end) for end in ends)
    if low is None or (high is None and ends[1] is not None) or (high is not None and high < low):
        return None
    return low, high


def _cap(value: object) -> Cap | None:
    arm = readings.fields(value)
    smallest = readings.size(arm.get("smallest"))
    return None if smallest is None else Cap(size_bytes=smallest, at_most=arm.get("at_most") is True)


def _retries(runs: Sequence[tuple[Run, Run]]) -> tuple[int, int] | None:
    counts = [tuple(readings.count(run.get("retries")) for run in pair) for pair in runs]
    told = [(default, tuned) for default, tuned in counts if default is not None and tuned is not None]
    return (sum(default for default, _ in told), sum(tuned for _, tuned in told)) if told else None


def _fragmentation(runs: Sequence[tuple[Run, Run]]) -> tuple[float, float] | None:
    default, tuned = (
        readings.median(
            value for pair in runs if (value := readings.number(pair[arm].get("fragmentation"))) is not None
        )
        for arm in (0, 1)
    )
    return None if default is None or tuned is None else (default, tuned)


def _course(series: Mapping[str, object]) -> Course | None:
    steps = readings.entries(series.get("step"))
    default, tuned = (_points(steps, series.get(f"{arm}_reserved")) for arm in ("default", "tuned"))
    if len(default) < 2 and len(tuned) < 2:
        return None  # a single point is no course
    return Course(
        default_reserved=default,
        tuned_reserved=tuned,
        allocated=_points(steps, series.get("tuned_allocated")) or _points(steps, series.get("default_allocated")),
        default_retries=_rises(_points(steps, series.get("default_retries"))),
        tuned_retries=_rises(_points(steps, series.get("tuned_retries"))),
    )


def _points(steps: Sequence[object], values: object) -> Points:
    """Pairs of counts: what is none is left out."""
    found = zip(map(readings.count, steps), map(readings.amount, readings.entries(values)), strict=False)
    return tuple((step, value) for step, value in found if step is not None and value is not None)


def _rises(counts: Points) -> Sequence[float]:
    """The steps at which a count that only grows has grown; the first point counts from 0."""
    before = [0.0, *(count for _, count in counts)]
    return tuple(step for (step, count), earlier in zip(counts, before, strict=False) if count > earlier)
