"""Reports against earlier ones: what got worse, what got better, what is new. Pure.

A check that held and no longer does is worse, whatever it measures. Of values, `gpuimg.report.metrics` says what is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gpuimg.model import Check, Measurement, Report, Status
from gpuimg.report import figures
from gpuimg.report.metrics import IMAGE_SIZE, Change, Metric, find_metric, judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as it was; `text` says both values."""

    change: Change
    subject: str
    """A check's name, or what else changed."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One image now, held against its report of before."""

    subject: str
    before: str | None
    """What it was called then; None: nothing there is like it."""
    notices: tuple[str, ...] = ()
    """What is not the same around it, and what could not be compared for that."""
    differences: tuple[Difference, ...] = ()

    def of(self, change: Change) -> tuple[Difference, ...]:
        """The differences of one kind."""
        return tuple(difference for difference in self.differences if difference.change is change)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All images of now, and what of before has no counterpart among them."""

    pairs: tuple[Pair, ...]
    missing: tuple[str, ...]

    @property
    def worse(self) -> int:
        """How many things got worse."""
        return sum(len(pair.of(Change.WORSE)) for pair in self.pairs)


_WORK: Final = ("workload", "network", "run")
"""What an allocator's check says of the training that it measured."""
_IDENTITY: Final = ("io.gpuimg.stack", "io.gpuimg.flavor", "io.gpuimg.python")


def compare(
    before: Sequence[Report], now: Sequence[Report], *, asked: Callable[[Check], bool] = lambda _: True
) -> Comparison:
    """Hold each report of `now` against its own of `before`.

    That is the one of the same reference, else of the same stack, flavor and Python by its labels, each on the same
    node; else the only one where there is one on either side. `asked` says which checks were to run now: the others
    are not missed.
    """
    pairs = []
    unused = {id(report): report for report in before}
    for report in now:
        found = _counterpart(report, before, now)
        unused.pop(id(found), None)
        pairs.append(_pair(found, report, asked))
    return Comparison(pairs=tuple(pairs), missing=tuple(figures.subject(report) for report in unused.values()))


def _counterpart(report: Report, before: Sequence[Report], now: Sequence[Report]) -> Report | None:
    for alike in (figures.subject, _identity):
        mine = alike(report)
        found = next((other for other in before if mine is not None and alike(other) == mine), None)
        if found is not None:
            return found
    return before[0] if len(before) == len(now) == 1 else None


def _identity(report: Report) -> tuple[str, ...] | None:
    labels = report.image.labels if report.image else {}
    if not all(name in labels for name in _IDENTITY):
        return None
    return (report.node or "", *(labels[name] for name in _IDENTITY))


def _pair(before: Report | None, now: Report, asked: Callable[[Check], bool]) -> Pair:
    if before is None:
        return Pair(subject=figures.subject(now), before=None)
    differences: list[Difference] = []
    earlier = {check.name: check for check in before.checks}
    later = {check.name: check for check in now.checks}
    for name, check in later.items():
        differences += _of_check(earlier.get(name), check, before, now)
    differences += [
        Difference(change=Change.WORSE, subject=name, text="passed before, and is gone")
        for name, check in earlier.items()
        if name not in later and check.status is Status.PASS and asked(check)
    ]
    return Pair(
        subject=figures.subject(now),
        before=figures.subject(before),
        notices=tuple(_surroundings(before, now)),
        differences=(*differences, *_of_image(before, now)),
    )


def _of_check(before: Check | None, now: Check, then: Report, today: Report) -> list[Difference]:
    said = f": {' '.join(now.reason.split())}" if now.reason else ""
    if before is None:
        told = now.status.value + (said if now.status is not Status.PASS else "")
        return [Difference(change=Change.NEW, subject=now.name, text=told)]
    if before.status is not now.status:
        match before.status, now.status:
            case (_, Status.PASS):
                change, said = Change.BETTER, ""
            case (Status.FAIL, Status.SKIP):
                change = Change.OTHER  # not mended: nobody looked
            case _:
                change = Change.WORSE
        text = f"{before.status.value} → {now.status.value}{said}"
        return [Difference(change=change, subject=now.name, text=text)]
    if now.status is Status.SKIP or not _same_place(before, now):
        return []
    by_change: dict[Change, list[str]] = {}
    for name in now.measured:
        metric = find_metric(now.name, name, now.measured[name].unit)
        if metric is None or name not in before.measured or not _comparable(metric, then, today):
            continue
        judged = judge(metric, before.measured[name], now.measured[name])
        if judged is not None:
            by_change.setdefault(judged.change, []).append(f"{name} {judged.text}")
    return [Difference(change=change, subject=now.name, text=", ".join(texts)) for change, texts in by_change.items()]


def _same_place(before: Check, now: Check) -> bool:
    """Whether both ran the same work on the same kind of device."""
    told = [(*(check.data.get(name) for name in _WORK), _device(check)) for check in (before, now)]
    return told[0] == told[1]


def _device(check: Check) -> str:
    return str(check.measured["device"].value).partition(":")[0] if "device" in check.measured else ""


def _comparable(metric: Metric, before: Report, now: Report) -> bool:
    """Whether the GPUs are of the same models, and for some values as many."""
    if metric.all_gpus:
        return sorted(_models(before)) == sorted(_models(now))
    return set(_models(before)) == set(_models(now))


def _models(report: Report) -> list[str]:
    return [str(gpu.get("name")) for gpu in report.gpus]


def _of_image(before: Report, now: Report) -> list[Difference]:
    if before.image is None or now.image is None:
        return []
    old, new = (Measurement(value=image.size_bytes, unit="B") for image in (before.image, now.image))
    judged = judge(IMAGE_SIZE, old, new)
    return [Difference(change=judged.change, subject="image size", text=judged.text)] if judged is not None else []


def _surroundings(before: Report, now: Report) -> list[str]:
    """What is not the same around the image, and what was not compared for that."""
    notices = []
    told: Mapping[str, tuple[str, str]] = {
        "GPUs": (_gpus(before), _gpus(now)),
        "driver": (_driver(before), _driver(now)),
        "torch": (before.torch or "none", now.torch or "none"),
        "Python": (before.python or "none", now.python or "none"),
    }
    for what, (old, new) in told.items():
        if old != new:
            notices.append(f"{what}: {old} then, {new} now")
    if set(_models(before)) != set(_models(now)):
        notices.append("the GPUs are of other models: rates, errors and savings are not compared")
    return notices


def _gpus(report: Report) -> str:
    models = _models(report)
    return ", ".join(f"{models.count(name)} × {name}" for name in dict.fromkeys(models)) or "none"


def _driver(report: Report) -> str:
    for check in report.checks:
        if check.name == "host.driver" and "driver" in check.measured:
            return str(check.measured["driver"].value)
    return "none"
