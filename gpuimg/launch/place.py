"""Where a container will run, and whose it is, as far as engine and machine tell."""

from __future__ import annotations

import contextlib
import dataclasses
import pwd
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gpuimg.errors import HostError
from gpuimg.machine import Machine
from gpuimg.smoke.gpus import CDI_FOLDERS, wanted_gpus
from gpuimg.text import printable

if TYPE_CHECKING:
    from gpuimg.engine.client import Engine

_LOCAL: Final = ("unix://", "npipe://")
_SOCKET: Final = "unix:///var/run/docker.sock"
_PID_FILE: Final = "/var/run/docker.pid"
"""What dockerd writes, unless it is told otherwise."""
_CAP_SYS_RESOURCE: Final = 24
"""Its bit, of capabilities(7)."""
_CDI: Final = "nvidia.com/gpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An engine and its machine."""

    program: str = "docker"
    """The program that starts containers: docker or podman."""
    address: str = _SOCKET
    asked: bool = True
    """Whether the engine itself told; else it is what this machine lets one expect."""
    podman: bool = False
    rootless: bool = False
    """Whether uid 0 in a container is the user who runs the engine."""
    remapped: bool = False
    """Whether uids in a container are others on the host."""
    selinux: bool = False
    raises_limits: bool = True
    """Whether it may set limits above its own: one without the right to can't start a container that asks for that."""
    memory_bytes: int | None = None
    gpus: Mapping[str, Any] = field(default_factory=dict)
    """Runtimes and devices, as `gpuimg.smoke.gpus.wanted_gpus` reads them."""

    @property
    def local(self) -> bool:
        """Whether the engine has this machine's files and devices."""
        return self.address.startswith(_LOCAL)

    @property
    def shown_address(self) -> str:
        """The address without the password that may be in it."""
        return printable(re.sub(r"//[^@/]*@", "//", self.address))

    @property
    def gives_gpus(self) -> bool:
        """Whether the engine is set up to give containers GPUs."""
        return wanted_gpus("auto", self.gpus) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whose container it is."""

    uid: int
    gid: int
    home: Path | None
    groups: tuple[int, ...] = ()


def starting_program(machine: Machine, *, podman: bool) -> str:
    """``docker``, else ``podman`` where that has the images (`podman`). Raises HostError where there is neither."""
    programs = ("docker", "podman") if podman else ("docker",)
    for program in programs:
        if machine.which(program) is not None:
            return program
    raise HostError(
        f"there is no {' and no '.join(programs)} on PATH, which starts the container",
        hints=[
            "install Docker: https://docs.docker.com/engine/install/",
            "`gpuimg run --print` writes the command for another machine",
        ],
    )


def ask_place(engine: Engine, machine: Machine) -> Place:
    """Ask the engine; `program` is left to be found. Raises HostError where it fails."""
    info = engine.describe()
    place = Place(
        address=engine.host,
        podman=info.is_podman,
        rootless=info.is_rootless,
        remapped="userns" in info.security,
        selinux="selinux" in info.security,
        raises_limits=not info.is_rootless and _may_raise_limits(engine.host, machine),
        memory_bytes=info.memory_bytes or None,
        gpus={name: info.raw.get(name) for name in ("Runtimes", "DiscoveredDevices")},
    )
    return _podman(place, machine) if place.podman else place


def guess_place(address: str, machine: Machine, *, program: str, uid: int, driver: bool) -> Place:
    """What to expect of an engine at `address` that can't be asked.

    Args:
        uid: who runs gpuimg: of anybody but root, Podman is rootless.
        driver: whether this machine has NVIDIA's.
    """
    place = Place(program=program, address=address, asked=False)
    if not place.local:
        return place
    place = Place(
        program=program,
        address=address,
        asked=False,
        podman=program == "podman",
        rootless=program == "podman" and uid != 0,
        raises_limits=program == "docker" or uid == 0,
        selinux=(machine.read("/sys/fs/selinux/enforce") or "").strip() == "1",
        memory_bytes=machine.memory_bytes(),
        gpus={"Runtimes": {"nvidia": {}}} if driver else {},
    )
    return _podman(place, machine) if place.podman else place


def find_person(environ: Mapping[str, str], *, uid: int, gid: int, groups: Sequence[int]) -> Person:
    """Who runs gpuimg with these ids; below sudo, who ran that."""
    home = environ.get("HOME")
    caller = environ.get("SUDO_UID", "")
    if uid == 0 and re.fullmatch(r"[1-9]\d{0,9}", caller, re.ASCII):
        uid, gid, groups, home = int(caller), _number(environ.get("SUDO_GID", "")), (), None
    if not home:
        with contextlib.suppress(KeyError):
            home = pwd.getpwuid(uid).pw_dir
    return Person(uid=uid, gid=gid, home=Path(home) if home else None, groups=tuple(groups))


def _may_raise_limits(address: str, machine: Machine) -> bool:
    """Whether the engine's process has CAP_SYS_RESOURCE, as far as that is to be seen: in a container it may not."""
    pid = (machine.read(_PID_FILE) or "").strip() if address == _SOCKET else ""
    status = machine.read(f"/proc/{pid}/status") if pid.isascii() and pid.isdigit() else None
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", status or "", re.MULTILINE)
    return match is None or bool(int(match[1], 16) >> _CAP_SYS_RESOURCE & 1)


def _podman(place: Place, machine: Machine) -> Place:
    """Podman knows devices by the names that files of this machine give them, and doesn't tell them."""
    files = [f"{folder}/{name}" for folder in CDI_FOLDERS for name in machine.names(folder)]
    has_gpus = place.local and any(_CDI in (machine.read(path) or "") for path in files)
    return dataclasses.replace(place, gpus={"DiscoveredDevices": [{"ID": f"{_CDI}=all"}]} if has_gpus else {})


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
