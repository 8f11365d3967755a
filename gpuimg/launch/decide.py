"""Wishes and what is known of image, engine and machine → a `Launch`. Nothing is started, made or asked here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gpuimg.errors import RequestError
from gpuimg.launch.devices import choose_gpus, network_devices
from gpuimg.launch.launch import GPU_CAPABILITIES, NO_GPU, WORKSPACE, Launch, Port, Target
from gpuimg.launch.mounts import choose_mounts, shared_groups
from gpuimg.launch.place import Person, Place
from gpuimg.launch.server import JUPYTER, TOKEN, Server, publish, served_ports
from gpuimg.launch.wishes import Wishes
from gpuimg.machine import Machine, Nvidia
from gpuimg.report import figures

ULIMITS: Final = (("memlock", -1), ("stack", 67108864))
"""NVIDIA's own images ask for these: pinned memory and RDMA lock pages, and some libraries need a stack of 64 MiB."""
LABELS: Final = (("io.gpuimg.container", "run"),)
_SHM_BYTES: Final = 8 * 2**30
"""DataLoader workers and NCCL hand over whole batches in it; the engine's own default is 64 MiB."""
_ROOT: Final = "0:0"
_NAMELESS: Final = (("HOME", "/tmp"), ("USER", "gpuimg"))
"""For a uid that an image of somebody else doesn't know: a home that can be written to, and a name, which torch.compile
asks for. Images of gpuimg have both."""
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
    _refuse_contradictions(wishes)
    gpus, gpu_notice = choose_gpus(wishes.gpus, place, nvidia)
    shm, shm_notice = _shared_memory(wishes, place)
    user, is_person, user_notice = _user(wishes, place, person)
    mounts = choose_mounts(
        wishes.mounts,
        cwd=wishes.cwd,
        with_cwd=wishes.mount_cwd,
        caches=wishes.caches,
        own_caches=is_person,
        place=place,
        person=person,
        environ=machine.environ,
    )
    devices = network_devices(place, machine) if gpus is not None else ()
    server = _server(wishes, target, place, _token(wishes, machine.environ) or token)
    unset = [name for name, value in wishes.environment if value is None and name not in machine.environ]
    own = {name for name, _ in wishes.environment}
    environment = [
        *([NO_GPU] if wishes.gpus == "none" else []),
        *(_NAMELESS if is_person and person.uid and not place.rootless and not target.label("python") else ()),
        *mounts.environment,
        *([(TOKEN, None)] if server is not None and server.jupyter else []),
    ]
    is_shell = wishes.detach and not wishes.command and server is None
    launch = Launch(
        image=target.reference,
        command=_command(wishes, target, user),
        gpus=gpus,
        shm_bytes=shm,
        ipc=wishes.ipc,
        ulimits=tuple(limit for limit in ULIMITS if place.raises_limits or limit[0] != "memlock"),
        memory_bytes=wishes.memory_bytes,
        cpus=wishes.cpus,
        mounts=mounts.mounts,
        environment=(*(pair for pair in environment if pair[0] not in own), *wishes.environment),
        ports=_published(wishes, server),
        network=wishes.network,
        capabilities=GPU_CAPABILITIES if gpus is not None else (),
        devices=devices,
        security=("label=disable",) if place.selinux and any(not mount.volume for mount in mounts.mounts) else (),
        user=user,
        groups=shared_groups(mounts.mounts, person) if is_person and place.local and not place.rootless else (),
        user_namespace="host" if place.remapped and is_person else None,
        workdir=WORKSPACE if any(mount.target == WORKSPACE for mount in mounts.mounts) else None,
        name=wishes.name,
        labels=LABELS,
        interactive=not wishes.detach or is_shell,
        tty=is_shell or (wishes.tty and not wishes.detach),
        detach=wishes.detach,
        remove=wishes.remove,
    )
    notices = (
        gpu_notice,
        shm_notice,
        user_notice,
        *mounts.notices,
        _LITTLE_LOCKED if devices and not place.raises_limits else None,
        *_network_notices(wishes, server),
        *map(_unset, unset),
    )
    return Decision(
        launch=launch,
        server=server,
        missing=mounts.missing,
        notices=tuple(text for text in notices if text),
        variables=((TOKEN, server.token),) if server is not None and server.token and TOKEN not in own else (),
    )


