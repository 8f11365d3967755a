"""What a check says: a status, what it measured, its bound, and the remedy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Union

PASS, FAIL, SKIP = "PASS", "FAIL", "SKIP"

Scalar = Union[int, float, str]
Measured = Mapping[str, Union[Scalar, tuple[Scalar, str]]]


@dataclass(frozen=True)
class Outcome:
    """The result of one check. A value of `measured` is a scalar, or a scalar with its unit."""

    status: str
    measured: Measured = field(default_factory=dict)
    expected: str | None = None
    reason: str | None = None
    remedy: str | None = None
    gpu: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a line: ready for JSON, with every measured value beside its unit."""
        return {
            "status": self.status,
            "measured": {name: _measurement(value) for name, value in self.measured.items()},
            "expected": self.expected,
            "reason": self.reason,
            "remedy": self.remedy,
            "gpu": self.gpu,
            "data": finite(self.data),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Outcome:
        """The inverse of `as_dict`."""
        measured = {
            name: (entry["value"], entry["unit"]) if entry.get("unit") else entry["value"]
            for name, entry in record["measured"].items()
        }
        return cls(**{**record, "measured": measured})


class Skip(Exception):
    """Raised anywhere below a check that turns out not to be able to run here; the message is the reason."""


def passed(measured: Measured, *, expected: str | None = None, data: Mapping[str, Any] | None = None) -> Outcome:
    """It ran and held."""
    return Outcome(PASS, measured=measured, expected=expected, data=data or {})


def skipped(reason: str, *, measured: Measured | None = None) -> Outcome:
    """Its torch, chip or flavor can't run it."""
    return Outcome(SKIP, reason=reason, measured=measured or {})


def failed(
    reason: str,
    *,
    measured: Measured | None = None,
    expected: str | None = None,
    remedy: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> Outcome:
    """It ran and did not hold, or did not end as it should."""
    return Outcome(FAIL, measured=measured or {}, expected=expected, reason=reason, remedy=remedy, data=data or {})


def verdict(
    problems: Sequence[str],
    *,
    measured: Measured,
    expected: str,
    remedy: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> Outcome:
    """PASS where there is no problem, else FAIL with all of them."""
    if not problems:
        return passed(measured, expected=expected, data=data)
    return failed("; ".join(problems), measured=measured, expected=expected, remedy=remedy, data=data)


def on_gpu(outcome: Outcome, index: int | None) -> Outcome:
    """The same outcome, with the GPU that it is about."""
    return replace(outcome, gpu=index)


def finite(value: Any) -> Any:
    """`value` with every NaN and infinity spelt out: JSON has no numbers for them."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def _measurement(value: Scalar | tuple[Scalar, str]) -> dict[str, Any]:
    number, unit = value if isinstance(value, tuple) else (value, None)
    return {"value": finite(number)} if unit is None else {"value": finite(number), "unit": unit}
