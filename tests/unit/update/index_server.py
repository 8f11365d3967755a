"""A package index on this machine that imitates real ones, their gaps and their faults, with small real wheels."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import io
import json
import ssl
import threading
import zipfile
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import canonicalize_name

JSON = "application/vnd.pypi.simple.v1+json"

Fault = Callable[["Handler"], None]
"""Answers a request in place of the index."""


def make_wheel(
    filename: str,
    *,
    requires: Iterable[str] = (),
    name: str | None = None,
    version: str | None = None,
    version_py: str | None = None,
    padding_bytes: int = 0,
) -> bytes:
    """A wheel archive; `name` and `version` let its METADATA lie, `padding_bytes` stand before what is read of it."""
    project, release, *_ = filename.split("-")
    headers = [
        "Metadata-Version: 2.1",
        f"Name: {name or project}",
        f"Version: {version or release}",
        "Requires-Python: >=3.9",
        *(f"Requires-Dist: {text}" for text in requires),
    ]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{project}/lib/lib{project}.so"), bytes(padding_bytes))
        if version_py is not None:
            archive.writestr(f"{project}/version.py", version_py)
        archive.writestr(f"{project}-{release}.dist-info/METADATA", "\n".join([*headers, "", "A description.", ""]))
        archive.writestr(f"{project}-{release}.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    return content.getvalue()


def metadata_of(wheel: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA")))


@dataclass(kw_only=True)
class File:
    """One file of the index."""

    name: str
    content: bytes
    uploaded: str = "2025-01-29T16:19:12.120732Z"
    yanked: str | None = None
    announces_metadata: bool = True


@dataclass(kw_only=True)
class Habits:
    """How the index behaves."""

    html: bool = False
    serves_metadata: bool = True
    announces: tuple[str, ...] = ("core-metadata",)
    """The names under which the pages announce METADATA: PEP 714's, PEP 658's, both or none."""
    ranges: bool = True
    etags: bool = True
    sizes: bool = True
    login: str | None = None
    """``user:password`` that each request must carry."""


@dataclass(kw_only=True)
class Request:
    path: str
    headers: Mapping[str, str]


class IndexServer:
    """Serves until it is closed. `url` is that of the simple index; with `variant`, pages lie as on PyTorch's."""

    def __init__(self) -> None:
        self.habits = Habits()
        self.files: defaultdict[str, dict[str, File]] = defaultdict(dict)
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        """By the end of a path: each is used for one request, then the index answers again."""
        self.requests: list[Request] = []
        self._handler = type("BoundHandler", (Handler,), {"index": self})
        self._server = _Server(("127.0.0.1", 0), self._handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/simple"

    def add(self, name: str, content: bytes | None = None, *, variant: str = "", **options: Any) -> File:
        """Put a file on the page of its project; without `content`, a wheel that asks for nothing."""
        file = File(name=name, content=content if content is not None else make_wheel(name), **options)
        project = canonicalize_name(name.split("-", maxsplit=1)[0])
        self.files[f"{variant}/{project}".lstrip("/")][name] = file
        return file

    def paths(self, ending: str = "") -> list[str]:
        """What was asked for so far."""
        return [request.path for request in self.requests if request.path.endswith(ending)]

    @contextlib.contextmanager
    def behind_tls(self, context: ssl.SSLContext) -> Iterator[str]:
        """The same index at a second port, through TLS: its URL."""
        server = _Server(("127.0.0.1", 0), self._handler)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}/simple"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> IndexServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    index: IndexServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.index.requests.append(Request(path=path, headers=dict(self.headers.items())))
        for ending, faults in self.index.faults.items():
            if path.endswith(ending) and faults:
                faults.popleft()(self)
                return
        login = self.index.habits.login
        if login is not None and self.headers.get("Authorization") != _basic(login):
            self.reply(b"who are you?", status=401, content_type="text/plain")
            return
        match path.strip("/").split("/"):
            case ["simple", *page] if "/".join(page) in self.index.files:
                self._page("/".join(page))
            case ["files", *page, name]:
                self._file("/".join(page), name)
            case _:
                self.reply(b"<html><title>Not Found</title></html>", status=404, content_type="text/html")

    def reply(
        self, body: bytes, *, status: int = 200, content_type: str = JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _cacheable(self, body: bytes, content_type: str) -> None:
        """With an ETag, by which a client may ask whether what it has still holds."""
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if not self.index.habits.etags:
            self.reply(body, content_type=content_type)
        elif self.headers.get("If-None-Match") == etag:
            self.send_response(304)
            self.send_header("ETag", etag)
            self.end_headers()
        else:
            self.reply(body, content_type=content_type, headers={"ETag": etag})

    def _page(self, page: str) -> None:
        files = self.index.files[page].values()
        if self.index.habits.html or JSON not in self.headers.get("Accept", ""):
            self._cacheable(self._html(page, files).encode(), "text/html; charset=utf-8")
        else:
            rows = [self._row(page, file) for file in files]
            document = {"meta": {"api-version": "1.1"}, "name": page.rpartition("/")[2], "files": rows}
            self._cacheable(json.dumps(document).encode(), JSON)

    def _row(self, page: str, file: File) -> dict[str, object]:
        row: dict[str, object] = {
            "filename": file.name,
            "url": f"/files/{page}/{quote(file.name)}",
            "hashes": {"sha256": hashlib.sha256(file.content).hexdigest()},
            "yanked": file.yanked if file.yanked is not None else False,
        }
        if self.index.habits.sizes:
            row |= {"size": len(file.content), "upload-time": file.uploaded}
        if file.announces_metadata and file.name.endswith(".whl"):
            digest = {"sha256": hashlib.sha256(metadata_of(file.content)).hexdigest()}
            row |= dict.fromkeys(self.index.habits.announces, digest)
        return row

    def _html(self, page: str, files: Iterable[File]) -> str:
        """As PyTorch's index writes it: a ``+`` in a link is escaped, the hash stands behind the link."""
        lines = []
        for file in files:
            digest = hashlib.sha256(file.content).hexdigest()
            attributes = f'href="/files/{page}/{quote(file.name)}#sha256={digest}"'
            if file.announces_metadata and file.name.endswith(".whl"):
                meta = hashlib.sha256(metadata_of(file.content)).hexdigest()
                attributes += "".join(f' data-{name}="sha256={meta}"' for name in self.index.habits.announces)
            if file.yanked is not None:
                attributes += f' data-yanked="{html.escape(file.yanked)}"'
            lines.append(f"    <a {attributes}>{html.escape(file.name)}</a><br/>")
        body = "\n".join(lines)
        return f"<!DOCTYPE html>\n<html>\n  <body>\n    <h1>Links for {page}</h1>\n{body}\n  </body>\n</html>\n"

    def _file(self, page: str, name: str) -> None:
        file = self.index.files[page].get(name.removesuffix(".metadata"))
        if file is None or (name.endswith(".metadata") and not self.index.habits.serves_metadata):
            self.reply(b"no such file", status=404, content_type="text/plain")
        elif name.endswith(".metadata"):
            self._cacheable(metadata_of(file.content), "application/octet-stream")
        elif "Range" not in self.headers or not self.index.habits.ranges:
            self.reply(file.content, content_type="application/octet-stream")
        else:
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            part = file.content[int(first) : int(last) + 1]
            span = f"bytes {first}-{int(first) + len(part) - 1}/{len(file.content)}"
            self.reply(part, status=206, content_type="application/octet-stream", headers={"Content-Range": span})


def _basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


# --- faults ----------------------------------------------------------------------------------------------------------


def status(code: int, body: bytes = b"try later", **headers: str) -> Fault:
    return lambda handler: handler.reply(
        body,
        status=code,
        content_type="text/plain",
        headers={key.replace("_", "-"): value for key, value in headers.items()},
    )


def says(body: bytes, content_type: str = JSON) -> Fault:
    return lambda handler: handler.reply(body, content_type=content_type)


def redirect(url: str) -> Fault:
    return lambda handler: handler.reply(b"over there", status=302, headers={"Location": url})


def dropped(handler: Handler) -> None:
    """Announces a body and hangs up in the middle of it."""
    handler.send_response(200)
    handler.send_header("Content-Type", JSON)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b'{"meta": {"api-version": ')
    handler.close_connection = True


def unanswered(handler: Handler) -> None:
    """Hangs up without a word."""
    handler.close_connection = True


def endless(content_type: str = JSON) -> Fault:
    """A body without end, in chunks."""

    def fault(handler: Handler) -> None:
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        while True:
            handler.wfile.write(chunk)

    return fault


def huge(handler: Handler) -> None:
    """Announces a gigabyte, and sends it."""
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Content-Type", "application/octet-stream")
    handler.send_header("Content-Length", str(2**30))
    handler.end_headers()
    for _ in range(2**14):
        handler.wfile.write(bytes(2**16))


@dataclass
class Hanging:
    """Doesn't answer until it is let go."""

    reached: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, handler: Handler) -> None:
        handler.close_connection = True
        self.reached.set()
        self.let_go.wait()
