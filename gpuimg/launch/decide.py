"""Wishes and what is known of image, engine and machine → a `Launch`. Nothing is started, made or asked here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gpuimg.errors import RequestError
from gpuimg.launch.devices import choose_gpus, network_devices
from gpuimg.launch.identity import Identity, choose_identity
from gpuimg.launch.launch import GPU_CAPABILITIES, NO_GPU, Launch, Target
from gpuimg.launch.mounts import Mounts, choose_mounts, shared_groups
from gpuimg.launch.place import Person, Place
from gpuimg.launch.ports import JUPYTER, all_ports, choose_server, exposure
from gpuimg.launch.server import TOKEN, Server
from gpuimg.launch.wishes import Wishes
from gpuimg.machine import Machine, Nvidia
from gpuimg.model import WORKSPACE
from gpuimg.report import figures

LABELS: Final = (("io.gpuimg.container", "run"),)
ULIMITS: Final = (("memlock", -1), ("stack", 67108864))
"""NVIDIA's own images ask for these: pinned memory and RDMA lock pages, and some libraries need a stack of 64 MiB."""
_SHM_BYTES: Final = 8 * 2**30
"""DataLoader workers and NCCL hand over whole batches in it; the engine's own default is 64 MiB."""
_LEAST_MEMORY_BYTES: Final = 6 * 2**20
"""https://github.com/moby/moby/blob/v27.0.1/daemon/daemon_unix.go, linuxMinMemory."""
_LITTLE_LOCKED: Final = (
    "the engine may not raise limits, so processes can lock little memory: NCCL can fail over InfiniBand"
    " (`ulimit -l` shows it)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is started, and what has to be said and done before."""

    launch: Launch
    server: Server | None = None
    missing: tuple[Path, ...] = ()
    """Folders that have to be made first."""
    notices: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    """What the starting program's own environment has to have."""


def decide(
    wishes: Wishes, target: Target, *, place: Place, person: Person, machine: Machine, nvidia: Nvidia, token: str
) -> Decision:
    """Give how `target` is started at `place` for `person`; `token` is for its server, unless the user has one.

    Raises RequestError for wishes that contradict each other, or can't be met.
    """
    gpus, gpu_notice = choose_gpus(wishes.gpus, place, nvidia)
    shm, shm_notice = shared_memory(wishes, machine_bytes=place.memory_bytes)
    identity = choose_identity(wishes, target, place, person)
    mounts = choose_mounts(
        wishes.mounts,
        cwd=wishes.cwd,
        with_cwd=wishes.mount_cwd,
        caches=wishes.caches and identity.is_person,
        place=place,
        person=person,
        environ=machine.environ,
    )
    server = choose_server(wishes, target, local=place.local, token=_own_token(wishes, machine.environ) or token)
    devices = network_devices(place, machine) if gpus is not None else ()
    is_shell = wishes.detach and not wishes.command and server is None and target.is_ours
    to_files = any(not mount.volume for mount in mounts.mounts)
    launch = Launch(
        image=target.reference,
        command=own_command(wishes, target, identity),
        gpus=gpus,
        shm_bytes=shm,
        ipc=wishes.ipc,
        ulimits=tuple(limit for limit in ULIMITS if place.raises_limits or limit[0] != "memlock"),
        memory_bytes=wishes.memory_bytes,
        cpus=wishes.cpus,
        mounts=mounts.mounts,
        environment=all_variables(wishes, identity, mounts, server),
        ports=all_ports(wishes, server),
        network=wishes.network,
        capabilities=GPU_CAPABILITIES if gpus is not None else (),
        devices=devices,
        security=("label=disable",) if place.selinux and to_files else (),
        user=identity.user,
        groups=shared_groups(mounts.mounts, person) if identity.is_person and not place.rootless else (),
        user_namespace=identity.user_namespace,
        workdir=choose_workdir(target, mounts),
        name=wishes.name,
        labels=LABELS,
        interactive=not wishes.detach or is_shell,
        tty=is_shell or (wishes.tty and not wishes.detach),
        detach=wishes.detach,
        remove=wishes.remove,
    )
    passes_token = (TOKEN, None) in launch.environment
    variables = ((TOKEN, server.token),) if passes_token and server is not None and server.token else ()
    notices = (
        gpu_notice,
        shm_notice,
        identity.notice,
        *mounts.notices,
        _LITTLE_LOCKED if devices and not place.raises_limits else None,
        exposure(wishes, server),
        *_unset(wishes, {**machine.environ, **dict(variables)}),
    )
    return Decision(
        launch=launch,
        server=server,
        missing=mounts.missing,
        notices=tuple(text for text in notices if text),
        variables=variables,
    )


def choose_workdir(target: Target, mounts: Mounts) -> str | None:
    """The mounted folder, but for an image that has its program in a folder of its own."""
    is_mounted = any(mount.target == WORKSPACE for mount in mounts.mounts)
    return WORKSPACE if is_mounted and not target.label("workdir") else None


def shared_memory(wishes: Wishes, *, machine_bytes: int | None) -> tuple[int | None, str | None]:
    """Size in bytes; less than is good where the memory is small, which is said. Raises RequestError.

    Args:
        machine_bytes: memory of the engine's machine; None: nobody knows it.
    """
    if wishes.ipc == "host" and wishes.shm_bytes is not None:
        raise RequestError("--ipc host shares the host's own memory: --shm-size means nothing beside it")
    if wishes.memory_bytes is not None and wishes.memory_bytes < _LEAST_MEMORY_BYTES:
        raise RequestError(
            f"--memory {figures.size(wishes.memory_bytes)} is less than an engine gives",
            hints=["write it as --memory 64g"],
        )
    if wishes.shm_bytes is not None and wishes.memory_bytes is not None and wishes.shm_bytes >= wishes.memory_bytes:
        memory, shm = figures.size(wishes.memory_bytes), figures.size(wishes.shm_bytes)
        raise RequestError(
            f"--memory {memory} leaves nothing beside the shared memory, {shm}, which counts towards it",
            hints=["give more with --memory, or less with --shm-size"],
        )
    if wishes.ipc == "host" or wishes.shm_bytes is not None:
        return wishes.shm_bytes, None
    limits = [limit for limit in (machine_bytes, wishes.memory_bytes) if limit is not None]
    half = min(limits, default=2 * _SHM_BYTES) // 2 >> 20 << 20
    if half >= _SHM_BYTES:
        return _SHM_BYTES, None
    what = "--memory allows" if wishes.memory_bytes == min(limits) else "the engine's machine has"
    return half, f"shared memory is {figures.size(half)}, half of what {what} (--shm-size says otherwise)"


def own_command(wishes: Wishes, target: Target, identity: Identity) -> tuple[str, ...]:
    """The command. Jupyter doesn't run as root unless told to."""
    if not wishes.command and target.label("flavor") == JUPYTER and identity.is_root:
        return (JUPYTER, "lab", "--allow-root")
    return wishes.command


def all_variables(
    wishes: Wishes, identity: Identity, mounts: Mounts, server: Server | None
) -> tuple[tuple[str, str | None], ...]:
    """The user's own variables last, in place of ours."""
    own = {name for name, _ in wishes.environment}
    ours: list[tuple[str, str | None]] = [
        *([NO_GPU] if wishes.gpus == "none" else []),
        *identity.environment,
        *mounts.environment,
        *([(TOKEN, None)] if server is not None and server.jupyter else []),
    ]
    return (*(pair for pair in ours if pair[0] not in own), *wishes.environment)


def _own_token(wishes: Wishes, environ: Mapping[str, str]) -> str | None:
    return dict(wishes.environment).get(TOKEN) or environ.get(TOKEN)


def _unset(wishes: Wishes, environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in wishes.environment:
        if value is None and name not in environ:
            yield f"{name} is not set here, so the container does not get it"
