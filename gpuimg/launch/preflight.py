"""Whether this machine's driver and GPUs can run an image: asked before it is pulled, answered from the matrix."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Final

from packaging.version import InvalidVersion, Version

from gpuimg.errors import HostError, RequestError
from gpuimg.facts import UNKNOWN, Matrix, Stack, StackPlatform
from gpuimg.launch.launch import Target
from gpuimg.machine import Nvidia
from gpuimg.machine.nvidia import host_of
from gpuimg.matrix.answer import what_helps
from gpuimg.matrix.query import Answer, Host, Verdict, Wishes, judge, select
from gpuimg.versions import ComputeCapability, CudaVersion, DriverVersion, Platform

_SHOWN: Final = 3
"""How many stacks that run here an error names."""


def check_machine(target: Target, nvidia: Nvidia, matrix: Matrix, *, gpus: str, force: bool) -> tuple[str, ...]:
    """Give what has to be said of an image that is to run on this machine's GPUs.

    Args:
        gpus: which of them it gets, as the engine is asked.
        force: say also what is an error else.

    Raises HostError where the driver or a GPU can't run it.
    """
    machine = _selected(nvidia, gpus)
    host = host_of(machine, matrix)
    stack = _stack(target, matrix)
    if host == Host():
        return ()
    if stack is None:
        reason = _below_label(target, host)
        verdict = None
    else:
        wishes = Wishes(platform=stack.platforms[0].platform) if len(stack.platforms) == 1 else Wishes()
        verdict = judge(stack, host, matrix, wishes=wishes)
        reason = "; ".join(verdict.reasons) if verdict.answer is Answer.CANNOT else None
    if reason is not None:
        if force:
            return (f"{target.reference} can't run here, and is started all the same: {reason}",)
        hints = [*_one_gpu(stack, machine, matrix), *_that_run(stack, host, matrix), *_drivers(verdict, host, matrix)]
        raise HostError(
            f"{target.reference} can't run on this machine: {reason}",
            hints=[*hints, "`--force` starts it all the same, `--gpus none` without GPUs"],
        )
    if verdict is not None and verdict.answer is Answer.UNKNOWN:
        return (f"whether {target.reference} runs on this machine's GPUs is not known: {'; '.join(verdict.reasons)}",)
    return ()


def _selected(nvidia: Nvidia, gpus: str) -> Nvidia:
    """The machine with only the GPUs that the container gets; all, where their names tell nothing of which."""
    names = {name.removeprefix("nvidia.com/gpu=") for name in gpus.split(",")}
    chosen = tuple(gpu for gpu in nvidia.gpus if {str(gpu.index), gpu.uuid} & names)
    return dataclasses.replace(nvidia, gpus=chosen or nvidia.gpus)


def _stack(target: Target, matrix: Matrix) -> Stack | None:
    """The image's stack: that of its name in the matrix, with the chips and the platform that its own labels tell.

    One of a matrix that isn't ours, or compiled from source, is known by its labels alone; None: not at all.
    """
    row = next((stack for stack in matrix.stacks if stack.name == target.label("stack")), None)
    own = _platform(target, row)
    if row is not None and own is not None:
        return dataclasses.replace(row, platforms=(own,))
    if row is not None:
        return row
    with contextlib.suppress(InvalidVersion, ValueError):
        cuda = CudaVersion.parse(target.label("cuda"))
        if own is not None and any(known.version == cuda for known in matrix.cudas):
            return Stack(
                name=target.label("stack"),
                torch=Version(target.label("torch")),
                cuda=cuda,
                cudnn=UNKNOWN,
                nccl=UNKNOWN,
                triton=None,
                torchvision=None,
                torchaudio=None,
                cxx11_abi=True,
                platforms=(own,),
                sources=(),
            )
    return None


def _platform(target: Target, row: Stack | None) -> StackPlatform | None:
    """What the image is on its platform; None where it doesn't tell."""
    platforms = {str(on.platform): on for on in row.platforms} if row is not None else {}
    name = "/".join((target.platform or target.label("platform")).split("/")[:2])
    chips = target.label("capabilities").split()
    with contextlib.suppress(ValueError):
        on = platforms.get(name) or StackPlatform(
            platform=Platform(name),
            index="source",
            libraries="unknown",
            pythons=(),
            left_out=(),
            glibc=Version("0"),
            compute_capabilities=UNKNOWN,
        )
        return dataclasses.replace(on, compute_capabilities=tuple(map(ComputeCapability.parse, chips))) if chips else on
    return None


def _below_label(target: Target, host: Host) -> str | None:
    """Why a driver is too old for an image of a CUDA that the matrix doesn't have."""
    with contextlib.suppress(ValueError):
        needed = DriverVersion.parse(target.label("driver.minimum"))
        if host.driver is not None and host.driver < needed:
            return f"driver {host.driver} is below {needed}, which its CUDA {target.label('cuda')} needs".replace(
                "  ", " "
            )
    return None


def _one_gpu(stack: Stack | None, machine: Nvidia, matrix: Matrix) -> Sequence[str]:
    """The GPUs that it runs on alone, where there are others beside them that it doesn't."""
    if stack is None or len(machine.gpus) < 2:
        return ()
    alone = {gpu.index: host_of(dataclasses.replace(machine, gpus=(gpu,)), matrix) for gpu in machine.gpus}
    runs = [str(index) for index, host in alone.items() if judge(stack, host, matrix).answer is Answer.RUNS]
    return (f"`--gpus {','.join(runs)}` gives it only GPUs that it runs on",) if runs else ()


def _that_run(stack: Stack | None, host: Host, matrix: Matrix) -> Sequence[str]:
    """Stacks that do run here: of the same torch first, then the newest."""
    wishes = Wishes(platform=stack.platforms[0].platform if stack is not None else None)
    runs = [row for row in select(matrix, wishes) if judge(row, host, matrix, wishes=wishes).answer is Answer.RUNS]
    if not runs:
        return ("no stack of the matrix runs here: `gpuimg matrix list` with --driver and --gpu says why",)
    alike = [row for row in runs if stack is not None and row.torch == stack.torch]
    first, *others = list(dict.fromkeys([*alike, *runs]))[:_SHOWN]
    more = f"; so do {', '.join(row.name for row in others)}" if others else ""
    return (f"`gpuimg build {first.name}` makes one that runs here{more}",)


def _drivers(verdict: Verdict | None, host: Host, matrix: Matrix) -> Sequence[str]:
    if verdict is None:
        return ()
    with contextlib.suppress(RequestError):
        wishes = Wishes(platform=verdict.platforms[0] if verdict.platforms else None)
        return [line for line in what_helps([verdict], host, wishes, matrix) if line.startswith("with ")]
    return ()
