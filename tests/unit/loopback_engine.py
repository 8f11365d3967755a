"""An engine on the loopback interface whose containers are processes of this machine.

It speaks as much of the engine's interface as checking images takes. What is put into a container lies in a folder of
its own, and the paths in its command are moved there; what it asks for of GPUs is in the variable ``GPUS``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FOLDER = "/gpuimg-smoke"
GUEST = """\
import json, os, sys
if sys.argv[1] == "-c":
    sys.exit(7)
def say(**line):
    print(json.dumps({"v": 1, **line}), flush=True)
visible = os.environ["GPUS"].split(",") if os.environ["GPUS"] else []
if visible == ["all"]:
    visible = ["GPU-0", "GPU-1"]
gpus = [{"index": n, "name": "made up", "cc": "9.0", "memory_bytes": 1, "uuid": g} for n, g in enumerate(visible)]
say(event="start", torch="2.6.0+cu124", python="3.11.2", gpus=gpus, planned=["host.user", "load.dlopen"])
say(event="check", name="host.user", group="host", status="PASS", measured={}, seconds=0)
"""
"""The first half of a Python that has torch and plays the guest; it has two GPUs where it gets all."""
PASSES, SKIPS, FAILS = (
    f"""\
say(event="check", name="load.dlopen", group="load", status="{status}", reason="made up", measured={{}}, seconds=0)
say(event="end", **{{"pass": 1, "fail": 0, "skip": 0}}, seconds=0)
"""
    for status in ("PASS", "SKIP", "FAIL")
)
HANGS = "import time; time.sleep(600)\n"


@dataclass
class Container:
    """A process, once it is started."""

    command: list[str]
    gpus: list[str]
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    read: bool = False
    """Whether somebody reads its stdout, and will close it."""


@dataclass
class LoopbackEngine:
    """What the engine has. `images`: reference → (the program that is its ``python``, labels)."""

    root: Path
    images: dict[str, tuple[str, Mapping[str, str]]]
    info: dict[str, Any] = field(default_factory=lambda: {"MemTotal": 64 << 30, "NCPU": 16, "Runtimes": {}})
    address: str = ""
    containers: dict[str, Container] = field(default_factory=dict)
    asked: list[tuple[str, list[str]]] = field(default_factory=list)
    """Image and GPUs of each container that ran the guest."""
    most: int = 0
    """How many guests there were at once at most."""
    before_create: Callable[[], None] = lambda: None
    """Called when a container is asked for, before there is one."""
    removal_asked: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def environ(self) -> dict[str, str]:
        return {"DOCKER_HOST": self.address}

    def image(self, reference: str) -> dict[str, Any] | None:
        found = self.images.get(urllib.parse.unquote(reference).removeprefix("sha256:"))
        if found is None:
            return None
        name = urllib.parse.unquote(reference).removeprefix("sha256:")
        return {
            "Id": f"sha256:{name}",
            "RepoTags": [name],
            "Os": "linux",
            "Architecture": "amd64",
            "Size": 5_000_000_000,
            "Config": {"Labels": dict(found[1])},
        }

    def create(self, name: str, wish: Mapping[str, Any]) -> bool:
        program = self.images[wish["Image"].removeprefix("sha256:")][0]
        if wish["Entrypoint"] != ["python"]:
            return False
        self.before_create()
        folder = self.root / name
        folder.mkdir()
        command = [program, *(part.replace(FOLDER, str(folder / FOLDER.strip("/"))) for part in wish["Cmd"])]
        requests = wish["HostConfig"].get("DeviceRequests") or []
        gpus = [gpu for request in requests for gpu in request["DeviceIDs"] or ["all"]]
        environment = {**os.environ, "GPUS": ",".join(gpus), "TMPDIR": str(folder)}
        with self._lock:
            self.containers[name] = Container(command=command, gpus=gpus, folder=folder, environment=environment)
            if wish["Cmd"][0] != "-c":
                self.asked.append((wish["Image"].removeprefix("sha256:"), gpus))
                running = [other for other in self.containers.values() if other.command[1] != "-c"]
                self.most = max(self.most, len(running))
        return True

    def start(self, name: str) -> None:
        container = self.containers[name]
        container.process = subprocess.Popen(
            container.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=container.environment,
            start_new_session=True,
        )

    def remove(self, name: str) -> bool:
        self.removal_asked.set()
        with self._lock:
            container = self.containers.pop(name, None)
        if container is None:
            return False
        if container.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(container.process.pid, signal.SIGKILL)
            container.process.wait()
            if container.process.stdout is not None and not container.read:
                container.process.stdout.close()
        return True


@contextlib.contextmanager
def loopback_engine(images: Mapping[str, tuple[str, Mapping[str, str]]]) -> Iterator[LoopbackEngine]:
    """Serve an engine that has `images`, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="loopback-engine-") as root:
        engine = LoopbackEngine(root=Path(root), images=dict(images))

        class Handler(_Handler):
            has = engine

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        engine.address = f"tcp://127.0.0.1:{server.server_port}"
        try:
            yield engine
        finally:
            server.shutdown()
            thread.join()
            for name in list(engine.containers):
                engine.remove(name)
            server.server_close()


