"""Numbers → places on a plot, and the round numbers that its axis names."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_MOST_POWERS: Final = 7
_NEAR: Final = 1e-9
"""What rounding may take from a whole number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Values from `low` to `high` on places from `start` to `end`; what lies outside is put on the edge."""

    low: float
    high: float
    start: float
    end: float
    step: float = 1.0
    """Between the round numbers of a linear scale."""
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where `value` stands. On a logarithmic scale, 0 and less stand on the low edge."""
        low, high, held = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, held = (math.log10(number) for number in (low, high, held))
        return self.start + (held - low) / (high - low) * (self.end - self.start)


def linear(values: Sequence[float], *, start: float, end: float, most: int = 6) -> Scale:
    """A scale that holds 0 and all `values`, with round numbers at its ends and about `most` steps between them."""
    least, greatest = min([0.0, *values]), max([0.0, *values])
    if greatest <= least:
        greatest = least + 1
    step = round_step(greatest - least, most=most)
    low, high = math.floor(least / step) * step, math.ceil(greatest / step) * step
    return Scale(low=low, high=high, start=start, end=end, step=step)


def decades(values: Sequence[float], *, start: float, end: float) -> Scale:
    """A logarithmic scale of whole decades around the positive `values`, at least one."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    return Scale(low=10.0**low, high=10.0 ** max(high, low + 1), start=start, end=end, logarithmic=True)


def ticks(scale: Scale) -> tuple[float, ...]:
    """Round numbers on the scale; on a logarithmic one powers of ten, no more than there is room for.

    >>> ticks(linear([37.5], start=0, end=100))
    (0.0, 10.0, 20.0, 30.0, 40.0)
    >>> ticks(decades([0.5, 320], start=0, end=100))
    (0.1, 1.0, 10.0, 100.0, 1000.0)
    """
    if scale.logarithmic:
        low, high = round(math.log10(scale.low)), round(math.log10(scale.high))
        return tuple(10.0**power for power in range(low, high + 1, math.ceil((high - low + 1) / _MOST_POWERS)))
    first, last = math.ceil(scale.low / scale.step - _NEAR), math.floor(scale.high / scale.step + _NEAR)
    return tuple(number * scale.step for number in range(first, last + 1))


def round_step(span: float, *, most: int) -> float:
    """The least of 1, 2 and 5 times a power of ten that divides `span` into at most `most` parts.

    >>> round_step(37.5, most=6), round_step(0.9, most=6)
    (10.0, 0.2)
    """
    power = 10.0 ** math.floor(math.log10(max(span / most, sys.float_info.min)))  # so small a share may be 0
    return next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) <= most)
