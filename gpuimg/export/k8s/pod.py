"""The pod that every kind of manifest has: where it runs, what it may, what it gets. Pure: asks no cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gpuimg.errors import RequestError
from gpuimg.export.values import Claim, SecretVariable, Toleration, literal, quantity
from gpuimg.report import figures
from gpuimg.text import shown
from gpuimg.versions import Platform

GIB: Final = 2**30
PORT: Final = 29500
"""torchrun's own default."""
GPU_MEMORY_BYTES: Final = 32 * GIB
"""For each GPU: its process, the workers that load data for it, and the weights on their way to it."""
GPU_REQUEST_BYTES: Final = 4 * GIB
"""For each GPU: what a node must have free where the user names no memory; a small node has less than the limit."""
CPUS_PER_GPU: Final = 2
"""For each: what a node must have free where the user names none; clouds have nodes of 4, not all of them for pods."""
USER: Final = 1000
"""Of gpuimg's images; its group is 0, or the same number."""
_ARCH: Final = "kubernetes.io/arch"
_ARCHES: Final = frozenset(platform.arch for platform in Platform)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """What is mounted: a claim, a ConfigMap, or where both are None an empty folder that ends with the pod."""

    name: str
    claim: str | None = None
    config_map: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeMount:
    """A place of a volume."""

    volume: str
    path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What users say of it, checked by `gpuimg.export.values`, and below that what the kind of manifest adds."""

    image: str
    non_root: bool
    """Whether the image is known to run as `USER`."""
    arch: str | None = None
    """The only architecture that the image is for, in Kubernetes' words."""
    local: bool = False
    """Whether no registry has the image, but at best the node."""
    name: str
    """Of what the manifest makes, which the pods' names begin with."""
    namespace: str | None = None
    gpus: int = 1
    shm_bytes: int = 8 * GIB
    memory_bytes: int | None = None
    """Of the container, its shared memory counted; None: as much as the GPUs ask for."""
    cpus: str | None = None
    """None: what is free, and at least what the GPUs ask for."""
    image_pull_secret: str | None = None
    node_labels: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    rdma: tuple[str, int] | None = None
    ptrace: bool = False
    """Whether processes may open each other's memory, which CUDA IPC needs beside expandable segments."""
    runtime_class: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    secrets: tuple[SecretVariable, ...] = ()
    claims: tuple[Claim, ...] = ()

    command: tuple[str, ...] = ()
    """As Kubernetes reads it, which expands ``$(NAME)``; empty: the image's own."""
    restart: str | None = None
    """When the container is started again; None: the kind says so."""
    deadline_s: int | None = None
    grace_s: int | None = None
    subdomain: str | None = None
    apart: bool = False
    """Whether no two of them share a node."""
    node_variable: str | None = None
    """The variable that gets the node's name."""
    own_environment: tuple[tuple[str, str], ...] = ()
    """Variables of the kind, in the place of which users may put theirs; Kubernetes expands ``$(NAME)`` in them."""
    ports: tuple[tuple[str, int], ...] = ()
    health: tuple[str, int] | None = None
    """Path and port that answer where the server is up."""
    volumes: tuple[Volume, ...] = ()
    mounts: tuple[VolumeMount, ...] = ()
    own_secrets: tuple[SecretVariable, ...] = ()
    storage: bool = False
    """Whether the kind brings storage of its own that outlives the pod."""


def pod_values(
    pod: Pod, *, app: str, container: str, memory_bytes: int | None = None, request_bytes: int | None = None
) -> Mapping[str, Any]:
    """What the template of the pod is filled with.

    Args:
        app: What the label ``app.kubernetes.io/name`` says.
        container: The name of the pod's only one.
        memory_bytes: What the processes get beside the shared memory where the user names no memory; None: by the GPU.
        request_bytes: What a node must have free then; None: by the GPU.

    Raises RequestError where shared memory would leave no other, or two volumes share a place.
    """
    if pod.memory_bytes is not None and pod.memory_bytes <= pod.shm_bytes:
        memory, shm = figures.size(pod.memory_bytes), figures.size(pod.shm_bytes)
        raise RequestError(
            f"--memory {memory} leaves nothing beside the shared memory, {shm}, which counts towards it",
            hints=["give more with --memory, or less with --shm-size"],
        )
    place = _twice([mount.path for mount in pod.mounts] + [claim.path for claim in pod.claims])
    if place is not None:
        raise RequestError(f"two volumes share the place {place}", hints=["name another path: --pvc data:/data"])
    variable = _twice([name for name, _ in pod.environment] + [secret.name for secret in pod.secrets])
    if variable is not None:
        raise RequestError(
            f"the variable {variable} is given twice", hints=["leave one --env or --env-secret of that name"]
        )
    secret_names = {secret.name for secret in pod.secrets}
    own = {name: value for name, value in pod.own_environment if name not in secret_names}
    claims = list(dict.fromkeys(claim.name for claim in pod.claims))
    names = {claim: f"claim-{number}" for number, claim in enumerate(claims)}
    return {
        "pod": pod,
        "app": app,
        "container": container,
        "pull": "IfNotPresent" if pod.local or "@" in pod.image else "Always",
        "user": USER,
        "shm": quantity(pod.shm_bytes),
        "memory": quantity(pod.memory_bytes or pod.shm_bytes + (memory_bytes or GPU_MEMORY_BYTES * pod.gpus)),
        "cpu_request": None if pod.cpus else CPUS_PER_GPU * pod.gpus,
        "memory_request": None if pod.memory_bytes else quantity(request_bytes or GPU_REQUEST_BYTES * pod.gpus),
        "node_labels": _node_labels(pod),
        "environment": own | {name: literal(value) for name, value in pod.environment},
        "secrets": [*pod.own_secrets, *pod.secrets],
        "secret_names": {
            name: [each for each in pod.secrets if each.secret == name]
            for name in dict.fromkeys(secret.secret for secret in pod.secrets)
        },
        "claim_names": claims,
        "has_storage": pod.storage or bool(claims),
        "capabilities": [
            *(["IPC_LOCK"] if pod.rdma else []),
            *(["SYS_PTRACE"] if pod.ptrace else []),
        ],
        "volumes": [*pod.volumes, *(Volume(name=names[claim], claim=claim) for claim in claims)],
        "mounts": [
            *pod.mounts,
            *(
                VolumeMount(volume=names[claim.name], path=claim.path, read_only=claim.read_only)
                for claim in pod.claims
            ),
        ],
    }


def _node_labels(pod: Pod) -> Mapping[str, str]:
    """What nodes must have. Raises RequestError for a key given twice, and for nodes that can't run the image."""
    key = _twice([key for key, _ in pod.node_labels])
    if key is not None:
        raise RequestError(
            f"the label {shown(key)} is asked for twice", hints=["leave one --node-selector of that key"]
        )
    labels = dict(pod.node_labels)
    arch = labels.get(_ARCH, pod.arch)
    if pod.arch is not None and arch != pod.arch:
        raise RequestError(
            f"the image is for {pod.arch}, and --node-selector asks for nodes of {shown(str(arch))}",
            hints=[f"export it for these nodes: --platform linux/{arch}" if arch in _ARCHES else "leave the label out"],
        )
    return {_ARCH: pod.arch, **labels} if pod.arch is not None else labels


def _twice(names: Sequence[str]) -> str | None:
    """The first that is there more than once."""
    return next((name for name in names if names.count(name) > 1), None)
