"""An index and a session that doesn't wait between tries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuimg.update.session import Session
from tests.unit.update.index_server import IndexServer


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with IndexServer() as server:
        yield server


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session(cache_dir=tmp_path / "cache", backoff_s=0) as session:
        yield session
