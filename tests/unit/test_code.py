"""Which of a user's files an image gets, and as what: real folders, real archives."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from gpuimg.code import collect_code
from gpuimg.engine.archive import tar_chunks
from gpuimg.errors import RequestError
from gpuimg.model import Context
from gpuimg.write import write_context


def project(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_without_a_dockerignore_what_no_image_needs_stays_out(tmp_path: Path) -> None:
    names = ("train.py", "model/bert.py", ".git/config", "model/__pycache__/bert.pyc", ".venv/bin/python", ".env")
    for name in names:
        project(tmp_path, **{name: "x"})
    copy = collect_code(tmp_path, target="/app")
    assert copy.files == ("model/bert.py", "train.py")
    assert copy.size_bytes == 2


def test_a_dockerignore_is_read_as_docker_reads_it(tmp_path: Path) -> None:
    """The last pattern that fits decides, and what is left out of a folder can come back."""
    for name in ("train.py", "data/a.bin", "data/keep.txt", ".env", "notes.md"):
        project(tmp_path, **{name: "x"})
    (tmp_path / ".dockerignore").write_text("# no data\ndata\n!data/keep.txt\n*.md\n", encoding="utf-8")
    assert collect_code(tmp_path, target="/app").files == (".dockerignore", ".env", "data/keep.txt", "train.py")


def test_executables_and_links_stay_what_they_are_and_the_group_may_write(tmp_path: Path) -> None:
    """Any user of group 0 runs the image, so the group may do what the owner may."""
    source = project(tmp_path / "project", **{"run.sh": "#!/bin/sh", "model/bert.py": "x"})
    (source / "run.sh").chmod(0o700)
    (source / "latest.py").symlink_to("model/bert.py")
    copy = collect_code(source, target="/app")
    code = {f"code/0/{name}": source / name for name in copy.files}
    with tarfile.open(fileobj=io.BytesIO(b"".join(tar_chunks({"Dockerfile": b"FROM x"}, None, code)))) as archive:
        modes = {entry.name: oct(entry.mode) for entry in archive}
        assert archive.getmember("code/0/latest.py").linkname == "model/bert.py"
    assert modes["code/0/run.sh"] == "0o775"
    assert modes["code/0/model/bert.py"] == "0o664"
    assert modes["code/0/model"] == "0o775"
    assert modes["Dockerfile"] == "0o644"


def test_a_written_context_has_copies_of_the_code(tmp_path: Path) -> None:
    """A link to the file itself would change under the context when the user goes on to edit."""
    source = project(tmp_path / "project", **{"train.py": "first"})
    context = Context(
        files={"Dockerfile": b"FROM x"}, tags=(), plan_digest="", code={"code/0/train.py": source / "train.py"}
    )
    write_context(context, tmp_path / "context")
    (source / "train.py").write_text("second", encoding="utf-8")
    assert (tmp_path / "context/code/0/train.py").read_text(encoding="utf-8") == "first"
    write_context(Context(files={"Dockerfile": b"FROM x"}, tags=(), plan_digest=""), tmp_path / "context")
    assert not (tmp_path / "context/code").exists()


def test_a_single_file_has_its_own_path(tmp_path: Path) -> None:
    copy = collect_code(project(tmp_path, **{"train.py": "x"}) / "train.py", target="/app/main.py")
    assert copy.files == ("",)


def test_what_is_no_file_stays_out(tmp_path: Path) -> None:
    project(tmp_path, **{"train.py": "x"})
    os.mkfifo(tmp_path / "pipe")
    assert collect_code(tmp_path, target="/app").files == ("train.py",)


@pytest.mark.parametrize(
    ("name", "target", "problem"),
    [
        ("missing", "/app", "there is no"),
        ("empty", "/app", "there is nothing to copy"),
        (".", "app", "is no path for an image"),
        (".", "/app/../etc", "is no path for an image"),
        (".", "/usr/lib", "belongs to the system"),
    ],
)
def test_what_can_not_be_copied_is_said(tmp_path: Path, name: str, target: str, problem: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match=problem):
        collect_code(tmp_path / name, target=target)


def test_a_name_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.py")).write_text("x", encoding="utf-8")
    with pytest.raises(RequestError, match="not UTF-8"):
        collect_code(tmp_path, target="/app")
