"""The smoke step of several images at once, each with the GPUs of its slot."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence

from gpuimg.engine.client import Engine
from gpuimg.engine.containers import Containers
from gpuimg.errors import GpuimgError
from gpuimg.model import Image, Report
from gpuimg.pool import run_each
from gpuimg.smoke.gpus import Slot
from gpuimg.smoke.host import SmokeOptions, smoke_image
from gpuimg.smoke.protocol import Event


def smoke_images(
    images: Sequence[Image],
    options: SmokeOptions,
    *,
    slots: Sequence[Slot],
    environ: Mapping[str, str],
    on_begin: Callable[[int, Slot], None],
    on_event: Callable[[int, Event], None],
    done: Callable[[int, Report | GpuimgError], None],
) -> None:
    """Run the smoke step in all `images`, as many at once as there are `slots`.

    An error of one image is its result, and no other's. Ctrl-C removes all containers.

    Args:
        environ: what names the engine: each thread has a connection of its own, because docker's client promises
            nothing to those who share one.
        on_begin: called in the image's thread, as is `on_event`; the number is that of the image.
        done: called in this thread, as each image ends.
    """
    containers = Containers()

    def smoke(number: int, slot: Slot) -> Report:
        on_begin(number, slot)
        own = dataclasses.replace(options, share=slot.gpus)
        with Engine(environ=environ) as engine:
            return smoke_image(
                engine, images[number], own, on_event=lambda event: on_event(number, event), among=containers
            )

    def take(number: int, result: Report | BaseException) -> None:
        if not isinstance(result, Report | GpuimgError):
            raise result  # a bug
        done(number, result)

    def cancel() -> None:
        with contextlib.suppress(GpuimgError), Engine(environ=environ) as engine:
            containers.end(engine)

    run_each(smoke, range(len(images)), slots=slots, done=take, cancel=cancel)
