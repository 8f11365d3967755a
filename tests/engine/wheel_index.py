"""A package index on this machine, which fetches each wheel once and serves it to as many builds as like.

Wheels lie in a cache folder by their SHA-256. The closed wheel sets of stacks are pinned: of a project in one of them
only the pinned wheels are offered. Any other project that a build asks for (pip, uv) is passed on from the installer's
own index and cached in the same way.

``python -m tests.engine.wheel_index [--bind ADDRESS] [--python V] SPEC...`` serves stacks until it is interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import html
import json
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import docker
import requests
from docker.errors import NotFound
from packaging.utils import canonicalize_name
from pypi_simple import NoSuchProjectError, PyPISimple

from gpuimg.facts import Wheel, WheelSet
from gpuimg.matrix import load_matrix, load_wheels
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.versions import Platform, PythonVersion

_DOWNLOADS: Final = 4
_CHUNK_BYTES: Final = 1 << 20
_TIMEOUT_S: Final = 60
_TRIES: Final = 3
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_LOOPBACK: Final = "127.0.0.1"
_JSON: Final = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A wheel that can be had: from the cache, or from `url`."""

    name: str
    sha256: str
    url: str | None = None
    requires_python: str | None = None


def default_cache() -> Path:
    """``GPUIMG_WHEEL_CACHE``, else a folder in the user's cache."""
    chosen = os.environ.get("GPUIMG_WHEEL_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "gpuimg" / "wheels"


class _Upstream:
    """The index that installers use by default on this machine (``PIP_INDEX_URL`` where set)."""

    def __init__(self) -> None:
        self._session = requests.Session()
        # requests doesn't know the variable that Python and uv go by
        if "REQUESTS_CA_BUNDLE" not in os.environ and "SSL_CERT_FILE" in os.environ:
            self._session.verify = os.environ["SSL_CERT_FILE"]
        endpoint = os.environ.get("PIP_INDEX_URL")
        self._client = PyPISimple(endpoint, session=self._session) if endpoint else PyPISimple(session=self._session)
        self._pages: dict[str, tuple[_File, ...]] = {}
        self._lock = threading.Lock()

    def files(self, project: str) -> tuple[_File, ...]:
        """All wheels of a project; empty where there is no such project."""
        with self._lock:
            if project not in self._pages:
                try:
                    page = self._client.get_project_page(project, timeout=_TIMEOUT_S)
                except NoSuchProjectError:
                    return ()
                self._pages[project] = tuple(
                    _File(
                        name=package.filename,
                        sha256=package.digests["sha256"],
                        url=package.url,
                        requires_python=package.requires_python,
                    )
                    for package in page.packages
                    if package.package_type == "wheel" and not package.is_yanked and "sha256" in package.digests
                )
            return self._pages[project]

    def download(self, url: str) -> Iterator[bytes]:
        with self._session.get(url, stream=True, timeout=_TIMEOUT_S) as response:
            response.raise_for_status()
            yield from response.iter_content(_CHUNK_BYTES)

    def close(self) -> None:
        self._session.close()


class _Cache:
    """Wheels by hash: ``<folder>/<sha256>/<file name>``. A file that is there is whole and has that hash."""

    def __init__(self, folder: Path, upstream: _Upstream) -> None:
        self._folder = folder
        self._upstream = upstream
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, sha256: str) -> Path | None:
        return next(iter(sorted((self._folder / sha256).glob("*.whl"))), None)

    def get(self, file: _File) -> Path:
        """The file, downloaded where it isn't here yet; two who ask at once share one download."""
        with self._locks[file.sha256]:
            found = self.find(file.sha256)
            if found is not None:
                return found
            if file.url is None:
                raise OSError(f"{file.name} is neither in the cache nor on the index")
            for _ in range(_TRIES - 1):
                with contextlib.suppress(OSError):
                    return self._fetch(file, file.url)
            return self._fetch(file, file.url)

    def _fetch(self, file: _File, url: str) -> Path:
        digest = hashlib.sha256()
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".part")
        part = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as output:
                for chunk in self._upstream.download(url):
                    digest.update(chunk)
                    output.write(chunk)
            if digest.hexdigest() != file.sha256:
                raise OSError(f"{file.name} has SHA-256 {digest.hexdigest()}, expected {file.sha256}")
            target = self._folder / file.sha256 / file.name
            target.parent.mkdir(exist_ok=True)
            part.chmod(0o644)
            return part.replace(target)
        finally:
            part.unlink(missing_ok=True)


