"""The smoke step as a command shows it: what goes on while it runs, then the report, or of several what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuimg.cli.smoke_live import SmokeView
from gpuimg.model import Report
from gpuimg.report import terminal
from gpuimg.smoke.gpus import share_gpus
from gpuimg.smoke.host import SmokeOptions, find_gpus, smoke_host, smoke_image
from gpuimg.smoke.many import smoke_images

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gpuimg.cli.console import Console
    from gpuimg.cli.outcome import Results
    from gpuimg.engine.client import Engine
    from gpuimg.errors import GpuimgError
    from gpuimg.model import Image
    from gpuimg.smoke.gpus import Sharing, Slot
    from gpuimg.smoke.protocol import Event


def verify_with_view(
    engine: Engine, image: Image, console: Console, wanted: SmokeOptions | None = None, *, title: str
) -> Report:
    """Run the smoke step in `image` and show it."""
    with SmokeView(console, title) as view:
        view.begin()
        report = smoke_image(engine, image, wanted or SmokeOptions(), on_event=view.take)
    return _shown(report, console)


def host_with_view(python: str, console: Console, wanted: SmokeOptions) -> Report:
    """Run the smoke step in this machine's `python` and show it."""
    with SmokeView(console, python) as view:
        view.begin()
        report = smoke_host(python, wanted, on_event=view.take)
    return _shown(report, console)


def verify_several(
    engine: Engine,
    images: Sequence[Image],
    console: Console,
    wanted: SmokeOptions,
    results: Results,
    *,
    sharing: Sharing,
    environ: Mapping[str, str],
) -> None:
    """Run the smoke step in `images`, so many at once as can share the engine's GPUs, and show what failed in each.

    `environ` names the engine once more, for connections beside `engine`.
    """
    slots = share_gpus(find_gpus(engine, images, wanted), engine.info(), sharing, images=len(images))
    with SmokeView(console, *(image.reference for image in images)) as view:

        def begin(number: int, slot: Slot) -> None:
            view.begin(number, where=slot.label)

        def take(number: int, event: Event) -> None:
            view.take(event, number=number)

        def done(number: int, outcome: Report | GpuimgError) -> None:
            view.end(outcome, number=number)
            with results.one_of(len(images)):
                if not isinstance(outcome, Report):
                    console.info(f"[{images[number].reference}] could not be checked")
                    raise outcome
                results.add(outcome, position=number)
                if len(images) == 1:
                    _shown(outcome, console)
                elif outcome.failed:
                    _shown(outcome, console, terminal.render_brief)

        smoke_images(images, wanted, slots=slots, environ=environ, on_begin=begin, on_event=take, done=done)


def _shown(report: Report, console: Console, render: Callable[..., str] = terminal.render_report) -> Report:
    err = console.err
    console.rendered(render(report, width=err.width, colour=err.colour, unicode=err.unicode))
    return report
