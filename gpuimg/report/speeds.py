"""Rates that were measured, each beside its datasheet's where the chip is known: matmul, memory, links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gpuimg.model import Check, Report
from gpuimg.report import figures, readings

_COPIES: Final = {"memory": "GPU memory, copy", "h2d": "host to GPU, pinned", "d2h": "GPU to host, pinned"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A rate in `unit`."""

    name: str
    value: float
    """The median where several were taken."""
    best: float | None = None
    peak: float | None = None
    """The datasheet's; None where the chip is not known."""
    of_peak: float | None = None
    """Percent."""
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One product of an m×k and a k×n matrix, in TFLOP/s."""

    name: str
    m: int
    n: int
    k: int
    best: float | None
    median: float | None


def read_matmul(report: Report) -> tuple[Rate, ...]:
    """TFLOP/s by type."""
    found = []
    for kind, check in readings.ran(report, "rate.matmul_"):
        best, median = (readings.positive(readings.measured(check, name)) for name in ("best", "median"))
        value = median if median is not None else best
        if value is not None:
            peak = readings.positive(readings.measured(check, "peak"))
            found.append(
                Rate(
                    name=kind + readings.on_gpu(report, check),
                    value=value,
                    best=best,
                    peak=peak,
                    of_peak=readings.positive(readings.measured(check, "of_peak")),
                    unit="TFLOP/s",
                )
            )
    return tuple(found)


def read_shapes(report: Report) -> tuple[Shape, ...]:
    """What each shape gave."""
    return tuple(
        shape
        for kind, check in readings.ran(report, "rate.matmul_")
        for entry in readings.entries(check.data.get("shapes"))
        if (shape := _shape(kind + readings.on_gpu(report, check), entry)) is not None
    )


def read_links(report: Report) -> tuple[Rate, ...]:
    """GB/s of memory, of copies from and to the host, and of NCCL's collectives between GPUs."""
    found = []
    for name, label in _COPIES.items():
        for rest, check in readings.ran(report, f"rate.{name}"):
            value = readings.positive(readings.measured(check, "rate"))
            if value is not None and not rest:
                peak = readings.positive(readings.measured(check, "peak"))
                where = readings.on_gpu(report, check)
                share = None if peak is None else 100 * value / peak
                found.append(Rate(name=label + where, value=value, peak=peak, of_peak=share, unit="GB/s"))
    for _, check in readings.ran(report, "distributed.nccl"):
        found += _buses(check)
    return tuple(found)


def rate_text(rate: Rate) -> str:
    """A rate beside its datasheet's.

    >>> rate_text(Rate(name="bf16", value=612.3, best=640.0, peak=989.0, of_peak=64.7, unit="TFLOP/s"))
    '612 TFLOP/s, best 640 of 989 (64.7 %)'
    >>> rate_text(Rate(name="bf16", value=612.3, unit="TFLOP/s"))
    '612 TFLOP/s (– % of peak)'
    """
    best = f", best {figures.short(rate.best)}" if rate.best is not None else ""
    if rate.peak is None:
        share = " (– % of peak)" if rate.unit == "TFLOP/s" else ""
    else:
        share = f" of {figures.short(rate.peak)}" + (
            f" ({figures.short(rate.of_peak)} %)" if rate.of_peak is not None else ""
        )
    return f"{figures.short(rate.value)} {rate.unit}{best}{share}"


def _shape(name: str, entry: object) -> Shape | None:
    shape = readings.fields(entry)
    m, n, k = (readings.count(shape.get(side)) for side in ("m", "n", "k"))
    best, median = (readings.positive(shape.get(key)) for key in ("best", "median"))
    if m is None or n is None or k is None or (best is None and median is None):
        return None
    return Shape(name=name, m=m, n=n, k=k, best=best, median=median)


def _buses(check: Check) -> list[Rate]:
    return [
        Rate(name=f"NCCL {name.removeprefix('bus_').replace('_', ' ')}", value=value, unit="GB/s")
        for name in check.measured
        if name.startswith("bus_") and (value := readings.positive(readings.measured(check, name))) is not None
    ]
