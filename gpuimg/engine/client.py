"""The connection to a container engine: the only module that imports docker.

Everything foreign that can go wrong on the way is translated here, once, into `gpuimg.errors`.
"""

from __future__ import annotations

import contextlib
import json
import re
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
from gpuimg.engine.info import EngineInfo, read_info
from gpuimg.errors import EngineForbiddenError, EngineNotFoundError, HostError, ImageNotFoundError
from gpuimg.text import printable

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
            missing = {"Id", "Os", "Architecture", "Size", "Config"} - set(found)
            if missing:
                raise KeyError(f"an image without {', '.join(sorted(missing))}")
        return found

    def list_images(self, label: str) -> list[str]:
        """Ids of the images with `label`, newest first."""
        with self.translated():
            rows = self.api.images(filters={"label": label})
            return list(dict.fromkeys(str(row["Id"]) for row in sorted(rows, key=lambda row: -row["Created"])))

    def info(self) -> Mapping[str, Any]:
        """What the engine says of itself: runtimes, memory, platform."""
        with self.translated():
            found = dict(self.api.info())
            int(found["MemTotal"])
        return found

    def describe(self) -> EngineInfo:
        """Which engine this is, and what it says of itself."""
        with self.translated():
            version = dict(self.api.version())
        return read_info(self.info(), version)

    def post_build(
        self,
        body: bytes | Iterator[bytes],
        *,
        build_id: str,
        platform: str,
        network: str | None,
        target: str | None,
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
            **({"target": target} if target else {}),
        }
        with (
            self.translated(),
            self.api.post(
                self._url("/build"),
                params=parameters,
                data=body,
                headers={"Content-Type": "application/x-tar"},
                stream=True,
                timeout=None,  # a step may be silent for as long as it takes
            ) as response,
        ):
            if not response.ok:
                raise HostError(f"the engine at {self.host} refused the build: {_message(response)}")
            yield from response.iter_content(chunk_size=None)

    def cancel_build(self, build_id: str) -> None:
        """Stop a build; one that has ended is left alone."""
        with self.translated():
            self.api.post(self._url("/build/cancel"), params={"id": build_id}, timeout=10)

    def _url(self, path: str) -> str:
        return f"{self.api.base_url}/v{self.api.api_version}{path}"


def address(environ: Mapping[str, str]) -> str:
    """Where the engine is looked for, without the password that may be in it. Raises EngineNotFoundError."""
    return _shown(engine_address(environ))


def engine_address(environ: Mapping[str, str]) -> str:
    """Where the engine is to be found; it isn't asked. Raises EngineNotFoundError for settings that can't be read."""
    return _endpoint(environ)[0]


def proxy_arguments(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The proxies of this host as BuildKit's predefined build arguments, which leave no trace in the image.

    One that holds a password stays here: the engine keeps build arguments in its records.
    """
    names = [name for base in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY") for name in (base, base.lower())]
    return {name: environ[name] for name in names if environ.get(name) and "@" not in environ[name]}


def gpu_requests(gpus: str | None) -> list[docker.types.DeviceRequest] | None:
    """As ``docker run --gpus`` asks for them: ``all``, or indexes, UUIDs or CDI names separated by commas.

    None: no GPU.
    """
    if gpus is None:
        return None
    if gpus.startswith("nvidia.com/gpu="):
        return [docker.types.DeviceRequest(driver="cdi", device_ids=gpus.split(","))]
    if gpus == "all":
        return [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])]
    return [docker.types.DeviceRequest(device_ids=gpus.split(","), capabilities=[["gpu"]])]


def _message(response: requests.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:500] or response.reason


def _endpoint(environ: Mapping[str, str]) -> tuple[str, Any]:
    """DOCKER_HOST, else DOCKER_CONTEXT, else the current context of the docker command, as that command chooses."""
    host = environ.get("DOCKER_HOST")
    name = environ.get("DOCKER_CONTEXT") or None
    try:
        if host:
            settings = docker.utils.kwargs_from_env(environment=dict(environ))
            return host, settings.get("tls")
        context = (
            docker.context.ContextAPI.get_context(name) if name else docker.context.ContextAPI.get_current_context()
        )
    except (docker.errors.DockerException, *_NONSENSE) as error:
        what = "DOCKER_HOST and its TLS settings" if host else f"the docker context `{name or 'current'}`"
        raise EngineNotFoundError(
            f"{what} can't be read: {printable(str(error))}",
            hints=["`docker context ls` shows what docker itself reads"],
        ) from error
    if context is None:
        raise EngineNotFoundError(
            f"there is no docker context `{name or 'current'}`",
            hints=["`docker context ls` shows those that exist", "unset DOCKER_CONTEXT to use the default"],
        )
    return context.Host or _DEFAULT_HOST, context.TLSConfig


def _is_ssh(host: str) -> bool:
    return host.startswith("ssh://")


_NONSENSE = (AttributeError, KeyError, TypeError, ValueError)
"""What the SDK raises where an address or an answer is not of the form that it takes for granted."""


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
        raise HostError(f"the engine at {_shown(host)} refused: {text}") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise _unreachable(host, error) from error
    except _NONSENSE as error:
        raise HostError(
            f"{_shown(host)} is no engine's address, or what answers there is no engine: {printable(str(error))}",
            hints=["DOCKER_HOST looks like unix:///var/run/docker.sock, tcp://host:2376 or ssh://user@host"],
        ) from error


def _shown(host: str) -> str:
    """An address without the password that may be in it."""
    return printable(re.sub(r"//[^@/]*@", "//", host))


def _unreachable(host: str, error: Exception) -> HostError:
    text = str(error)
    if "PermissionError" in text or "Permission denied" in text:
        return EngineForbiddenError(
            f"this user may not talk to the engine at {_shown(host)}",
            hints=["`sudo usermod -aG docker $USER`, then log in again", "or run gpuimg with sudo"],
        )
    hints = [
        "start it: `sudo systemctl start docker`; or install it: https://docs.docker.com/engine/install/",
        "for a remote engine set DOCKER_HOST or choose a context: `docker context use NAME`",
        "`gpuimg render SPEC` needs no engine",
    ]
    if "timed out" in text or "Timeout" in text:
        return HostError(f"the engine at {_shown(host)} does not answer: {text}", hints=hints)
    return EngineNotFoundError(f"no engine answers at {_shown(host)}", hints=hints)
