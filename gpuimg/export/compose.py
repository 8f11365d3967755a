"""An image as a service of Docker Compose: a `Launch` written down. Pure: asks no engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import gpuimg
from gpuimg.errors import RequestError
from gpuimg.export.image import ExportedImage
from gpuimg.launch.docker_run import port_text, size_text
from gpuimg.launch.elsewhere import HOME_VOLUME
from gpuimg.launch.launch import Launch
from gpuimg.launch.server import TOKEN, Server
from gpuimg.model import WORKSPACE
from gpuimg.templating import render_template, template_environment

_CDI: Final = "nvidia.com/gpu="
_HEALTH_INTERVAL_S: Final = 10
"""The image's own check, more often than its 30 s: `docker compose up --wait` waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is started, and what the file says of it."""

    image: ExportedImage
    launch: Launch
    """Its paths are relative to the file; its name is the service's; without a user it runs as who starts it."""
    server: Server | None = None
    made_by: str | None = None
    """The command that makes the image; None: it is somebody else's."""
    pull_policy: str | None = None
    """None: Compose's own, which pulls what is missing, but never where no registry has the image."""
    platform: str | None = None

    @property
    def starts_by_itself(self) -> bool:
        """Whether it has something to run: a shell ends at once where nobody types."""
        return bool(self.launch.command or self.image.command) or (self.server is not None and self.server.jupyter)


def render_compose(service: Service, *, template_dirs: Sequence[Path] = ()) -> str:
    """Give the file, with the commands that use it in its head.

    Raises RequestError for a volume that is called what the container's home is.
    """
    launch, server, image = service.launch, service.server, service.image
    if HOME_VOLUME in launch.mounts and [mount.source for mount in launch.mounts].count(HOME_VOLUME.source) > 1:
        raise RequestError(
            f"the volume `{HOME_VOLUME.source}` keeps the container's home: it can't be mounted elsewhere too",
            hints=["call yours something else: -v my-home:/data", "or leave that one out with --no-caches"],
        )
    values = {
        "version": gpuimg.__version__,
        "service": service,
        "launch": launch,
        "image": image,
        "name": launch.name or "train",
        "pull_policy": service.pull_policy or ("never" if image.is_local else None),
        "server": server,
        "jupyter": server is not None and server.jupyter,
        "page": server.page if server is not None else None,
        "ports": [port_text(port) for port in launch.ports],
        "shm_size": size_text(launch.shm_bytes),
        "memory": size_text(launch.memory_bytes),
        "gpu_devices": _devices(launch),
        "gpu_ids": _ids(launch),
        "environment": launch.environment,
        "token": TOKEN,
        "workspace": WORKSPACE,
        "has_folder": any(mount.source == "." and mount.target == WORKSPACE for mount in launch.mounts),
        "restarts": server is not None and not server.jupyter and service.starts_by_itself,
        "health_seconds": _HEALTH_INTERVAL_S if server is not None and image.is_ours else None,
        "volumes": sorted({mount.source for mount in launch.mounts if mount.volume}),
    }
    return render_template(template_environment(template_dirs), "compose/compose.yaml.j2", values)


def _devices(launch: Launch) -> Sequence[str]:
    """GPUs by their CDI names, which stand where device files do."""
    return launch.gpus.split(",") if launch.gpus is not None and launch.gpus.startswith(_CDI) else ()


def _ids(launch: Launch) -> Sequence[str]:
    """GPUs that were named by index or UUID."""
    return () if launch.gpus in {None, "all"} or _devices(launch) else str(launch.gpus).split(",")
