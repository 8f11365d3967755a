"""Runs the installed ``gpuimg`` as a user does, and asks images questions from inside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import docker

GPUIMG: Final = Path(sys.executable).with_name("gpuimg")
_LIMIT_S: Final = 1200


def gpuimg(*arguments: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """``gpuimg ARGUMENTS`` in `folder`, whatever its exit code."""
    command = [str(GPUIMG), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT_S, cwd=folder)


def run_in(
    client: docker.DockerClient,
    image: str,
    command: Sequence[str],
    *,
    user: str | None = None,
    network: str | None = None,
) -> tuple[int, str]:
    """Exit code and output of `command` in a container of `image`, which is removed."""
    container = client.containers.create(image, list(command), user=user, network_mode=network)
    try:
        container.start()
        code = container.wait(timeout=_LIMIT_S)["StatusCode"]
        return int(code), container.logs().decode(errors="replace")
    finally:
        container.remove(force=True)


def untagged_images(client: docker.DockerClient) -> set[str]:
    """Ids of dangling images: a build that fails or is stopped must leave none."""
    return {str(image.id) for image in client.images.list(filters={"dangling": True})}
