"""A tool's own folder is made for the file that it looks for there; any other missing folder is a slip of the pen."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from gpuimg.cli import app


@pytest.mark.parametrize(
    ("form", "file"),
    [
        ("devcontainer", ".devcontainer/devcontainer.json"),
        ("devcontainer", ".devcontainer/gpu/devcontainer.json"),
        ("github", ".github/workflows/images.yml"),
    ],
)
def test_the_tools_own_folder_is_made(form: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert app.run(["export", "2.6-cu124", "--format", form, "-o", file]) == 0
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == [file]
    if form == "devcontainer":
        assert json.loads(Path(file).read_text(encoding="utf-8"))["image"]


@pytest.mark.parametrize(
    ("form", "file"),
    [
        ("devcontainer", "missing/gpu/.devcontainer/devcontainer.json"),
        ("devcontainer", "missing/devcontainer.json"),
        ("github", ".github/workflow/images.yml"),
        ("gitlab", ".github/workflows/images.yml"),
    ],
)
def test_another_folder_is_not(
    form: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert app.run(["export", "2.6-cu124", "--format", form, "-o", file]) == 2
    said = capsys.readouterr().err
    assert "there is no such folder" in said
    assert f"hint: `mkdir -p {Path(file).parent}` makes it" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_whoever_may_read_new_files_may_read_it(
    umask: int, mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = os.umask(umask)
    try:
        assert app.run(["export", "2.6-cu124", "--format", "compose", "-o", "compose.yaml"]) == 0
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("compose.yaml").stat().st_mode) == mode


def test_an_earlier_file_keeps_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("compose.yaml")
    file.touch()
    file.chmod(0o600)
    assert app.run(["export", "2.6-cu124", "--format", "compose", "-o", str(file)]) == 0
    assert file.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
