"""The server of an image: what its URL is, whether it answers, how another machine reaches it."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import secrets
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gpuimg.errors import HostError
from gpuimg.launch.launch import Port
from gpuimg.launch.wishes import LOOPBACK

TOKEN: Final = "JUPYTER_TOKEN"
"""By which variable Jupyter takes its token."""
_POLL_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What an image serves, and where the host has it."""

    ports: tuple[Port, ...]
    """The first is the one that its URL has."""
    token: str | None = field(default=None, repr=False)
    jupyter: bool = False

    @property
    def page(self) -> str:
        """Where it is, as the engine's machine sees it."""
        port = self.ports[0]
        every = ipaddress.ip_address(port.address).is_unspecified
        address = LOOPBACK if every else f"[{port.address}]" if ":" in port.address else port.address
        return f"http://{address}:{port.host}/{'lab' if self.jupyter else ''}"

    @property
    def url(self) -> str:
        """What a browser on the engine's machine opens: with the token."""
        return f"{self.page}?{urllib.parse.urlencode({'token': self.token})}" if self.token else self.page


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(24)


def wait_for_answer(url: str, *, ended: Callable[[], bool], limit_s: float) -> bool:
    """Wait until a server says anything at `url`, at most `limit_s` seconds. Whether it has; False too if `ended`."""
    parts = urllib.parse.urlsplit(url)
    assert parts.hostname is not None
    until = time.monotonic() + limit_s
    while time.monotonic() < until and not ended():
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
        try:
            connection.request("GET", parts.path or "/")
            connection.getresponse()
            return True
        except http.client.RemoteDisconnected:
            pass  # the engine's proxy took the connection, and nobody listens behind it yet
        except http.client.HTTPException:
            return True  # a server that speaks something else
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(_POLL_S)
    return False


def tunnel(server: Server, environ: Mapping[str, str], *, address: str, user: str) -> str | None:
    """The command that brings the server to the user's own machine; None where it is there, or all can reach it.

    Args:
        address: the engine's.
        user: the name of who is logged in here.
    """
    port = server.ports[0]
    if not ipaddress.ip_address(port.address).is_loopback:
        return None
    local = f"{port.host}:{port.address if ':' not in port.address else f'[{port.address}]'}:{port.host}"
    with contextlib.suppress(KeyError, ValueError):
        if address.startswith("ssh://"):
            engine = urllib.parse.urlsplit(address)
            who = f"{engine.username}@" if engine.username else ""
            return f"ssh -N -L {local} {_ssh_port(engine.port)}{who}{engine.hostname}"
        _, _, host, number = environ["SSH_CONNECTION"].split()
        if address.startswith("unix://"):
            return f"ssh -N -L {local} {_ssh_port(int(number))}{user}@{ipaddress.ip_address(host)}"
    return None


def _ssh_port(port: int | None) -> str:
    return "" if port in {None, 22} else f"-p {port} "


def no_answer(reference: str, url: str, log: Sequence[str]) -> HostError:
    """The error for a server whose container ended before it answered; `log` are its last lines."""
    shown = "\n".join(f"| {line}" for line in log) or "| (it said nothing)"
    return HostError(
        f"{reference} ended before it answered at {url}; the last that it said:\n{shown}",
        hints=["without --detach all that it says is shown"],
    )
