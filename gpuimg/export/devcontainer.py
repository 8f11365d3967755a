"""An image as a devcontainer.json, by which VS Code and others work in it. Pure: asks no engine.

The fields: https://containers.dev/implementors/json_reference/. Plain JSON, since not every reader knows comments.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gpuimg.errors import RequestError
from gpuimg.export.image import ExportedImage
from gpuimg.launch.docker_run import docker_options, mount_text
from gpuimg.launch.elsewhere import HOME_VOLUME
from gpuimg.launch.launch import Launch, Mount
from gpuimg.model import USER, WORKSPACE
from gpuimg.text import shown

IDLE: Final = ("sleep", "infinity")
"""What the editor lets the container run in place of the image's command (`overrideCommand`): no server is there."""
_FOLDER: Final = "${localWorkspaceFolder}"
_EXTENSIONS: Final = ("ms-python.python", "ms-toolsai.jupyter")
_UNRAISED: Final = ("memlock",)
"""Limits that a rootless engine can't raise, so that no container would start; JSON has no line to leave out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevContainer:
    """What an editor works in."""

    image: ExportedImage
    launch: Launch
    """Its paths are relative to the project's folder."""
    name: str
    """What the editor calls it."""
    gpus_if_any: bool = False
    """Whether all GPUs come in where the engine can give some, which the editor finds out."""
    checks_health: bool = False
    """Whether the image checks a server that doesn't run here."""
    platform: str | None = None


def render_devcontainer(container: DevContainer) -> str:
    """Give the file. Raises RequestError for values that an editor would fill in."""
    image, launch = container.image, container.launch
    fields = {
        "name": _literal(container.name),
        "image": image.reference,
        "workspaceFolder": WORKSPACE,
        "workspaceMount": next((_mount(mount) for mount in launch.mounts if mount.target == WORKSPACE), None),
        "mounts": [_mount(mount) for mount in launch.mounts if mount.target != WORKSPACE],
        "overrideCommand": True,
        "init": launch.init,
        "capAdd": list(launch.capabilities),
        "securityOpt": list(launch.security),
        "hostRequirements": {"gpu": "optional"} if container.gpus_if_any else {},
        "runArgs": list(_run_arguments(container)),
        "remoteUser": USER if image.is_ours else None,
        "updateRemoteUserUID": True,
        "containerEnv": {name: _literal(value) for name, value in launch.environment if value is not None},
        "remoteEnv": {name: f"${{localEnv:{name}}}" for name, value in launch.environment if value is None},
        "forwardPorts": [port.container for port in launch.ports],
        "customizations": {"vscode": {"extensions": list(_EXTENSIONS), "settings": _editor_settings(image)}},
    }
    kept = {name: value for name, value in fields.items() if value not in (None, [], {})}
    return json.dumps(kept, indent=2, ensure_ascii=False) + "\n"


def _run_arguments(container: DevContainer) -> tuple[str, ...]:
    """Options of ``docker run`` that have no field of their own."""
    launch = container.launch
    bare = Launch(
        image=launch.image,
        gpus=None if container.gpus_if_any else launch.gpus,
        shm_bytes=launch.shm_bytes,
        ulimits=tuple(limit for limit in launch.ulimits if limit[0] not in _UNRAISED),
        memory_bytes=launch.memory_bytes,
        cpus=launch.cpus,
        # The editor gives the user another group, and what can be written to in the image is group 0's.
        groups=(0,) if container.image.is_ours else (),
        interactive=False,
        remove=False,
        init=False,
    )
    return (
        *(("--platform", container.platform) if container.platform else ()),
        *(("--no-healthcheck",) if container.checks_health else ()),
        *itertools.chain.from_iterable(docker_options(bare)),
    )


def _mount(mount: Mount) -> str:
    """As ``docker run --mount`` takes it, with the paths of whoever opens the folder."""
    if mount == HOME_VOLUME:
        return mount_text(dataclasses.replace(mount, source=f"{mount.source}-${{devcontainerId}}"))
    source, target = _literal(mount.source), _literal(mount.target)
    if not mount.volume and source.startswith("~"):
        source = f"${{localEnv:HOME}}{source[1:]}"
    elif not mount.volume and not source.startswith("/"):
        source = _FOLDER if source == "." else f"{_FOLDER}/{source.removeprefix('./')}"
    return mount_text(dataclasses.replace(mount, source=source, target=target))


def _literal(text: str) -> str:
    """`text` if no editor fills anything in: there is no way to write ``${localEnv:NAME}`` and mean it so."""
    if "${" in text:
        raise RequestError(
            f"`{shown(text)}`: what begins with ${{ is filled in by the editor that reads the file",
            hints=["leave it out, or write it into devcontainer.json by hand"],
        )
    return text


def _editor_settings(image: ExportedImage) -> Mapping[str, Any]:
    return {"python.defaultInterpreterPath": image.python} if image.python.startswith("/") else {}
