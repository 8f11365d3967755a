"""The smoke step as a command shows it: a line while it runs, then the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuimg.model import Check
from gpuimg.smoke.host import SmokeOptions, smoke_host, smoke_image
from gpuimg.smoke.protocol import Ended, Event, Sample, Started

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpuimg.cli.console import Console
    from gpuimg.engine.client import Engine
    from gpuimg.model import Image, Report


def verify_with_view(
    engine: Engine, image: Image, console: Console, wanted: SmokeOptions | None = None, *, title: str
) -> Report:
    """Run the smoke step in `image` and show it."""
    report = smoke_image(engine, image, wanted or SmokeOptions(), on_event=_progress(console, title))
    return _shown(report, console)


def host_with_view(python: str, console: Console, wanted: SmokeOptions) -> Report:
    """Run the smoke step in this machine's `python` and show it."""
    return _shown(smoke_host(python, wanted, on_event=_progress(console, python)), console)


def _progress(console: Console, title: str) -> Callable[[Event], None]:
    """On a terminal one line that changes; elsewhere one line at the start."""
    planned = done = 0

    def show(event: Event) -> None:
        nonlocal planned, done
        match event:
            case Started():
                planned = len(event.planned)
                console.info(f"checking {title}: {planned} checks")
            case Check():
                done += 1
                console.transient(f"  {done}/{planned} {event.name}")
            case Ended():
                console.transient("")
            case Sample():
                pass

    return show


def _shown(report: Report, console: Console) -> Report:
    from gpuimg.report.terminal import render_report

    console.rendered(
        render_report(report, width=console.err.width, colour=console.err.colour, unicode=console.err.unicode)
    )
    return report
