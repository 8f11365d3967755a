"""What every form of a report says in the same words: verdict, counts, durations, sizes, measured values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from gpuimg.model import Check, Measurement, Report, Status

SYMBOLS = {Status.PASS: "✓", Status.FAIL: "✗", Status.SKIP: "–"}
_BYTES = {"B", "byte", "bytes"}
_NO_UNIT = {"", "count"}


def verdict(report: Report) -> Status:
    """FAIL if any check failed, SKIP if none ran, else PASS."""
    statuses = {check.status for check in report.checks}
    if Status.FAIL in statuses:
        return Status.FAIL
    return Status.PASS if Status.PASS in statuses else Status.SKIP


def worst(reports: Sequence[Report]) -> Status:
    """The verdict on all: FAIL if any failed, PASS if any passed, else SKIP."""
    verdicts = {verdict(report) for report in reports}
    return next((status for status in (Status.FAIL, Status.PASS) if status in verdicts), Status.SKIP)


def counts(report: Report) -> dict[Status, int]:
    """How many checks ended each way."""
    return {status: sum(check.status is status for check in report.checks) for status in Status}


def subject(report: Report) -> str:
    """What was checked: the image's reference or the host, and where, if several machines were."""
    if report.image is None:
        return report.node or "this host"
    return f"{report.image.reference} on {report.node}" if report.node else report.image.reference


def names(items: Sequence[str], *, shown: int = 4) -> str:
    """A list to read, cut where it is long.

    >>> names(["a"]), names(["a", "b", "c"], shown=2)
    ('a', 'a, b and 1 more')
    """
    text = ", ".join(items[:shown])
    return f"{text} and {len(items) - shown} more" if len(items) > shown else text


def groups(checks: Iterable[Check]) -> dict[str, list[Check]]:
    """Checks by group, both in the order of the plan."""
    found: dict[str, list[Check]] = {}
    for check in checks:
        found.setdefault(check.group, []).append(check)
    return found


def reason(check: Check) -> str:
    """Why a check did not pass."""
    return check.reason or ("it did not hold" if check.status is Status.FAIL else "no reason was given")


def skipped_by_reason(checks: Iterable[Check]) -> dict[str, list[Check]]:
    """Skipped checks by reason, the most frequent reason first."""
    found: dict[str, list[Check]] = {}
    for check in checks:
        if check.status is Status.SKIP:
            found.setdefault(reason(check), []).append(check)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def skipped_together(checks: Iterable[Check]) -> dict[str, list[Check]]:
    """Those of `skipped_by_reason` whose reason two or more share."""
    return {reason: same for reason, same in skipped_by_reason(checks).items() if len(same) > 1}


def number(count: int, noun: str) -> str:
    """A count with its noun.

    >>> number(1, "check"), number(3, "image")
    ('1 check', '3 images')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def duration(seconds: float) -> str:
    """A duration to read.

    >>> duration(0.84), duration(212.4), duration(7325)
    ('0.8 s', '3 min 32 s', '2 h 02 min')
    """
    if not math.isfinite(seconds):
        return "? s"
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(size_bytes: float) -> str:
    """A number of bytes to read.

    >>> size(12), size(5_730_000_000)
    ('12 B', '5.34 GiB')
    """
    value = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:.3g} TiB"


def short(number: float) -> str:
    """A number in three digits, or whole where it has more.

    >>> short(1979.2), short(62.31), short(0.0123), short(-4.0)
    ('1979', '62.3', '0.0123', '-4')
    """
    return f"{number:.0f}" if 1000 <= abs(number) < 1e6 else f"{number:.3g}"


def value(measurement: Measurement) -> str:
    """A measured value with its unit.

    >>> value(Measurement(value=2.71828182, unit="u")), value(Measurement(value=0, unit="count"))
    ('2.718 u', '0')
    """
    number, unit = measurement.value, measurement.unit or ""
    if unit in _BYTES and isinstance(number, int | float) and math.isfinite(number):
        return size(number)
    text = f"{number:.4g}" if isinstance(number, float) else str(number)
    return text if unit in _NO_UNIT else f"{text} {unit}"


def asked(check: Check) -> Mapping[str, Measurement]:
    """The values that the expectation speaks of, else all."""
    expected = (check.expected or "").lower()
    return {name: value for name, value in check.measured.items() if name.lower() in expected} or check.measured


def gpu(facts: Mapping[str, object]) -> str:
    """A GPU in one line, from what the guest says of it."""
    parts = [str(facts.get("name") or "unnamed GPU")]
    if facts.get("cc"):
        parts.append(f"compute capability {facts['cc']}")
    memory = facts.get("memory_bytes")
    if isinstance(memory, int | float) and memory > 0:
        parts.append(size(memory))
    if facts.get("uuid"):
        parts.append(str(facts["uuid"]))
    return ", ".join(parts)


def gpus(report: Report) -> Iterator[tuple[str, str]]:
    """Each GPU: ``GPU 0``, and itself in one line."""
    for number, facts in enumerate(report.gpus):
        index = facts.get("index")
        yield f"GPU {index if isinstance(index, int) else number}", gpu(facts)
