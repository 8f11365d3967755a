"""What one image's report shows on the page: facts, plots, and of what was not measured why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gpuimg.model import Report, Status
from gpuimg.report import figures, products, readings, savings, speeds
from gpuimg.report.plots.bars import plot_rates
from gpuimg.report.plots.errors import plot_errors
from gpuimg.report.plots.memory import plot_memory
from gpuimg.report.plots.savings import plot_bytes, plot_percent
from gpuimg.report.plots.svg import Figure

_MEMORY: Final = ("allocator.saving_",)
_MATMUL: Final = ("rate.matmul_",)
_LINKS: Final = ("rate.memory", "rate.h2d", "rate.d2h", "distributed.nccl")
_ERRORS: Final = ("numerics.matmul_",)
_ERRORS_END: Final = "_rounding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Plots of one subject, under a heading; without any, `absent` says why there is nothing of `subject`."""

    key: str
    title: str
    subject: str
    figures: tuple[Figure, ...]
    absent: str | None


def sections(report: Report, *, name: str) -> tuple[Section, ...]:
    """Give the sections of plots; `name` is unique among the images of the page."""
    measured = savings.read_savings(report)
    memory = [
        plot_memory(saving, saving.course, name=f"{name}-memory-{number}")
        for number, saving in enumerate(measured, 1)
        if saving.course is not None
    ]
    percent, absolute = plot_percent(measured, name=f"{name}-percent"), plot_bytes(measured, name=f"{name}-bytes")
    matmul = plot_rates(speeds.read_matmul(report), title="Matrix products", name=f"{name}-matmul")
    links = plot_rates(speeds.read_links(report), title="Memory and links", name=f"{name}-links")
    errors = plot_errors(products.read_errors(report), name=f"{name}-errors")
    return (
        _section(report, "memory", "Memory over steps", "memory over steps", memory, _MEMORY),
        _section(
            report,
            "savings",
            "What the tuned allocator saves",
            "savings of the tuned allocator",
            [percent, absolute],
            _MEMORY,
        ),
        _section(report, "rates", "Rates", "rates", [matmul, links], (*_MATMUL, *_LINKS)),
        _section(
            report, "errors", "Errors of matrix products", "rounding errors of matrix products", [errors], _ERRORS
        ),
    )


def facts(report: Report) -> Iterator[tuple[str, str]]:
    """What the image is and where it ran, as labels and texts."""
    image = report.image
    if image is not None:
        yield "digest", image.id
        yield "size", f"{figures.size(image.size_bytes)}, {image.platform}"
    yield "torch", f"{report.torch or 'not found'} on Python {report.python or '?'}"
    yield from figures.gpus(report)
    if not report.gpus:
        yield "GPU", "none"
    drivers = [found for check in report.checks if (found := readings.told(check, "driver"))]
    if drivers:
        yield "driver", drivers[0]
    yield "took", figures.duration(report.seconds)


def _section(
    report: Report, key: str, title: str, subject: str, plots: Iterable[Figure | None], prefixes: tuple[str, ...]
) -> Section:
    drawn = tuple(plot for plot in plots if plot is not None)
    return Section(
        key=key, title=title, subject=subject, figures=drawn, absent=None if drawn else _why_absent(report, prefixes)
    )


def _why_absent(report: Report, prefixes: tuple[str, ...]) -> str:
    end = _ERRORS_END if prefixes is _ERRORS else ""
    checks = [check for check in report.checks if check.name.startswith(prefixes) and check.name.endswith(end)]
    if not checks:
        return "no such check was part of this run"
    reasons = list(figures.skipped_by_reason(checks))
    if any(check.status is Status.FAIL for check in checks):
        return "a check of it failed before it had a value"
    return "; ".join(reasons) or "the checks left no number"
