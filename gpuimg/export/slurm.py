"""A training run as a batch script of Slurm, in apptainer or in pyxis. Pure: asks no cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import gpuimg
from gpuimg.errors import RequestError
from gpuimg.export.apptainer import pullable, sif_name
from gpuimg.export.hpc import torchrun_word
from gpuimg.export.image import ExportedImage
from gpuimg.launch.decide import ULIMITS
from gpuimg.launch.launch import Mount
from gpuimg.launch.mounts import CACHES
from gpuimg.model import WORKSPACE
from gpuimg.settings import names_registry
from gpuimg.templating import render_template, template_environment

CONTAINERS: Final = ("apptainer", "pyxis")
CPUS_PER_GPU: Final = 8
"""For the process and its workers that load data; Slurm's own default is one CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What runs where. Values are those that `gpuimg.export.hpc` let through."""

    image: ExportedImage
    command: tuple[str, ...]
    container: str = "apptainer"
    image_file: str | None = None
    """A .sif, or for pyxis a .sqsh; None: a .sif beside the script, or for pyxis the registry."""
    torchrun: bool = True
    """Whether it starts a process for each GPU where there are several, and not one a node."""
    name: str = "train"
    nodes: int = 1
    gpus: int = 1
    """On each node."""
    gpu_type: str | None = None
    cpus: int = CPUS_PER_GPU
    """On each node."""
    memory_bytes: int | None = None
    """Of each node; None: what the partition gives."""
    time: str = "24:00:00"
    partition: str | None = None
    account: str | None = None
    signal: str | None = None
    log: str = "%x-%j.out"
    environment: tuple[tuple[str, str | None], ...] = ()
    """None for a value: the one that it has when the job is sent."""
    mounts: tuple[Mount, ...] = ()
    caches: bool = True

    @property
    def processes(self) -> int:
        """How many there are in all, if there is one for each GPU."""
        return self.nodes * max(self.gpus, 1)


def render_job(job: Job, *, template_dirs: Sequence[Path] = ()) -> str:
    """Give the batch script, with the command that sends it in its head. Raises RequestError for lack of a command."""
    if not job.command:
        raise RequestError(
            "a job needs a command: nobody is there to type one", hints=["put it last, after --: -- python train.py"]
        )
    torchrun = job.torchrun and job.processes > 1
    signal_name, _, signal_seconds = (job.signal or "").partition("@")
    is_script = job.command[0].endswith(".py")
    command = tuple(map(torchrun_word, job.command)) if torchrun else job.command
    values = {
        "version": gpuimg.__version__,
        "job": job,
        "image": job.image,
        "torchrun": torchrun,
        "script": is_script,
        "command": (job.image.python, *command) if is_script and not torchrun else command,
        "sif": job.image_file or sif_name(job.image.reference),
        "source": pullable(job.image.reference),
        "uri": enroot_uri(job.image.reference),
        "memory": _slurm_size(job.memory_bytes) if job.memory_bytes is not None else None,
        "stack_kib": dict(ULIMITS)["stack"] >> 10,
        "caches": CACHES if job.caches else (),
        "passed": _passed(job, torchrun=torchrun),
        "signal_name": signal_name,
        "signal_seconds": signal_seconds,
        "one_task": "" if job.processes > 1 else " --nodes=1 --ntasks=1",
        "workspace": WORKSPACE,
        "workdir": job.image.workdir,
    }
    return render_template(template_environment(template_dirs), "slurm/job.sbatch.j2", values).lstrip("\n")


def enroot_uri(reference: str) -> str:
    """`reference` as enroot and pyxis write it: the registry's host ends with ``#``.

    >>> enroot_uri("registry.example.com:5000/team/gpuimg:1"), enroot_uri("pytorch/pytorch:latest")
    ('registry.example.com:5000#team/gpuimg:1', 'pytorch/pytorch:latest')
    """
    source = pullable(reference)
    return source.replace("/", "#", 1) if names_registry(source) else source


def _passed(job: Job, *, torchrun: bool) -> tuple[str, ...]:
    """Names of the variables that the container gets, beside Slurm's and NCCL's own."""
    return (
        *([] if torchrun or job.processes == 1 else ["MASTER_ADDR", "MASTER_PORT"]),
        "PYTHONNOUSERSITE",
        *(cache.variable for cache in CACHES if job.caches),
        *(name for name, _ in job.environment if not name.startswith("NCCL_")),
    )


def _slurm_size(size_bytes: int) -> str:
    """Bytes as sbatch reads them, which counts in powers of 1024 and knows nothing below a KiB.

    >>> _slurm_size(64 * 2**30), _slurm_size(1)
    ('64G', '1K')
    """
    for unit, power in (("G", 30), ("M", 20)):
        if size_bytes % 2**power == 0:
            return f"{size_bytes >> power}{unit}"
    return f"{-(-size_bytes >> 10)}K"