class WheelIndex:
    """The index, from `with` to the end of it. `url` is what ``--index-url`` takes.

    Raises OSError where `address` can't be bound.
    """

    def __init__(self, *, address: str = _LOOPBACK, port: int = 0, cache: Path | None = None) -> None:
        self._upstream = _Upstream()
        self._cache = _Cache(cache or default_cache(), self._upstream)
        self._pinned: dict[str, set[str]] = {}
        try:
            self._server = _Server((address, port), self)
        except OSError:
            self._upstream.close()
            raise
        self._thread = threading.Thread(target=self._server.serve_forever, name="wheel-index", daemon=True)

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/simple/"

    @property
    def host(self) -> str:
        """For pip's ``--trusted-host``, since this is plain HTTP."""
        return str(self._server.server_address[0])

    def __enter__(self) -> WheelIndex:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.stop()
        self._thread.join()
        self._upstream.close()

    def add(self, wheels: WheelSet) -> None:
        """Pin a stack's wheels and fetch those that aren't here yet."""
        rows = (*wheels.cuda, *wheels.torch, *wheels.toolkit)
        for row in rows:
            if row.sha256 is None:
                raise ValueError(f"{row.name} {row.version} has no hash, so no index here can be trusted to serve it")
            self._pinned.setdefault(canonicalize_name(row.name), set()).add(row.sha256)
        with ThreadPoolExecutor(_DOWNLOADS) as pool:
            for _ in pool.map(self._fetch, rows):
                pass

    def allow(self, wheels: Iterable[Wheel]) -> None:
        """Offer these too, where a stack's pins have left their projects nothing else."""
        for row in wheels:
            name = canonicalize_name(row.name)
            if row.sha256 is not None and name in self._pinned:
                self._pinned[name].add(row.sha256)

    def _fetch(self, wheel: Wheel) -> Path:
        assert wheel.sha256 is not None
        cached = self._cache.find(wheel.sha256)
        return cached or self.get(canonicalize_name(wheel.name), wheel.sha256)

    def projects(self) -> Iterable[str]:
        return sorted(self._pinned)

    def files(self, project: str) -> tuple[_File, ...]:
        """What the index offers of a project."""
        hashes = self._pinned.get(project)
        if hashes is None:
            return self._upstream.files(project)
        cached = {sha256: path for sha256 in hashes if (path := self._cache.find(sha256))}
        offered = [_File(name=path.name, sha256=sha256) for sha256, path in cached.items()]
        if missing := hashes - cached.keys():
            offered += [file for file in self._upstream.files(project) if file.sha256 in missing]
        return tuple(sorted(offered, key=lambda file: file.name))

    def cached(self, sha256: str) -> Path | None:
        return self._cache.find(sha256)

    def get(self, project: str, sha256: str) -> Path:
        """The wheel of a project with this hash. Raises LookupError or OSError."""
        for file in self.files(project):
            if file.sha256 == sha256:
                return self._cache.get(file)
        raise LookupError(f"the index has no wheel of {project} with SHA-256 {sha256}")


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], index: WheelIndex) -> None:
        self.index = index
        self._live: set[Any] = set()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[Any, Any]:
        connection, peer = super().get_request()
        self._live.add(connection)
        return connection, peer

    def shutdown_request(self, request: Any) -> None:
        self._live.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """An installer that hangs up early is no error of ours."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """End also the connections that installers keep open."""
        self.shutdown()
        for connection in tuple(self._live):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    """``/simple/``, ``/simple/<project>/``, ``/files/<project>/<sha256>/<file>`` and the same with ``.metadata``."""

    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 120

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: what went wrong is in the installer's output."""

    def _answer(self) -> None:
        try:
            match self.path.partition("?")[0].strip("/").split("/"):
                case ["simple"]:
                    self._send_projects()
                case ["simple", project]:
                    self._send_project(canonicalize_name(project))
                case ["files", project, sha256, name] if _SHA256.fullmatch(sha256):
                    self._send_file(self.server.index.get(project, sha256), metadata=name.endswith(".metadata"))
                case _:
                    self._send(b"not found\n", "text/plain", status=HTTPStatus.NOT_FOUND)
        except LookupError as error:
            self._send(f"{error}\n".encode(), "text/plain", status=HTTPStatus.NOT_FOUND)
        except (ConnectionError, TimeoutError):
            raise  # the installer hung up
        except OSError as error:
            self._send(f"upstream: {error}\n".encode(), "text/plain", status=HTTPStatus.BAD_GATEWAY)

    def _send_projects(self) -> None:
        names = self.server.index.projects()
        if _JSON in self.headers.get("Accept", ""):
            self._send_json({"meta": {"api-version": "1.0"}, "projects": [{"name": name} for name in names]})
        else:
            self._send_html(f'<a href="{name}/">{name}</a>' for name in names)

    def _send_project(self, project: str) -> None:
        files = self.server.index.files(project)
        if not files:
            raise LookupError(f"no project {project}")
        entries = [self._entry(project, file) for file in files]
        if _JSON in self.headers.get("Accept", ""):
            self._send_json({"meta": {"api-version": "1.0"}, "name": project, "files": entries})
        else:
            self._send_html(_anchor(entry) for entry in entries)

    def _entry(self, project: str, file: _File) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "filename": file.name,
            "url": f"/files/{project}/{file.sha256}/{file.name}",
            "hashes": {"sha256": file.sha256},
        }
        if file.requires_python:
            entry["requires-python"] = file.requires_python
        if self.server.index.cached(file.sha256):
            entry["core-metadata"] = True
        return entry

    def _send_json(self, document: dict[str, Any]) -> None:
        self._send(json.dumps(document).encode(), _JSON)

    def _send_html(self, anchors: Iterable[str]) -> None:
        self._send("<br>\n".join(["<!DOCTYPE html><title>wheels</title>", *anchors, ""]).encode(), "text/html")

    def _send(self, body: bytes, kind: str, *, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _send_file(self, path: Path, *, metadata: bool) -> None:
        if metadata:
            self._send(_metadata(path), "text/plain; charset=utf-8")
            return
        with path.open("rb") as file:
            size = path.stat().st_size
            span = _span(self.headers.get("Range"), size)
            if span is None:
                self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start, stop = span
            partial = self.headers.get("Range") is not None
            self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(stop - start))
            if partial:
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            self.end_headers()
            if self.command == "GET" and stop > start:
                self.connection.sendfile(file, offset=start, count=stop - start)