def _refuse_contradictions(wishes: Wishes) -> None:
    if wishes.ipc == "host" and wishes.shm_bytes is not None:
        raise RequestError("--ipc host shares the host's own memory: --shm-size means nothing beside it")
    if wishes.network is not None and _is_apart(wishes.network) and (wishes.ports or wishes.port is not None):
        raise RequestError(f"--network {wishes.network} publishes no ports", hints=["leave --port and --publish out"])


def _is_apart(network: str) -> bool:
    """Whether ports of containers on it can't be published."""
    return network in {"host", "none"} or network.startswith("container:")


def _shared_memory(wishes: Wishes, place: Place) -> tuple[int | None, str | None]:
    """Size in bytes; less than is good where the memory is small, which is said."""
    if wishes.ipc == "host" or wishes.shm_bytes is not None:
        return wishes.shm_bytes, None
    limits = [limit for limit in (place.memory_bytes, wishes.memory_bytes) if limit is not None]
    half = min(limits, default=2 * _SHM_BYTES) // 2 >> 20 << 20
    if half >= _SHM_BYTES:
        return _SHM_BYTES, None
    what = "--memory" if wishes.memory_bytes == min(limits) else "the engine's machine"
    return half, f"shared memory is {figures.size(half)}, half of what {what} has (--shm-size says otherwise)"


def _user(wishes: Wishes, place: Place, person: Person) -> tuple[str | None, bool, str | None]:
    """Who the container runs as, whether files that it makes are `person`'s, and what has to be said.

    Images of gpuimg work for any uid with group 0.
    """
    if wishes.user is not None:
        uid = wishes.user.partition(":")[0]
        return wishes.user, uid == ("0" if place.rootless else str(person.uid)), None
    if not place.local:
        return None, False, None
    if place.rootless:
        return _ROOT, True, None
    notice = "root runs gpuimg, so the container runs as root too (--user 1000:0 says otherwise)"
    return f"{person.uid}:0", True, notice if person.uid == 0 else None


def _command(wishes: Wishes, target: Target, user: str | None) -> tuple[str, ...]:
    """The command. Jupyter doesn't run as root unless told to."""
    if not wishes.command and target.label("flavor") == JUPYTER and user is not None and user.partition(":")[0] == "0":
        return (JUPYTER, "lab", "--allow-root")
    return wishes.command


def _server(wishes: Wishes, target: Target, place: Place, token: str) -> Server | None:
    """What the image serves where the user can reach it. Raises RequestError for a --port that nothing serves."""
    ports = served_ports(target, wishes.command)
    if not ports and wishes.port is not None:
        raise RequestError(
            f"{target.reference} serves nothing by itself that --port could publish",
            hints=[f"name its port too: -p {wishes.port}:8888"],
        )
    if not ports or (wishes.network is not None and _is_apart(wishes.network) and wishes.network != "host"):
        return None
    if wishes.network == "host":
        found = [Port(container=port, host=port, address=wishes.listen) for port in ports]
    else:
        new = publish(ports, first=wishes.port, listen=wishes.listen, taken=wishes.ports, local=place.local)
        named = [port for port in wishes.ports if port.container in ports and port.host is not None]
        found = sorted((*named, *new), key=lambda port: ports.index(port.container))
    if not found:
        return None
    jupyter = target.label("flavor") == JUPYTER
    return Server(ports=tuple(found), token=token if jupyter else None, jupyter=jupyter)


def _published(wishes: Wishes, server: Server | None) -> tuple[Port, ...]:
    if server is None or wishes.network == "host":
        return wishes.ports
    return tuple(dict.fromkeys((*wishes.ports, *server.ports)))


def _token(wishes: Wishes, environ: Mapping[str, str]) -> str | None:
    """The user's own."""
    return dict(wishes.environment).get(TOKEN) or environ.get(TOKEN)


def _network_notices(wishes: Wishes, server: Server | None) -> tuple[str, ...]:
    if server is None:
        return ()
    if wishes.network == "host":
        return ("on the host's network the server listens on all of its addresses, not only on loopback",)
    if any(not port.address.startswith("127.") and port.address != "::1" for port in server.ports):
        return ("the server speaks plain HTTP: who listens to the network reads all of it, the token too",)
    return ()


def _unset(name: str) -> str:
    return f"{name} is not set here, so the container does not get it"
