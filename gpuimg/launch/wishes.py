"""What the user wants of a start, beside the image; all values have been read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpuimg.launch.launch import Mount, Port

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Options of a start; None: gpuimg decides."""

    command: tuple[str, ...] = ()
    gpus: str = "auto"
    shm_bytes: int | None = None
    ipc: str = "private"
    memory_bytes: int | None = None
    cpus: str | None = None
    cwd: Path
    """The current folder."""
    mount_cwd: bool = True
    """Whether it comes on ``/workspace``."""
    mounts: tuple[Mount, ...] = ()
    caches: bool = True
    environment: tuple[tuple[str, str | None], ...] = ()
    ports: tuple[Port, ...] = ()
    port: int | None = None
    """Of this machine, for the image's own server."""
    listen: str = LOOPBACK
    network: str | None = None
    user: str | None = None
    name: str | None = None
    tty: bool = False
    """Whether the user sits at a terminal."""
    detach: bool = False
    remove: bool = True
