"""Wishes and an image → a `Launch` for machines that nobody can ask: of files that others start it by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gpuimg.launch.decide import (
    ULIMITS,
    Decision,
    all_variables,
    choose_workdir,
    own_command,
    shared_memory,
)
from gpuimg.launch.identity import NAMELESS, Identity
from gpuimg.launch.launch import GPU_CAPABILITIES, Launch, Mount, Target
from gpuimg.launch.mounts import Mounts, mount_targets
from gpuimg.launch.ports import all_ports, choose_server
from gpuimg.launch.wishes import Wishes
from gpuimg.model import HOME, WORKSPACE
from gpuimg.smoke.gpus import wanted_gpus

HOME_VOLUME: Final = Mount(source="home", target=HOME, volume=True)
"""Keeps what libraries download. The whole home: of a volume on a folder that no image has, root would be the owner."""
_BY_RUNTIME: Final[Mapping[str, Any]] = {"Runtimes": {"nvidia": {}}}
_BY_NAME: Final[Mapping[str, Any]] = {"DiscoveredDevices": [{"ID": "nvidia.com/gpu=all"}]}


def decide_elsewhere(
    wishes: Wishes, target: Target, *, cdi: bool = False, keeps_home: bool, image_user: bool = False
) -> Decision:
    """Give how `target` is started on any machine, with paths as they were written: whoever starts it makes them whole.

    Args:
        cdi: whether GPUs go by the names that Podman and newer engines know them by.
        keeps_home: whether the image's home is gpuimg's own, so that a volume there can be written to.
        image_user: whether it runs as the image's own user where none is named, and not as who starts it.

    Raises RequestError for wishes that contradict each other.
    """
    gpus = wanted_gpus(wishes.gpus, _BY_NAME if cdi else _BY_RUNTIME)
    shm_bytes, notice = shared_memory(wishes, machine_bytes=None)
    is_nameless = wishes.user is None and not image_user and not target.is_ours
    identity = Identity(user=wishes.user, environment=NAMELESS if is_nameless else ())
    mounts = _mounts(wishes, keeps_home=keeps_home)
    server = choose_server(wishes, target, local=False, token="")
    launch = Launch(
        image=target.reference,
        command=own_command(wishes, target, identity),
        gpus=gpus,
        shm_bytes=shm_bytes,
        ulimits=ULIMITS,
        memory_bytes=wishes.memory_bytes,
        cpus=wishes.cpus,
        mounts=mounts.mounts,
        environment=all_variables(wishes, identity, mounts, server),
        ports=all_ports(wishes, server),
        capabilities=GPU_CAPABILITIES if gpus is not None else (),
        security=("label=disable",) if any(not mount.volume for mount in mounts.mounts) else (),
        user=wishes.user,
        workdir=choose_workdir(target, mounts),
        name=wishes.name,
    )
    return Decision(launch=launch, server=server, notices=(notice,) if notice else ())


def _mounts(wishes: Wishes, *, keeps_home: bool) -> Mounts:
    """The folder and the home, where nothing else was named for their places."""
    own = [
        *([Mount(source=".", target=WORKSPACE)] if wishes.mount_cwd else []),
        *([HOME_VOLUME] if wishes.caches and keeps_home else []),
    ]
    taken = mount_targets(wishes.mounts)
    return Mounts(mounts=(*(mount for mount in own if mount.target not in taken), *wishes.mounts))
