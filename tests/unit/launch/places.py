"""Engines, people and machines for tests of `gpuimg.launch`; folders with real files stand for machines."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

from gpuimg.launch.decide import Decision, decide
from gpuimg.launch.launch import Target
from gpuimg.launch.place import Person, Place
from gpuimg.launch.wishes import Wishes
from gpuimg.machine import Machine, Nvidia
from gpuimg.machine.nvidia import HostGpu
from gpuimg.versions import ComputeCapability, DriverVersion

GIB: Final = 2**30
OURS: Final = Target(
    reference="gpuimg:2.6.0-cu124",
    labels={"io.gpuimg.stack": "2.6.0-cu124", "io.gpuimg.python": "3.11", "io.gpuimg.flavor": "runtime"},
    platform="linux/amd64",
)
JUPYTER: Final = dataclasses.replace(
    OURS, reference="gpuimg:2.6.0-cu124-jupyter", labels={**OURS.labels, "io.gpuimg.flavor": "jupyter"}
)
WITH_GPUS: Final = Place(memory_bytes=64 * GIB, gpus={"Runtimes": {"nvidia": {}, "runc": {}}})
WITHOUT_GPUS: Final = Place(memory_bytes=64 * GIB, gpus={"Runtimes": {"runc": {}}})
REMOTE: Final = dataclasses.replace(WITH_GPUS, address="ssh://ann@gpu-box:2200")
TOKEN: Final = "made-by-gpuimg"


def a_gpu(index: int = 0, *, name: str = "NVIDIA H100 80GB HBM3", chip: str = "9.0") -> HostGpu:
    """A GPU of a machine."""
    return HostGpu(
        index=index,
        name=name,
        uuid=f"GPU-{index}",
        memory_bytes=80 * GIB,
        compute_capability=ComputeCapability.parse(chip),
    )


def a_driver(version: str = "580.65.06", *gpus: HostGpu) -> Nvidia:
    """A driver, with one H100 unless other GPUs are named."""
    return Nvidia(driver=DriverVersion.parse(version), gpus=gpus or (a_gpu(),))


def decided(
    tmp_path: Path,
    wishes: Wishes | None = None,
    target: Target = OURS,
    *,
    place: Place = WITHOUT_GPUS,
    person: Person | None = None,
    environ: dict[str, str] | None = None,
    nvidia: Nvidia | None = None,
) -> Decision:
    """What is decided for somebody whose home, current folder and machine lie below `tmp_path`."""
    home = tmp_path / "home"
    (home / "project").mkdir(parents=True, exist_ok=True)
    return decide(
        wishes or Wishes(cwd=home / "project"),
        target,
        place=place,
        person=person or Person(uid=tmp_path.stat().st_uid or 1001, gid=1001, home=home),
        machine=Machine(root=tmp_path, environ={"PATH": "", **(environ or {})}),
        nvidia=nvidia or (Nvidia() if place is WITHOUT_GPUS else a_driver()),
        token=TOKEN,
    )
