"""A training run on one node or several: a Job, a JobSet, or a PyTorchJob of Kubeflow's. Pure: asks no cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import gpuimg
from gpuimg.errors import RequestError
from gpuimg.export.hpc import torchrun_word
from gpuimg.export.k8s.pod import PORT, Pod, pod_values
from gpuimg.export.values import literal
from gpuimg.templating import render_template, template_environment

JOB: Final = "job"
JOB_SET: Final = "jobset"
PYTORCH_JOB: Final = "pytorchjob"
GROUP: Final = "node"
"""The only Job of a JobSet: its pods are called ``NAME-node-0-INDEX``."""
_MEET_S: Final = 1800
"""So long nodes wait for each other: pulling an image of some GB takes one of them much longer than the next."""
_GRACE_S: Final = 60
_KEPT_SECONDS: Final = 7 * 24 * 3600
_INDEX: Final = {JOB: "$(JOB_COMPLETION_INDEX)", JOB_SET: "$(JOB_COMPLETION_INDEX)", PYTORCH_JOB: "$(RANK)"}
"""How a command names the number of its node: variables that the controllers set, and Kubernetes expands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """What runs where; a pod on each node."""

    pod: Pod
    python: str
    """The program that starts torchrun."""
    command: tuple[str, ...]
    """As the user typed it."""
    kind: str = JOB
    nodes: int = 1
    torchrun: bool = True
    """Whether it starts a process for each GPU where there are several, and not one a node."""
    max_restarts: int = 0
    """How often all pods are started again after one failed."""
    timeout_minutes: int | None = None


def render_train_job(job: TrainJob, *, template_dirs: Sequence[Path] = ()) -> str:
    """Give the manifests as one YAML stream, with the commands that run them in its head.

    Raises RequestError for lack of a command, and for restarts that the kind can't do.
    """
    if not job.command:
        raise RequestError(
            "a job needs a command: nobody is there to type one",
            hints=["put it last, after --: -- python train.py", "--smoke runs the smoke step"],
        )
    if job.max_restarts and (job.kind == PYTORCH_JOB or (job.kind == JOB and job.nodes > 1)):
        raise RequestError(
            "--max-restarts: "
            + (
                "the pods of a pytorchjob are not started again"
                if job.kind == PYTORCH_JOB
                else "a job of several nodes starts single pods again, and the others would not meet it"
            ),
            hints=["leave --kind out: a job of one node is started again, and all of a jobset's pods are"],
        )
    torchrun = job.torchrun and job.nodes * job.pod.gpus > 1
    pod = _pod(job, torchrun=torchrun)
    values = {
        **pod_values(pod, app="gpuimg-train", container="pytorch"),  # which Kubeflow's operator looks for
        "version": gpuimg.__version__,
        "job": job,
        "torchrun": torchrun,
        "group": GROUP,
        "port": PORT,
        "kept_seconds": _KEPT_SECONDS,
        "deadline_s": job.timeout_minutes * 60 if job.timeout_minutes is not None else None,
    }
    return render_template(template_environment(template_dirs), "k8s/train.yaml.j2", values)


def first_address(job: TrainJob) -> str:
    """The name by which the other pods find the first."""
    name = job.pod.name
    names = {JOB: f"{name}-0.{name}", JOB_SET: f"{name}-{GROUP}-0-0.{name}", PYTORCH_JOB: f"{name}-master-0"}
    return names[job.kind]


def _pod(job: TrainJob, *, torchrun: bool) -> Pod:
    several = job.nodes > 1
    # Kubeflow's operator sets these itself
    alone = several and not torchrun and job.kind != PYTORCH_JOB
    meeting = (("MASTER_ADDR", first_address(job)), ("MASTER_PORT", str(PORT))) if alone else ()
    return replace(
        job.pod,
        command=_command(job, torchrun=torchrun),
        restart=None if job.kind == PYTORCH_JOB else "Never",
        grace_s=_GRACE_S,
        subdomain=job.pod.name if several and job.kind == JOB else None,
        apart=several,
        own_environment=(("NCCL_DEBUG", "WARN"), ("PYTHONUNBUFFERED", "1"), *meeting),
        ports=(("pytorchjob-port", PORT),) if job.kind == PYTORCH_JOB else (),
    )


def _command(job: TrainJob, *, torchrun: bool) -> tuple[str, ...]:
    """The container's command.

    Nodes meet by number (torchrun's static rendezvous), not by names: a node that must find out whether the first one's
    name is its own fails where that name is known a second after it starts.
    """
    is_script = job.command[0].endswith(".py")
    if not torchrun:
        words = tuple(map(literal, job.command))
        return (job.python, *words) if is_script else words
    words = tuple(literal(torchrun_word(word)) for word in job.command)
    meeting = (
        (
            f"--nnodes={job.nodes}",
            f"--node-rank={_INDEX[job.kind]}",
            f"--master-addr={first_address(job)}",
            f"--master-port={PORT}",
            f"--rdzv-conf=timeout={_MEET_S}",
        )
        if job.nodes > 1
        else ("--standalone",)
    )
    options = (*meeting, f"--nproc-per-node={job.pod.gpus}", "--max-restarts=0")
    return (job.python, "-m", "torch.distributed.run", *options, *(() if is_script else ("--no-python",)), *words)
