"""How an image is started: the nouns. `gpuimg.launch.decide` makes a `Launch`; modules beside it write it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

GPU_CAPABILITIES: Final = ("SYS_PTRACE",)
"""By which processes pass each other CUDA tensors that lie in expandable segments (pytorch issue 165685)."""
NO_GPU: Final = ("NVIDIA_VISIBLE_DEVICES", "void")
"""Where NVIDIA's runtime is the engine's default, the image's own variable would bring GPUs in."""
TOOLKIT_HINT: Final = (
    "NVIDIA's container toolkit (nvidia-ctk) is missing, or the engine doesn't know it:"
    " `gpuimg doctor` has the commands that mend it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder, a file, or with `volume` a volume of the engine, on a place in the container."""

    source: str
    target: str
    read_only: bool = False
    volume: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of the container on one of the host; `host` None: on one that the engine chooses."""

    container: int
    host: int | None
    address: str
    """Of the host, which it listens on."""
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """All that a container's start depends on."""

    image: str
    command: tuple[str, ...] = ()
    """Empty: the image's own."""
    gpus: str | None = None
    """None: no GPU; else as `gpuimg.smoke.gpus.wanted_gpus` names them."""
    shm_bytes: int | None = None
    """None: the memory for sharing is the host's own (`ipc` is ``host``)."""
    ipc: str = "private"
    ulimits: tuple[tuple[str, int], ...] = ()
    """Names and values, which are soft and hard limit; -1: none."""
    memory_bytes: int | None = None
    cpus: str | None = None
    mounts: tuple[Mount, ...] = ()
    environment: tuple[tuple[str, str | None], ...] = ()
    """None for a value: that of the program which starts the container, so that it stands in no argument."""
    ports: tuple[Port, ...] = ()
    network: str | None = None
    capabilities: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    """Device files, or folders of them."""
    security: tuple[str, ...] = ()
    user: str | None = None
    """``UID:GID``; None: the image's own."""
    groups: tuple[int, ...] = ()
    """Further groups of the user, by which the mounted files let it in."""
    user_namespace: str | None = None
    workdir: str | None = None
    """None: the image's own."""
    name: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    interactive: bool = True
    tty: bool = False
    detach: bool = False
    remove: bool = True
    init: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The image that is to be started: what is known of it before."""

    reference: str
    labels: Mapping[str, str]
    """Its own; of an image that isn't here, those that its name lets one expect."""
    platform: str | None = None
    here: bool = True
    """Whether the engine has it; else it has to be pulled."""

    @property
    def is_ours(self) -> bool:
        """Whether gpuimg built it, or would: what it has inside is known."""
        return bool(self.label("python"))

    def label(self, name: str) -> str:
        """What the label ``io.gpuimg.NAME`` says; empty where there is none."""
        return self.labels.get(f"io.gpuimg.{name}", "")
