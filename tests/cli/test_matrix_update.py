"""``gpuimg matrix update`` as a user runs it, on indexes of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.update.index_server import Handler, IndexServer
from tests.unit.update.world import make_matrix, publish, publish_cu118

GPUIMG = Path(sys.executable).with_name("gpuimg")


@pytest.fixture
def indexes() -> Iterator[tuple[IndexServer, IndexServer]]:
    with IndexServer() as pypi, IndexServer() as pytorch:
        publish(pypi, "2.6.0")
        publish_cu118(pytorch, "2.6.0")
        yield pypi, pytorch


def command(folder: Path, indexes: tuple[IndexServer, IndexServer], *more: str) -> list[str]:
    pypi, pytorch = indexes
    urls = ["--index-url", pypi.url, "--torch-index-url", f"{pytorch.url}/{{variant}}"]
    return [str(GPUIMG), "matrix", "update", "--matrix-dir", str(folder), *urls, *more]


def environment(tmp_path: Path) -> dict[str, str]:
    proxies = {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}
    kept = {name: value for name, value in os.environ.items() if name not in proxies}
    return {**kept, "XDG_CACHE_HOME": str(tmp_path / "cache"), "UV_CACHE_DIR": str(tmp_path / "uv")}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_that_holds_no_matrix_is_refused(indexes: tuple[IndexServer, IndexServer], tmp_path: Path) -> None:
    folder = make_matrix(tmp_path / "matrices")
    (folder / "torch.yaml").write_text("schema: 1\nstacks: []\n", encoding="utf-8")

    def update(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(folder, indexes, *more), capture_output=True, text=True, check=False, env=environment(tmp_path)
        )

    refused = update()
    assert refused.returncode == 2, "an empty table is no matrix"
    (folder / "torch.yaml").unlink()
    refused = update()
    assert refused.returncode == 2
    assert "is no matrix: it has no torch.yaml" in refused.stderr


def test_the_difference_is_shown_and_written_only_when_asked(
    indexes: tuple[IndexServer, IndexServer], tmp_path: Path
) -> None:
    folder = make_matrix(tmp_path / "matrices")
    first = subprocess.run(
        [sys.executable, "-c", _FIRST, str(folder), indexes[0].url, f"{indexes[1].url}/{{variant}}"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(tmp_path),
    )
    assert first.returncode == 0, first.stderr
    before = snapshot(folder)
    publish(indexes[0], "2.7.0")
    shown = subprocess.run(
        command(folder, indexes), capture_output=True, text=True, check=False, env=environment(tmp_path)
    )
    assert shown.returncode == 0, shown.stderr
    assert '+- name: "2.7.0-cu124"' in shown.stdout
    assert "new file: wheels/2.7.0-cu124.yaml" in shown.stdout
    assert "`gpuimg matrix update --write` writes them" in shown.stderr
    assert snapshot(folder) == before
    written = subprocess.run(
        command(folder, indexes, "--write"), capture_output=True, text=True, check=False, env=environment(tmp_path)
    )
    assert written.returncode == 0, written.stderr
    assert written.stdout == shown.stdout
    assert "wheels/2.7.0-cu124.yaml" in snapshot(folder)
    again = subprocess.run(
        command(folder, indexes, "--write"), capture_output=True, text=True, check=False, env=environment(tmp_path)
    )
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing changes" in again.stderr


_FIRST = """
import sys
from datetime import date
from pathlib import Path
from gpuimg.update.run import Request, update_matrix, write_update

folder, pypi, pytorch = sys.argv[1:]
request = Request(folder=Path(folder), pypi_url=pypi, pytorch_url=pytorch, today=date(2026, 11, 24))
write_update(update_matrix(request, cache_dir=None, progress=lambda *_: None), Path(folder))
"""


def test_ctrl_c_ends_it_at_once_and_leaves_the_matrix_as_it_was(
    indexes: tuple[IndexServer, IndexServer], tmp_path: Path
) -> None:
    folder = make_matrix(tmp_path / "matrices")
    subprocess.run(
        [sys.executable, "-c", _FIRST, str(folder), indexes[0].url, f"{indexes[1].url}/{{variant}}"],
        check=True,
        env=environment(tmp_path),
    )
    before = snapshot(folder)
    publish(indexes[0], "2.7.0")
    asked = []

    def silent(handler: Handler) -> None:
        asked.append(handler.path)
        time.sleep(30)

    indexes[0].faults["/torch/"].append(silent)
    process = subprocess.Popen(
        command(folder, indexes, "--write"), stderr=subprocess.PIPE, text=True, env=environment(tmp_path)
    )
    while not asked:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in stderr
    assert snapshot(folder) == before
