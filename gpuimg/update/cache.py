"""What indexes said in earlier runs, on disk: pages that a server may confirm, and facts that can't change.

The cache saves time and nothing else: a disk that is full, a folder of another user or an entry that is broken costs
another request.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer with what its server recognises it by."""

    etag: str | None
    last_modified: str | None
    url: str
    content_type: str
    body: bytes

    @property
    def conditions(self) -> Mapping[str, str]:
        """The headers of a request that need only be answered if this no longer holds."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value is not None}


class Cache:
    """Pages and facts in `folder`, each whole or not there; threads and processes may share it. None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def page(self, url: str) -> Page | None:
        """The page that was kept for `url`."""
        content = self._read("pages", url)
        if content is None:
            return None
        head, _, body = content.partition(b"\n")
        try:
            fields = json.loads(head)
            whole = fields.pop("sha256") == hashlib.sha256(body).hexdigest()
            return Page(**fields, body=body) if whole else None
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def keep_page(self, url: str, page: Page) -> None:
        fields = {
            "etag": page.etag,
            "last_modified": page.last_modified,
            "url": page.url,
            "content_type": page.content_type,
            "sha256": hashlib.sha256(page.body).hexdigest(),
        }
        self._write("pages", url, json.dumps(fields).encode() + b"\n" + page.body)

    def facts(self, key: str) -> dict[str, Any] | None:
        """The facts that were kept for `key`."""
        try:
            row = json.loads(self._read("facts", key) or b"null")
        except ValueError:
            return None
        return row if isinstance(row, dict) else None

    def keep_facts(self, key: str, row: Mapping[str, Any]) -> None:
        self._write("facts", key, json.dumps(row).encode())

    def _read(self, kind: str, key: str) -> bytes | None:
        if self._folder is None:
            return None
        try:
            return self._place(self._folder, kind, key).read_bytes()
        except OSError:
            return None

    def _write(self, kind: str, key: str, content: bytes) -> None:
        if self._folder is None:
            return
        with contextlib.suppress(OSError):
            place = self._place(self._folder, kind, key)
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".new-", delete=False) as beside:
                beside.write(content)
            Path(beside.name).replace(place)

    @staticmethod
    def _place(folder: Path, kind: str, key: str) -> Path:
        """By a hash of the key: it may hold a password."""
        name = hashlib.sha256(key.encode()).hexdigest()
        return folder / kind / name[:2] / name
