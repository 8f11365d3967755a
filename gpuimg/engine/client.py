"""The connection to a container engine: the only module that imports docker.

Everything foreign that can go wrong on the way is translated here, once, into `gpuimg.errors`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import docker
import docker.context
import docker.errors
import docker.types
import docker.utils
import requests

from gpuimg.engine.failures import disk_full
from gpuimg.errors import EngineNotFoundError, HostError, ImageNotFoundError

_DEFAULT_HOST = "unix:///var/run/docker.sock"
_OLDEST_API = (1, 40)
"""Docker 19.03: the first whose BuildKit runs without a session."""


class Engine:
    """A container engine, for as long as the ``with`` block lasts."""

    def __init__(self, *, environ: Mapping[str, str]) -> None:
        self.host, tls = _endpoint(environ)
        with _translated(self.host):
            self.api = docker.APIClient(
                base_url=self.host, tls=tls, version="auto", timeout=60, use_ssh_client=_is_ssh(self.host)
            )
        version = tuple(int(part) for part in self.api.api_version.split("."))
        if version < _OLDEST_API:
            self.api.close()
            raise HostError(
                f"the engine at {self.host} speaks API {self.api.api_version}, too old to build with BuildKit",
                hints=["update it to Docker 20.10 or newer"],
            )

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.api.close()

    def translated(self) -> contextlib.AbstractContextManager[None]:
        """While this lasts, what docker and requests raise becomes a `HostError`."""
        return _translated(self.host)

    def inspect_image(self, reference: str) -> dict[str, Any]:
        """What the engine knows of an image. Raises ImageNotFoundError."""
        with self.translated():
            found: dict[str, Any] = self.api.inspect_image(reference)  # type: ignore[no-untyped-call]  # SDK
        return found

    def info(self) -> Mapping[str, Any]:
        """What the engine says of itself: runtimes, memory, platform."""
        with self.translated():
            return dict(self.api.info())

    def post_build(
        self,
        body: bytes,
        *,
        build_id: str,
        platform: str,
        network: str | None,
        build_args: Mapping[str, str],
        labels: Mapping[str, str],
    ) -> Iterator[bytes]:
        """Run BuildKit on the context in `body` (a tar) and give its answer as it comes.

        The SDK's own `build` can't ask for BuildKit, so this talks to the same endpoint through its session.
        """
        parameters = {
            "version": "2",
            "buildid": build_id,
            "platform": platform,
            "labels": json.dumps(dict(labels)),
            "buildargs": json.dumps(dict(build_args)),
            **({"networkmode": network} if network else {}),
        }
        with self.api.post(
            self._url("/build"),
            params=parameters,
            data=body,
            headers={"Content-Type": "application/x-tar"},
            stream=True,
            timeout=None,  # a step may be silent for as long as it takes
        ) as response:
            if not response.ok:
                raise HostError(f"the engine at {self.host} refused the build: {_message(response)}")
            yield from response.iter_content(chunk_size=None)

    def cancel_build(self, build_id: str) -> None:
        """Stop a build; one that has ended is left alone."""
        with self.translated():
            self.api.post(self._url("/build/cancel"), params={"id": build_id}, timeout=10)

    def _url(self, path: str) -> str:
        return f"{self.api.base_url}/v{self.api.api_version}{path}"


def gpu_requests(gpus: str | None) -> list[docker.types.DeviceRequest] | None:
    """As ``docker run --gpus`` asks for them: ``all``, or indexes and UUIDs separated by commas; None: no GPU."""
    if gpus is None:
        return None
    if gpus == "all":
        return [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])]
    return [docker.types.DeviceRequest(device_ids=gpus.split(","), capabilities=[["gpu"]])]


def _message(response: requests.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError):
        return response.text[:500] or response.reason


def _endpoint(environ: Mapping[str, str]) -> tuple[str, Any]:
    """DOCKER_HOST, else DOCKER_CONTEXT, else the current context of the docker command, as that command chooses."""
    host = environ.get("DOCKER_HOST")
    if host:
        settings = docker.utils.kwargs_from_env(environment=dict(environ))
        return host, settings.get("tls")
    name = environ.get("DOCKER_CONTEXT") or None
    try:
        context = (
            docker.context.ContextAPI.get_context(name) if name else docker.context.ContextAPI.get_current_context()
        )
    except docker.errors.DockerException as error:
        raise EngineNotFoundError(f"the docker context can't be read: {error}") from error
    if context is None:
        raise EngineNotFoundError(
            f"there is no docker context `{name or 'current'}`",
            hints=["`docker context ls` shows those that exist", "unset DOCKER_CONTEXT to use the default"],
        )
    return context.Host or _DEFAULT_HOST, context.TLSConfig


def _is_ssh(host: str) -> bool:
    return host.startswith("ssh://")


@contextlib.contextmanager
def _translated(host: str) -> Iterator[None]:
    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise ImageNotFoundError(f"the engine has no such image: {error.explanation}") from error
    except docker.errors.APIError as error:
        text = str(error.explanation or error)
        if "no space left on device" in text:
            raise disk_full(text) from error
        raise HostError(f"the engine at {host} refused: {text}") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise _unreachable(host, error) from error


def _unreachable(host: str, error: Exception) -> HostError:
    text = str(error)
    if "PermissionError" in text or "Permission denied" in text:
        return EngineNotFoundError(
            f"this user may not talk to the engine at {host}",
            hints=["`sudo usermod -aG docker $USER`, then log in again", "or run gpuimg with sudo"],
        )
    hints = [
        "start it: `sudo systemctl start docker`; or install it: https://docs.docker.com/engine/install/",
        "for a remote engine set DOCKER_HOST or choose a context: `docker context use NAME`",
        "`gpuimg render SPEC` needs no engine",
    ]
    if "timed out" in text or "Timeout" in text:
        return HostError(f"the engine at {host} does not answer: {text}", hints=hints)
    return EngineNotFoundError(f"no engine answers at {host}", hints=hints)
