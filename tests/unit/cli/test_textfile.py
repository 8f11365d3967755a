"""A tool's own folder is made for the file that it looks for there; any other missing folder is a slip of the pen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpuimg.cli import app


@pytest.mark.parametrize(
    ("form", "file"), [("devcontainer", ".devcontainer/devcontainer.json"), ("github", ".github/workflows/images.yml")]
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
        ("devcontainer", "missing/.devcontainer/devcontainer.json"),
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
    assert "there is no such folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
