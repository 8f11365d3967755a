"""The smoke step as a Kubernetes Job: one pod a node, each with the guest from a ConfigMap. Pure: asks no cluster."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gpuimg
from gpuimg.errors import RequestError
from gpuimg.export.values import Toleration, quantity
from gpuimg.report import figures
from gpuimg.smoke.request import guest_config
from gpuimg.smoke.zipapp import build_guest
from gpuimg.templating import render_template, template_environment

GIB: Final = 2**30
_PORT: Final = 29500
"""torchrun's own default."""
_MEMORY_BYTES: Final = 8 * GIB
"""For the guest, and again for each GPU: a process of torch with CUDA's libraries, and what it stages for the GPU."""
_REQUEST_BYTES: Final = 4 * GIB
"""What a node must have free where the user names no memory: a limit may be more than a small node has."""
_UNSCHEDULED_MINUTES: Final = 30
"""How much longer the Job waits than its pods run: for nodes to become free."""
_KEPT_SECONDS: Final = 24 * 3600
_CONFIG_MAP_BYTES: Final = 2**20
"""https://kubernetes.io/docs/concepts/configuration/configmap/: the data of one, before base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeJob:
    """What runs where. Values are those that `gpuimg.export.values` let through."""

    image: str
    python: str
    """The program that starts the guest: no shell is needed."""
    non_root: bool
    """Whether the image is known to run as a user that is not root."""
    expect: Mapping[str, Any] | None = None
    """What the image promises."""
    arch: str | None = None
    """The only architecture that the image is for, in Kubernetes' words."""
    name: str = "gpuimg-smoke"
    namespace: str | None = None
    nodes: int = 1
    gpus: int = 1
    """On each node."""
    multi_node: bool = False
    """Whether the pods meet and run collectives over all nodes."""
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    shm_bytes: int = 8 * GIB
    memory_bytes: int | None = None
    """Of the container, its shared memory counted; None: as much as the GPUs ask for."""
    cpus: str | None = None
    timeout_minutes: int = 120
    image_pull_secret: str | None = None
    node_labels: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    rdma: tuple[str, int] | None = None
    runtime_class: str | None = None
    environment: tuple[tuple[str, str], ...] = ()


def render_smoke_job(job: SmokeJob, *, template_dirs: Sequence[Path] = ()) -> str:
    """Give the manifests as one YAML stream, with the commands that run them in its head.

    Raises RequestError where the job contradicts itself.
    """
    if job.multi_node and job.nodes < 2:
        raise RequestError(
            "--multi-node joins several nodes, and there is one", hints=["name how many: --nodes 2 --multi-node"]
        )
    if job.memory_bytes is not None and job.memory_bytes <= job.shm_bytes:
        memory, shm = figures.size(job.memory_bytes), figures.size(job.shm_bytes)
        raise RequestError(
            f"--memory {memory} leaves nothing beside the shared memory, {shm}, which counts towards it",
            hints=["give more with --memory, or less with --shm-size"],
        )
    config = _config(job)
    guest = build_guest(packed=True)
    if len(guest) + len(config) > _CONFIG_MAP_BYTES:
        raise RequestError("the guest and its config are larger than a ConfigMap may be: name fewer checks")
    values = {
        "version": gpuimg.__version__,
        "job": job,
        "config": config.decode(),
        "guest": textwrap.wrap(base64.b64encode(guest).decode(), 100),
        "shm": quantity(job.shm_bytes),
        "memory": quantity(job.memory_bytes or job.shm_bytes + _MEMORY_BYTES * (1 + job.gpus)),
        "memory_request": None if job.memory_bytes else quantity(_REQUEST_BYTES),
        "node_labels": {**({"kubernetes.io/arch": job.arch} if job.arch else {}), **dict(job.node_labels)},
        "environment": {"NCCL_DEBUG": "WARN", **dict(job.environment)},
        "port": _PORT,
        "pod_seconds": job.timeout_minutes * 60,
        "job_seconds": (job.timeout_minutes + _UNSCHEDULED_MINUTES) * 60,
        "wait_minutes": job.timeout_minutes + _UNSCHEDULED_MINUTES + 5,
        "kept_seconds": _KEPT_SECONDS,
    }
    return render_template(template_environment(template_dirs), "k8s/smoke.yaml.j2", values)


def _config(job: SmokeJob) -> bytes:
    """The guest's config. Each pod learns its place among the nodes from its index, which Kubernetes tells it."""
    world = {"nodes": job.nodes, "address": f"{job.name}-0.{job.name}", "port": _PORT} if job.multi_node else None
    return guest_config(gpus_requested=True, only=job.only, skip=job.skip, expect=job.expect, world=world)
