"""The zipapp: the same bytes every time, and a program that runs without gpuimg."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gpuimg.paths import SMOKE_GUEST
from gpuimg.smoke import zipapp
from gpuimg.smoke.zipapp import build_guest


def test_same_sources_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the clock, nor the order of the file system, nor modes, nor compiled files show."""
    first = build_guest()
    copy = tmp_path / "guest"
    shutil.copytree(SMOKE_GUEST, copy)
    for path in sorted(copy.rglob("*.py"), reverse=True):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    (copy / "__pycache__").mkdir(exist_ok=True)
    (copy / "__pycache__" / "cli.py").write_bytes(b"stale")
    monkeypatch.setattr(zipapp, "SMOKE_GUEST", copy)
    assert build_guest() == first


def test_archive_holds_every_module_once(tmp_path: Path) -> None:
    (tmp_path / "smoke.pyz").write_bytes(build_guest())
    with zipfile.ZipFile(tmp_path / "smoke.pyz") as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}
    modules = {path.relative_to(SMOKE_GUEST).as_posix() for path in SMOKE_GUEST.rglob("*.py")}
    assert names[0] == "__main__.py"
    assert sorted(names[1:]) == sorted(f"gpuimg_smoke/{module}" for module in modules)


def test_zipapp_runs_alone(tmp_path: Path) -> None:
    """In an isolated Python, from another folder: nothing of gpuimg's own is within reach."""
    (tmp_path / "smoke.pyz").write_bytes(build_guest())
    (tmp_path / "config.json").write_text('{"only": ["stak.torch"]}')
    command = [sys.executable, "-I", "smoke.pyz", "--config", "config.json"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr == ("error: only: `stak.torch` is no check, group or glob; the nearest is `stack.torch`\n")