def _anchor(entry: dict[str, Any]) -> str:
    url = f"{entry['url']}#sha256={entry['hashes']['sha256']}"
    extra = ' data-core-metadata="true"' if "core-metadata" in entry else ""
    if "requires-python" in entry:
        extra += f' data-requires-python="{html.escape(entry["requires-python"])}"'
    return f'<a href="{html.escape(url)}"{extra}>{html.escape(entry["filename"])}</a>'


def _span(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and stop of the one range that is asked for; None where it lies outside.

    >>> _span(None, 10), _span("bytes=2-4", 10), _span("bytes=-3", 10), _span("bytes=8-", 10), _span("bytes=10-", 10)
    ((0, 10), (2, 5), (7, 10), (8, 10), None)
    """
    if header is None:
        return 0, size
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header)
    if match is None or match[0] == "bytes=-":
        return None
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
    return (start, stop) if start < stop else None


def _metadata(wheel: Path) -> bytes:
    """The wheel's METADATA, which installers then needn't fetch the wheel for (PEP 658)."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        return archive.read(name)


def open_index(api: docker.APIClient) -> WheelIndex:
    """An index where containers of a local engine reach it: at the gateway of their default network.

    Where that address can't be bound (the engine is on another machine, or in a virtual one), it is on loopback, which
    builds on the host's network reach.
    """
    try:
        return WheelIndex(address=_gateway(api) or _LOOPBACK)
    except OSError:
        return WheelIndex()


def build_network(index: WheelIndex) -> str | None:
    """The network that a build needs to reach the index: ``host``; None: any will do."""
    return "host" if index.host == _LOOPBACK else None


def _gateway(api: docker.APIClient) -> str | None:
    for name in ("bridge", "podman"):
        with contextlib.suppress(NotFound):
            configs = api.inspect_network(name)["IPAM"]["Config"] or ()
            return next((config["Gateway"] for config in configs if "." in config.get("Gateway", "")), None)
    return None


def stack_wheels(
    spec: str, *, python: PythonVersion | None = None, platform: Platform = Platform.AMD64
) -> tuple[WheelSet, PythonVersion]:
    """The closed wheel set of a spec, and the Python that it is for (by default the oldest one of the spec's bases)."""
    matrix = load_matrix()
    resolution = resolve(parse_spec(spec), matrix)
    chosen = python or resolution.spec.python or matrix.bases[0].python
    return load_wheels(resolution.stack.name, platform, chosen), chosen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", nargs="+", metavar="SPEC")
    parser.add_argument("--bind", default=_LOOPBACK, metavar="ADDRESS", help="the engine's bridge gateway, for builds")
    parser.add_argument("--port", default=0, type=int)
    parser.add_argument("--python", type=PythonVersion.parse, metavar="V")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with WheelIndex(address=options.bind, port=options.port) as index:
        for spec in options.specs:
            wheels, _ = stack_wheels(spec, python=options.python)
            index.add(wheels)
        sys.stdout.write(f"{index.url}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
