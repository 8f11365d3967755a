"""The smoke step as a Kubernetes Job: one pod a node, each with the guest from a ConfigMap. Pure: asks no cluster."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import gpuimg
from gpuimg.errors import RequestError
from gpuimg.export.k8s.pod import GIB, PORT, Pod, Volume, VolumeMount, pod_values
from gpuimg.smoke.request import guest_config
from gpuimg.smoke.zipapp import build_guest
from gpuimg.templating import render_template, template_environment

_FOLDER: Final = "/gpuimg-smoke"
_MEMORY_BYTES: Final = 8 * GIB
"""For the guest, and again for each GPU: a process of torch with CUDA's libraries, and what it stages for the GPU."""
_REQUEST_BYTES: Final = 4 * GIB
_UNSCHEDULED_MINUTES: Final = 30
"""How much longer the Job waits than its pods run: for nodes to become free."""
_KEPT_SECONDS: Final = 24 * 3600
_CONFIG_MAP_BYTES: Final = 2**20
"""https://kubernetes.io/docs/concepts/configuration/configmap/: the data of one, before base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeJob:
    """What runs where."""

    pod: Pod
    python: str
    """The program that starts the guest: no shell is needed."""
    expect: Mapping[str, Any] | None = None
    """What the image promises."""
    nodes: int = 1
    multi_node: bool = False
    """Whether the pods meet and run collectives over all nodes."""
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    timeout_minutes: int = 120


def render_smoke_job(job: SmokeJob, *, template_dirs: Sequence[Path] = ()) -> str:
    """Give the manifests as one YAML stream, with the commands that run them in its head.

    Raises RequestError where the job contradicts itself.
    """
    if job.multi_node and job.nodes < 2:
        raise RequestError(
            "--multi-node joins several nodes, and there is one", hints=["name how many: --nodes 2 --multi-node"]
        )
    pod = _pod(job)
    filled = pod_values(
        pod,
        app="gpuimg-smoke",
        container="smoke",
        memory_bytes=_MEMORY_BYTES * (1 + pod.gpus),
        request_bytes=_REQUEST_BYTES,
    )
    config = _config(job)
    guest = build_guest(packed=True)
    if len(guest) + len(config) > _CONFIG_MAP_BYTES:
        raise RequestError("the guest and its config are larger than a ConfigMap may be: name fewer checks")
    values = {
        **filled,
        "version": gpuimg.__version__,
        "job": job,
        "config": config.decode(),
        "guest": textwrap.wrap(base64.b64encode(guest).decode(), 100),
        "port": PORT,
        "job_seconds": (job.timeout_minutes + _UNSCHEDULED_MINUTES) * 60,
        "wait_minutes": job.timeout_minutes + _UNSCHEDULED_MINUTES + 5,
        "kept_seconds": _KEPT_SECONDS,
    }
    return render_template(template_environment(template_dirs), "k8s/smoke.yaml.j2", values)


def _pod(job: SmokeJob) -> Pod:
    """With the guest, and a folder for what its checks write."""
    return replace(
        job.pod,
        command=(job.python, f"{_FOLDER}/smoke.pyz", "--config", f"{_FOLDER}/config.json"),
        restart="Never",
        deadline_s=job.timeout_minutes * 60,
        subdomain=job.pod.name if job.multi_node else None,
        apart=job.nodes > 1,
        node_variable="GPUIMG_NODE",
        own_environment=(("NCCL_DEBUG", "WARN"),),
        volumes=(Volume(name="guest", config_map=job.pod.name), Volume(name="tmp")),
        mounts=(
            VolumeMount(volume="guest", path=_FOLDER, read_only=True),
            VolumeMount(volume="tmp", path="/tmp"),
        ),
    )


def _config(job: SmokeJob) -> bytes:
    """The guest's config. Each pod learns its place among the nodes from its index, which Kubernetes tells it."""
    world = (
        {"nodes": job.nodes, "address": f"{job.pod.name}-0.{job.pod.name}", "port": PORT} if job.multi_node else None
    )
    return guest_config(gpus_requested=True, only=job.only, skip=job.skip, expect=job.expect, world=world)
