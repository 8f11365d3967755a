"""Values that users give for a start, checked before anything is started."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from typing import Final

from gpuimg.errors import RequestError
from gpuimg.launch.launch import Mount, Port
from gpuimg.text import printable, shown

_VOLUME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)
_PORTS: Final = re.compile(
    r"(?:(?:(?P<address>\[[0-9a-fA-F:.]+\]|[^:\[\]]+):)?(?P<host>\d*):)?(?P<container>\d{1,5})(?:/(?P<protocol>tcp|udp))?",
    re.ASCII,
)


def mount(text: str) -> Mount:
    """The mount that ``SOURCE:TARGET[:ro]`` says. Raises RequestError.

    A source without a slash is the name of a volume, as the engine reads it.
    """
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if not source or not target or mode not in {"", "ro", "rw"} or printable(text) != text:
        raise RequestError(
            f"`{shown(text)}` is no mount", hints=["write it as -v ./data:/data or -v /mnt/data:/data:ro"]
        )
    if not target.startswith("/") or posixpath.normpath(target) in {"/", "//"} or ".." in target.split("/"):
        raise RequestError(
            f"`{shown(target)}` is no place in a container to mount at",
            hints=[f"write it as an absolute path: -v {shown(source)}:/data"],
        )
    volume = _VOLUME.fullmatch(source) is not None and source not in {".", ".."}
    return Mount(
        source=source if volume else posixpath.normpath(source),
        target=posixpath.normpath(target),
        read_only=mode == "ro",
        volume=volume,
    )


def variable(text: str) -> tuple[str, str | None]:
    """Name and value of ``NAME=VALUE``; of ``NAME`` alone no value. Raises RequestError."""
    name, separator, value = text.partition("=")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}", name, re.ASCII):
        raise RequestError(
            f"`{shown(text)}` is no environment variable",
            hints=["write it as -e NCCL_DEBUG=INFO, or -e HF_TOKEN to pass on the value that it has here"],
        )
    return name, value if separator else None


def port(text: str, *, listen: str) -> Port:
    """The port that ``[[ADDRESS:]HOST:]CONTAINER[/udp]`` says, on the address `listen` if none is named.

    Raises RequestError.
    """
    match = _PORTS.fullmatch(text)
    numbers = [int(match[name]) for name in ("host", "container") if match[name]] if match else [0]
    if match is None or not all(0 < number < 2**16 for number in numbers):
        raise RequestError(
            f"`{shown(text)}` is no port to publish",
            hints=["write it as -p 6006:6006, or -p 0.0.0.0:6006:6006 for all addresses of the host"],
        )
    return Port(
        container=int(match["container"]),
        host=int(match["host"]) if match["host"] else None,
        address=address(match["address"].strip("[]"), option="-p") if match["address"] else listen,
        protocol=match["protocol"] or "tcp",
    )


def address(text: str, *, option: str) -> str:
    """`text` if it is an IP address, which ``localhost`` stands for too. Raises RequestError."""
    try:
        return str(ipaddress.ip_address("127.0.0.1" if text == "localhost" else text))
    except ValueError as error:
        raise RequestError(
            f"{option}: `{shown(text)}` is no IP address",
            hints=["use 127.0.0.1, or 0.0.0.0 for all of the host's"],
        ) from error


def cpus(text: str) -> str:
    """`text` if it is a number of CPUs, such as 8 or 7.5. Raises RequestError."""
    if not re.fullmatch(r"\d{1,4}(?:\.\d{1,2})?", text, re.ASCII) or not float(text):
        raise RequestError(f"`{shown(text)}` is no number of CPUs", hints=["write it as --cpus 8 or --cpus 7.5"])
    return text


def container_name(text: str) -> str:
    """`text` if it can name a container. Raises RequestError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,127}", text, re.ASCII):
        raise RequestError(
            f"`{shown(text)}` can't name a container", hints=["use letters, digits, ., _ and -: --name training"]
        )
    return text
