"""Which ports are published, and the server behind them."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Sequence
from typing import Final

from gpuimg.errors import RequestError
from gpuimg.launch.launch import Port, Target
from gpuimg.launch.server import Server
from gpuimg.launch.wishes import Wishes

JUPYTER: Final = "jupyter"
"""The flavor, and its program."""
SERVE: Final = "serve"
"""The flavor whose server is the command that users give."""
_NO_SERVERS: Final = ("bash", "sh", "sleep")
"""Commands by which people come in, or later."""
_JUPYTER_PORT: Final = 8888
_TRIES: Final = 100
"""So many ports are looked at for a free one."""


def choose_server(wishes: Wishes, target: Target, *, local: bool, token: str) -> Server | None:
    """Give what the image serves where the user can reach it; None: nothing.

    Args:
        local: whether the ports are this machine's, so that one can try which are free.
        token: by which Jupyter lets one in.

    Raises RequestError for ports that can't be had.
    """
    apart = wishes.network is not None and _is_apart(wishes.network)
    if apart and (wishes.ports or wishes.port is not None):
        raise RequestError(f"--network {wishes.network} publishes no ports", hints=["leave --port and --publish out"])
    served = _served(target, wishes.command)
    if not served and wishes.port is not None:
        raise RequestError(
            f"{target.reference} serves nothing by itself that --port could publish",
            hints=[f"name its port too: -p {wishes.port}:8000"],
        )
    if wishes.network == "host":
        ports = [Port(container=port, host=port, address=wishes.listen) for port in served]
    else:
        ports = [] if apart else _published(served, wishes, local=local)
    if not ports:
        return None
    jupyter = target.label("flavor") == JUPYTER
    return Server(ports=tuple(ports), token=token if jupyter else None, jupyter=jupyter)


def all_ports(wishes: Wishes, server: Server | None) -> tuple[Port, ...]:
    """What is published: the ports that were named, and the server's."""
    if server is None or wishes.network == "host":
        return wishes.ports
    return tuple(dict.fromkeys((*wishes.ports, *server.ports)))


def exposure(wishes: Wishes, server: Server | None) -> str | None:
    """What has to be said of who can reach the server; None where only this machine can."""
    if server is None:
        return None
    if wishes.network == "host":
        return "on the host's network the server listens on all of its addresses, not only on loopback"
    if all(ipaddress.ip_address(port.address).is_loopback for port in server.ports):
        return None
    return "the server speaks plain HTTP: who listens to the network reads all of it, the token too"


def _served(target: Target, command: Sequence[str]) -> tuple[int, ...]:
    """The ports that the image's own command serves; none where another command takes its place.

    Of an image for a server of the user's own, the command is that server.
    """
    is_jupyter = target.label("flavor") == JUPYTER
    is_server = target.label("flavor") == SERVE and command and command[0] not in _NO_SERVERS
    if command and not (is_jupyter and command[0] == JUPYTER) and not is_server:
        return ()
    ports = [int(text) for text in target.label("ports").split() if re.fullmatch(r"[1-9]\d{0,4}", text, re.ASCII)]
    if not ports and is_jupyter:
        ports = [_JUPYTER_PORT]
    return tuple(dict.fromkeys(port for port in ports if port < 2**16))


def _published(served: Sequence[int], wishes: Wishes, *, local: bool) -> list[Port]:
    """A port of the host for each that is served: the named one, its own number, or the next that is free."""
    named = {port.container: port for port in wishes.ports}
    used = {port.host for port in wishes.ports}
    found: list[Port] = []
    for number in served:
        if number in named:
            found += [named[number]] if named[number].host is not None else []
            continue
        wanted = wishes.port if not found else None
        candidates = [wanted] if wanted is not None else range(number, min(number + _TRIES, 2**16))
        free = (each for each in candidates if each not in used and (not local or _is_free(wishes.listen, each)))
        host = next(free, None)
        if host is None:
            what = f"port {wanted}" if wanted is not None else f"every port from {number} on"
            raise RequestError(
                f"{what} of {wishes.listen} is taken",
                hints=["`--port NUMBER` takes another; `ss -ltnp` shows who has it"],
            )
        found.append(Port(container=number, host=host, address=wishes.listen))
        used.add(host)
    return found


def _is_apart(network: str) -> bool:
    """Whether ports of containers on it can't be published."""
    return network in {"host", "none"} or network.startswith("container:")


def _is_free(address: str, port: int) -> bool:
    """Whether nobody listens there. What can't be told for another reason is the engine's to say."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True
