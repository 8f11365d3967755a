"""All that comes before a start: decide, and refuse what can't run on this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from gpuimg.launch.decide import Decision, decide
from gpuimg.launch.devices import refuse_no_gpus
from gpuimg.launch.launch import Target
from gpuimg.launch.place import Person, Place
from gpuimg.launch.preflight import check_machine
from gpuimg.launch.server import new_token
from gpuimg.launch.wishes import Wishes
from gpuimg.machine import Machine, Nvidia
from gpuimg.matrix import load_matrix


def prepare(
    wishes: Wishes,
    target: Target,
    *,
    place: Place,
    person: Person,
    machine: Machine,
    nvidia: Nvidia,
    force: bool = False,
    matrix_dir: Sequence[Path] = (),
) -> Decision:
    """Give how `target` is started; nothing has been started or made.

    Args:
        nvidia: this machine's driver and GPUs; they count where the engine is a local one.
        force: start also what the driver or a GPU can't run.
        matrix_dir: folders whose rows say more of stacks and GPUs.

    Raises:
        RequestError: wishes that contradict each other, or can't be met.
        HostError: GPUs that can't be given, or that can't run the image.
    """
    if not force:
        refuse_no_gpus(wishes.gpus, place, machine, nvidia)
    decision = decide(wishes, target, place=place, person=person, machine=machine, nvidia=nvidia, token=new_token())
    gpus = decision.launch.gpus
    if gpus is None or not place.local:
        return decision
    said = check_machine(target, nvidia, load_matrix(tuple(matrix_dir)), gpus=gpus, force=force)
    return dataclasses.replace(decision, notices=(*said, *decision.notices))
