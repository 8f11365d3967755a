"""What the shell scripts ask a container engine, through the same SDK as gpuimg, so that no docker command is needed.

``state``             prints ``ready <version>``, ``denied`` (the socket is not for this user) or ``none <where>``
``arch``              prints the engine's architecture, as Debian names it
``has REF``           exit code 0 where the engine has the image
``pull REF SECONDS``  exit code 0 once it is pulled; gives up after SECONDS
``import REF``        makes an image of the tar archive on stdin
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Final

import docker
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, ImageNotFound
from requests.exceptions import RequestException

_ANSWER_SECONDS: Final = 10
_DEFAULT: Final = "unix:///var/run/docker.sock"
_IMPORT_SECONDS: Final = 600
_CHUNK_BYTES: Final = 1 << 20


def _connect(timeout_s: int = _ANSWER_SECONDS) -> docker.DockerClient:
    return docker.from_env(timeout=timeout_s)


def _endpoint() -> str:
    """Where an engine was looked for."""
    return os.environ.get("DOCKER_HOST") or ContextAPI.get_current_context().Host or _DEFAULT


def state() -> int:
    try:
        client = _connect()
        version = client.version()
    except (DockerException, RequestException) as error:
        print("denied" if "Permission denied" in str(error) else f"none {_endpoint()}")
        return 0
    print("ready", version["Version"], version["Os"] + "/" + version["Arch"])
    client.close()
    return 0


def arch() -> int:
    client = _connect()
    print(client.version()["Arch"])
    client.close()
    return 0


def has(reference: str) -> int:
    client = _connect()
    try:
        client.images.get(reference)
    except ImageNotFound:
        return 1
    finally:
        client.close()
    return 0


def pull(reference: str, seconds: str) -> int:
    # Neither the SDK nor the engine limits a pull as a whole. The engine drops it when the client is gone.
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(int(seconds))
    client = _connect(int(seconds))
    repository, _, tag = reference.rpartition(":")
    try:
        client.images.pull(repository, tag=tag)
    except (APIError, RequestException, TimeoutError) as error:
        expired = signal.alarm(0) == 0
        print(
            f"no image within {seconds} s" if expired else getattr(error, "explanation", None) or error, file=sys.stderr
        )
        return 1
    finally:
        client.close()
    return 0


def _give_up(*_: object) -> None:
    raise TimeoutError


def import_(reference: str) -> int:
    client = _connect(_IMPORT_SECONDS)
    repository, _, tag = reference.rpartition(":")
    answer: str = client.api.import_image(
        src=_stdin(), repository=repository, tag=tag, changes=["CMD bash"], stream_src=True
    )
    client.close()
    if '"error"' in answer:
        print(answer, file=sys.stderr)
        return 1
    return 0


def _stdin() -> Iterator[bytes]:
    while chunk := sys.stdin.buffer.read(_CHUNK_BYTES):
        yield chunk


_COMMANDS: Final[dict[str, Callable[..., int]]] = {
    "state": state,
    "arch": arch,
    "has": has,
    "pull": pull,
    "import": import_,
}

if __name__ == "__main__":
    try:
        sys.exit(_COMMANDS[sys.argv[1]](*sys.argv[2:]))
    except (DockerException, RequestException) as failure:
        print(f"error: {failure}", file=sys.stderr)
        sys.exit(3)
