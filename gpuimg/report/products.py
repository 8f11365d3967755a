"""Matrix products, type by type: wrong elements of the exact test, and max z of the rounding test beside its bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gpuimg.model import Check, Report, Status
from gpuimg.report import figures, readings

_PREFIX: Final = "numerics.matmul_"
_MODES: Final = {"max_z": "", "max_z_reduced": "reduced"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """Max z of one type and mode, in units of its unit roundoff u."""

    kind: str
    """The type, and where it ran: on the CPU, or on which of several GPUs."""
    mode: str
    """Such as ``reduced``: reductions in the type itself were allowed."""
    max_z: float | None
    """None: what was measured is no number."""
    told: str
    """As it was measured, in words."""
    bound: float | None
    failed: bool

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.mode}" if self.mode else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """The exact test of one type."""

    kind: str
    wrong_elements: str
    failed: bool


def read_errors(report: Report) -> tuple[Error, ...]:
    """Each type and mode whose rounding test ran."""
    return tuple(
        _error(report, check, kind.removesuffix("_rounding"), mode)
        for kind, check in readings.ran(report, _PREFIX)
        if kind.endswith("_rounding")
        for mode in _MODES
        if mode in check.measured
    )


def read_exact(report: Report) -> tuple[Exact, ...]:
    """Each type whose exact test ran."""
    return tuple(
        Exact(
            kind=kind.removesuffix("_exact") + readings.device(report, check),
            wrong_elements=figures.value(check.measured["wrong_elements"]),
            failed=check.status is Status.FAIL,
        )
        for kind, check in readings.ran(report, _PREFIX)
        if kind.endswith("_exact") and "wrong_elements" in check.measured
    )


def by_type(report: Report) -> Mapping[str, tuple[Exact | None, Sequence[Error]]]:
    """Both tests of each type."""
    errors: dict[str, list[Error]] = {}
    for error in read_errors(report):
        errors.setdefault(error.kind, []).append(error)
    exact = {test.kind: test for test in read_exact(report)}
    return {kind: (exact.get(kind), errors.get(kind, [])) for kind in dict.fromkeys((*exact, *errors))}


def error_text(error: Error) -> str:
    """Max z beside its bound: ``2.9 u, bound 8 u``."""
    told = f"✗ {error.told}" if error.failed else error.told
    return told if error.bound is None else f"{told}, bound {figures.short(error.bound)} u"


def _error(report: Report, check: Check, kind: str, mode: str) -> Error:
    bound = readings.positive(readings.fields(check.data.get("bounds_u")).get(mode))
    max_z = readings.measured(check, mode)
    return Error(
        kind=kind + readings.device(report, check),
        mode=_MODES[mode],
        max_z=max_z,
        told=figures.value(check.measured[mode]),
        bound=bound,
        failed=check.status is Status.FAIL and (bound is None or max_z is None or max_z > bound),
    )
