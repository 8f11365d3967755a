"""``gpuimg matrix export``: what it writes, and where it refuses to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpuimg.cli import app
from gpuimg.facts import Matrix
from gpuimg.matrix.document import matrix_as_json
from gpuimg.matrix.page import render_page


def test_a_file_is_written_whole(matrix: Matrix, tmp_path: Path) -> None:
    file = tmp_path / "matrix.html"
    file.write_text("an earlier page", encoding="utf-8")
    assert app.run(["matrix", "export", "--format", "html", "-o", str(file)]) == 0
    assert file.read_text(encoding="utf-8") == render_page(matrix)
    assert [path.name for path in tmp_path.iterdir()] == ["matrix.html"]


@pytest.mark.parametrize("arguments", [[], ["-o", "-"]])
def test_stdout_has_the_document(arguments: list[str], matrix: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["matrix", "export", "--format", "json", *arguments]) == 0
    assert json.loads(capsys.readouterr().out) == matrix_as_json(matrix)


@pytest.mark.parametrize(
    ("name", "said"),
    [(".", "that is no file"), ("missing/matrix.html", "there is no such folder"), ("x" * 300, "")],
)
def test_what_cannot_be_written_is_said(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["matrix", "export", "--format", "html", "-o", str(tmp_path / name)]) == 2
    errors = capsys.readouterr().err
    assert "can't be written to" in errors
    assert said in errors
    assert not list(tmp_path.iterdir())


def test_an_overlay_is_in_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gpus.yaml").write_text(
        'schema: 1\nchips:\n- compute_capability: "9.0"\n  architecture: Ours & theirs\n  min_driver: unknown\n'
        "  last_driver: null\n  sources: &here\n  - fields: [architecture, min_driver, last_driver]\n"
        "    source: here\n    confidence: stated\n"
        'gpus:\n- name: "<b>GPU</b>"\n  compute_capability: "9.0"\n  sources:\n'
        "  - fields: [compute_capability]\n    source: here\n    confidence: stated\n",
        encoding="utf-8",
    )
    assert app.run(["matrix", "export", "--format", "html", "--matrix-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "Ours &amp; theirs" in out
    assert "<b>GPU</b>" not in out
    assert "&lt;b&gt;GPU&lt;/b&gt;" in out
