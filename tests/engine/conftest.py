"""What engine tests share: an engine, a base image, an index, and that nothing of theirs stays behind.

The base image carries the label ``io.gpuimg.test``. Images and containers inherit it from their base, so all that a
test makes from `base_image` is found again and removed at the end, with the build cache that came with it.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import docker
import pytest
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from gpuimg.matrix import load_wheels
from gpuimg.versions import Platform, PythonVersion
from tests.engine import wheel_index as wheel_index_module
from tests.engine.build_cache import cache_records, prune_since
from tests.engine.wheel_index import WheelIndex, open_index

_ROOT: Final = Path(__file__).parents[2]
_LABEL: Final = "io.gpuimg.test"
_BASE: Final = "debian:bookworm-slim"
_TIMEOUT_S: Final = 600


@pytest.fixture(scope="session")
def engine_client() -> Iterator[docker.DockerClient]:
    """The engine at ``DOCKER_HOST`` or in the current docker context."""
    try:
        client = docker.from_env(timeout=_TIMEOUT_S)
        client.ping()
    except (DockerException, RequestException) as error:
        pytest.fail(f"--engine needs an engine that answers; `scripts/install-engine` installs one: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def test_label(engine_client: docker.DockerClient) -> Iterator[str]:
    """``io.gpuimg.test=<host>.<pid>``, which marks what this run made; all of that goes when the run ends."""
    _remove_leftovers(engine_client)
    label = f"{_LABEL}={socket.gethostname()}.{os.getpid()}"
    cache = cache_records(engine_client.api)
    yield label
    _remove(engine_client, label)
    if not os.environ.get("GPUIMG_KEEP_BUILD_CACHE"):
        prune_since(engine_client.api, cache)


@pytest.fixture(scope="session")
def base_image(engine_client: docker.DockerClient, test_label: str) -> str:
    """Debian 12: Docker Hub's where it can be pulled, else one made here. Give it to ``--base``."""
    made = subprocess.run(
        [_ROOT / "scripts" / "base-image", _BASE],
        env={**os.environ, "GPUIMG_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.fail(made.stderr)
    tag = f"gpuimg-test/base:{os.getpid()}"
    dockerfile = f"FROM {made.stdout.strip()}\nLABEL {test_label}\n"
    engine_client.images.build(fileobj=io.BytesIO(dockerfile.encode()), tag=tag, rm=True)
    return tag


@pytest.fixture(scope="session")
def wheel_index(engine_client: docker.DockerClient) -> Iterator[WheelIndex]:
    """The loopback index, at an address that containers of a local engine reach."""
    with open_index(engine_client.api) as index:
        yield index


@pytest.fixture(scope="session")
def wheel_index_url(wheel_index: WheelIndex) -> Callable[..., str]:
    """``wheel_index_url("2.6.0-cu124", python=PythonVersion(3, 11))`` has that stack fetched and gives the URL."""

    def serve(stack: str, *, python: PythonVersion, platform: Platform = Platform.AMD64) -> str:
        wheel_index.add(load_wheels(stack, platform, python))
        return wheel_index.url

    return serve


@pytest.fixture(scope="session")
def build_network(wheel_index: WheelIndex) -> str | None:
    """What ``--build-network`` must say for a build to reach `wheel_index`; None: nothing."""
    return wheel_index_module.build_network(wheel_index)


def _remove(client: docker.DockerClient, label: str) -> None:
    for container in client.containers.list(all=True, filters={"label": label}):
        container.remove(force=True, v=True)
    for image in client.images.list(all=True, filters={"label": label}):
        with contextlib.suppress(NotFound, APIError):  # gone with another that was built on it
            client.images.remove(str(image.id), force=True)


def _remove_leftovers(client: docker.DockerClient) -> None:
    """What runs on this machine left that were killed before they could clean up."""
    host = socket.gethostname()
    for image in client.images.list(all=True, filters={"label": _LABEL}):
        owner, _, pid = image.labels[_LABEL].rpartition(".")
        if owner == host and not Path(f"/proc/{pid}").exists():
            _remove(client, f"{_LABEL}={image.labels[_LABEL]}")