def program(folder: Path, name: str, source: str) -> str:
    """An image's ``python``, made in `folder`."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{source}")
    path.chmod(0o755)
    return str(path)


class _Handler(BaseHTTPRequestHandler):
    has: LoopbackEngine

    def do_GET(self) -> None:
        match self._parts():
            case ["version"]:
                self._answer({"ApiVersion": "1.47", "Version": "28.0", "MinAPIVersion": "1.24"})
            case ["info"]:
                self._answer(self.has.info)
            case ["images", "json"]:
                self._answer([{"Id": f"sha256:{name}", "Created": 0} for name in self.has.images])
            case ["images", *name, "json"]:
                self._answer(self.has.image("/".join(name)))
            case ["containers", name, "json"] if name in self.has.containers:
                self._answer({"Config": {"Tty": False}, "State": {"OOMKilled": False}})
            case ["containers", name, "logs"] if name in self.has.containers:
                self._logs(self.has.containers[name])
            case _:
                self._answer(None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match self._parts():
            case ["containers", "create"]:
                name = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["name"][0]
                self._answer({"Id": name} if self.has.create(name, json.loads(body)) else None)
            case ["containers", name, "start"] if name in self.has.containers:
                self.has.start(name)
                self._answer({})
            case ["containers", name, "wait"] if name in self.has.containers:
                process = self.has.containers[name].process
                self._answer({"StatusCode": process.wait() if process is not None else 1})
            case _:
                self._answer(None)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        _, name, _ = self._parts()
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            archive.extractall(self.has.containers[name].folder, filter="data")
        self._answer({})

    def do_DELETE(self) -> None:
        _, name = self._parts()
        self._answer({} if self.has.remove(name) else None)

    def log_message(self, *_: object) -> None:
        pass

    def _parts(self) -> list[str]:
        parts = urllib.parse.urlsplit(self.path).path.strip("/").split("/")
        return parts[1:] if parts[0].startswith("v1.") else parts

    def _answer(self, body: object) -> None:
        """`body` as JSON; None: there is no such thing, which clients know from other errors by these words."""
        missing = {"message": f"No such {self._parts()[0].removesuffix('s')}: {self.path}"}
        content = json.dumps(missing if body is None else body).encode()
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _logs(self, container: Container) -> None:
        """stdout as it comes, in the engine's frames; stderr was not kept."""
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.multiplexed-stream")
        self.end_headers()
        if "stdout=1" not in self.path or container.process is None or container.process.stdout is None:
            return
        container.read = True
        with container.process.stdout as stdout, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for line in stdout:
                self.wfile.write(struct.pack(">BxxxL", 1, len(line)) + line)
                self.wfile.flush()
