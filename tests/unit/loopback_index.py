"""A package index on loopback with wheels and sdists that are made on the spot: real files with real hashes."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

JSON = "application/vnd.pypi.simple.v1+json"


class LoopbackIndex:
    """The index, from `with` to the end of it. Files can be added at any time; `asked` are the paths asked for."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []
        self.with_hashes = True
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/simple"

    def wheel(
        self, name: str, version: str, *requires: str, tag: str = "py3-none-any", requires_python: str | None = None
    ) -> str:
        """Add a wheel and give its SHA-256."""
        stem = f"{name.replace('-', '_')}-{version}"
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
        lines += [f"Requires-Dist: {text}\n" for text in requires]
        lines += [f"Requires-Python: {requires_python}\n"] if requires_python else []
        members = {
            f"{name.replace('-', '_')}.py": b"",
            f"{stem}.dist-info/METADATA": "".join(lines).encode(),
            f"{stem}.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        }
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for member, data in members.items():
                archive.writestr(member, data)
            record = "".join(f"{member},sha256={_urlsafe(data)},{len(data)}\n" for member, data in members.items())
            archive.writestr(f"{stem}.dist-info/RECORD", record + f"{stem}.dist-info/RECORD,,\n")
        return self._add(name, f"{stem}-{tag}.whl", content.getvalue())

    def sdist(self, name: str, version: str, setup: str = "raise SystemExit('nothing here may be run')\n") -> str:
        """Add an sdist whose setup.py is `setup`, and give its SHA-256."""
        stem = f"{name.replace('-', '_')}-{version}"
        members = {
            "setup.py": setup,
            "PKG-INFO": f"Metadata-Version: 1.0\nName: {name}\nVersion: {version}\n",
            f"{name.replace('-', '_')}.py": f"VERSION = '{version}'\n",
        }
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as archive:
            for member, text in members.items():
                info = tarfile.TarInfo(f"{stem}/{member}")
                info.size = len(text.encode())
                archive.addfile(info, io.BytesIO(text.encode()))
        return self._add(name, f"{stem}.tar.gz", content.getvalue())

    def _add(self, name: str, filename: str, content: bytes) -> str:
        self.files.setdefault(name, {})[filename] = content
        return hashlib.sha256(content).hexdigest()

    def __enter__(self) -> LoopbackIndex:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, parts: Sequence[str]) -> tuple[str, bytes] | None:
        """Content type and body for a path; None: there is no such thing."""
        match parts:
            case ["simple", project] if project in self.files:
                entries = [
                    {
                        "filename": filename,
                        "url": f"/files/{project}/{filename}",
                        "hashes": {"sha256": hashlib.sha256(content).hexdigest()} if self.with_hashes else {},
                        "size": len(content),
                    }
                    for filename, content in self.files[project].items()
                ]
                return JSON, json.dumps({"meta": {"api-version": "1.1"}, "name": project, "files": entries}).encode()
            case ["files", project, filename] if filename in self.files.get(project, {}):
                return "application/octet-stream", self.files[project][filename]
        return None


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _handler(index: LoopbackIndex) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            answer = index.answer(self.path.strip("/").split("/"))
            kind, body = answer or ("text/plain", b"")
            self.send_response(200 if answer else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: uv says what went wrong."""

    return Handler
