"""A machine and an engine → findings: `look` asks, `examine` runs the checks on what was said."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

from gpuimg.doctor.engine_state import EngineState
from gpuimg.doctor.finding import Finding, Subject
from gpuimg.doctor.registry import CHECKS
from gpuimg.errors import RequestError
from gpuimg.facts import HostFacts, Matrix, Stack
from gpuimg.machine import Machine, read_distribution, read_nvidia
from gpuimg.matrix.load import load_wheels
from gpuimg.matrix.query import Wishes, select
from gpuimg.text import did_you_mean, printable
from gpuimg.versions import Platform

_UNPACKED: Final = 1.8
"""An image beside its wheels, which are packed: 5.5 GB of 3.1 GB in bench/results/build_race.md."""
_USUAL_BYTES: Final = 5_500_000_000
"""That image, for stacks the sizes of whose wheels nobody told."""


def look(
    machine: Machine,
    matrix: Matrix,
    *,
    hosts: HostFacts,
    engine: EngineState,
    stacks: Sequence[Stack] = (),
    now: dt.datetime,
    made: dt.datetime | None,
) -> Subject:
    """Ask the machine and its driver.

    Args:
        engine: what the engine said, by `read_engine`.
        stacks: those that the user asks about; none: any.
        made: date of the newest file of gpuimg itself.
    """
    platform = _platform(machine)
    wanted = stacks or select(matrix, Wishes(platform=platform))[:1] or matrix.stacks[-1:]
    return Subject(
        machine=machine,
        distribution=read_distribution(machine),
        platform=platform,
        nvidia=read_nvidia(machine),
        engine=engine,
        matrix=matrix,
        hosts=hosts,
        stacks=tuple(stacks),
        image_bytes=tuple(_image_bytes(stack, matrix) for stack in wanted),
        now=now,
        made=made,
    )


def examine(subject: Subject, *, only: Sequence[str] = ()) -> tuple[Finding, ...]:
    """Run all checks, or those named, in the order of the registry. Raises RequestError for a name that is none."""
    unknown = [name for name in only if name not in CHECKS]
    if unknown:
        raise RequestError(
            f"doctor has no check `{printable(unknown[0])}`",
            hints=[*did_you_mean(unknown[0], list(CHECKS)), f"it has {', '.join(CHECKS)}"],
        )
    return tuple(finding for name, check in CHECKS.items() if not only or name in only for finding in check(subject))


def _platform(machine: Machine) -> Platform | None:
    answer = machine.ask(["uname", "-m"])
    said = answer.stdout.strip() if answer is not None else ""
    return next((platform for platform in Platform if platform.machine == said), None)


def _image_bytes(stack: Stack, matrix: Matrix) -> int:
    """How large an image of `stack` gets, about, by the sizes of its wheels."""
    on = stack.platforms[0]
    wheels = load_wheels(stack.name, on.platform, on.pythons[-1], overlays=matrix.overlays)
    sizes = [wheel.size_bytes for wheel in (*wheels.cuda, *wheels.torch)]
    known = [size for size in sizes if size is not None]
    return round(_UNPACKED * sum(known)) if wheels.closed and len(known) == len(sizes) else _USUAL_BYTES
