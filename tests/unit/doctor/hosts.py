"""Hosts made of real files and programs in a folder, and engines that answer at a socket of this machine.

What the engines say lies in ``answers/``, recorded from real ones: Docker 20.10.24 as Debian 12 starts it; 26.1.5 with
``features.cdi`` and a specification in /etc/cdi; 28.5.2 with that specification, with the runtime ``nvidia`` and a
proxy, and with containerd's image store. Paths, names and counts in them are replaced. Tests that change more say so.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import socketserver
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from gpuimg.doctor.engine_state import EngineState, read_engine
from gpuimg.doctor.examine import examine, look
from gpuimg.doctor.finding import Finding, Subject
from gpuimg.engine.info import EngineInfo
from gpuimg.errors import EngineNotFoundError
from gpuimg.machine import Machine
from gpuimg.matrix import load_hosts, load_matrix
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec

ANSWERS = Path(__file__).parent / "answers"
OS_RELEASE = {
    "debian": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
    "ubuntu": 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nID_LIKE=debian\n',
    "fedora": 'PRETTY_NAME="Fedora Linux 41"\nID=fedora\n',
    "rocky": 'PRETTY_NAME="Rocky Linux 9.4 (Blue Onyx)"\nID="rocky"\nID_LIKE="rhel centos fedora"\n',
    "suse": 'PRETTY_NAME="openSUSE Leap 15.6"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\n',
    "arch": 'PRETTY_NAME="Arch Linux"\nID=arch\n',
    "nixos": 'PRETTY_NAME="NixOS 24.11"\nID=nixos\n',
}
"""As these distributions ship it, shortened."""
A100 = "0, GPU-1f22f253-c329-08cd-fb58-f1f4a4b1d3ab, NVIDIA A100-SXM4-80GB, 81920, {driver}, 8.0"
FAILS = 'echo "NVIDIA-SMI has failed because it couldn\'t communicate with the NVIDIA driver."; exit 9'

load_matrix_once = functools.cache(load_matrix)
load_hosts_once = functools.cache(load_hosts)


_SOCKET = "unix:///var/run/docker.sock"
_ABSENT = EngineState(host=_SOCKET, problem=EngineNotFoundError(f"no engine answers at {_SOCKET}"))


@dataclass
class Host:
    """A machine below `root`."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    info: dict[str, Any] | None = None
    """What its engine is about to say; None: nothing answers."""
    engine: EngineState = _ABSENT

    def write(self, path: str, text: str = "") -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def program(self, name: str, script: str = "exit 0") -> None:
        self.write(f"usr/bin/{name}", f"#!/bin/sh\n{script}\n")
        (self.root / "usr/bin" / name).chmod(0o755)

    def driver(self, version: str) -> None:
        """nvidia-smi that tells of an A100."""
        self.program("nvidia-smi", f"echo '{A100.format(driver=version)}'")

    @property
    def machine(self) -> Machine:
        path = f"{self.root}/usr/bin:{self.root}/bin"
        return Machine(root=self.root, environ={"PATH": path, "USER": "ada", **self.environ})

    def look(self, *specs: str, made: dt.datetime | None = None, now: dt.datetime | None = None) -> Subject:
        matrix = load_matrix_once()
        return look(
            self.machine,
            matrix,
            hosts=load_hosts_once(),
            engine=self.engine if self.info is None else read_engine(self.environ),
            stacks=[resolve(parse_spec(spec), matrix).stack for spec in specs],
            now=now or _time(self.info) or dt.datetime.now(dt.timezone.utc),
            made=made,
        )

    def find(self, check: str, *specs: str) -> Finding:
        """The one finding of a check."""
        (finding,) = examine(self.look(*specs), only=[check])
        return finding


def make_host(
    root: Path, distribution: str = "debian", *, systemd: bool = True, kernel: str = "6.1.0-18-amd64"
) -> Host:
    """A host without an engine, a driver or anything else."""
    host = Host(root=root)
    host.write("etc/os-release", OS_RELEASE[distribution])
    host.write("proc/sys/kernel/osrelease", f"{kernel}\n")
    if systemd:
        (root / "run/systemd/system").mkdir(parents=True)
    return host


def answers(name: str) -> dict[str, Any]:
    """What a real engine said to ``/info`` and ``/version``."""
    found: dict[str, Any] = json.loads((ANSWERS / f"{name}.json").read_text(encoding="utf-8"))
    return found


@contextlib.contextmanager
def engine(
    host: Host,
    name: str,
    *,
    info: Mapping[str, Any] | None = None,
    version: Mapping[str, Any] | None = None,
) -> Iterator[Host]:
    """Let an engine of that record answer on `host`, with some fields of it changed."""
    said = answers(name)
    said["info"].update(info or {})
    said["version"].update(version or {})
    host.info = said["info"]
    host.write("proc/sys/kernel/osrelease", said["info"]["KernelVersion"] + "\n")
    with tempfile.TemporaryDirectory(prefix="gpuimg-test-") as folder:  # a socket's path is short

        class Handler(_Handler):
            has = said

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        server = Server(f"{folder}/docker.sock", Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        host.environ["DOCKER_HOST"] = f"unix://{folder}/docker.sock"
        try:
            yield host
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            del host.environ["DOCKER_HOST"]
            host.info = None


def _time(info: Mapping[str, Any] | None) -> dt.datetime | None:
    return EngineInfo(raw=info, release="", api="").time if info is not None else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # as engines speak it: the connection stays open
    has: Mapping[str, Any]

    def do_GET(self) -> None:
        body = json.dumps(self.has.get(self.path.rpartition("/")[2], {})).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None:
        pass
