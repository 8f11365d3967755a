"""A context goes into a folder whole, over an earlier one, and over nothing that is not gpuimg's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpuimg.errors import RequestError
from gpuimg.model import Context
from gpuimg.write import require_folder, write_context


def context(**files: bytes) -> Context:
    named = {name.replace("__", "/"): content for name, content in files.items()}
    return Context(files=named, tags=("gpuimg:x",), plan_digest="sha256:0")


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_later_render_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "context"
    write_context(context(Dockerfile=b"one", layers__extras__x=b"gone"), folder)
    write_context(context(Dockerfile=b"two", layers__cuda__x=b"new"), folder)
    found = files_in(folder)
    found.pop(".gpuimg.json")
    assert found == {"Dockerfile": b"two", "layers/cuda/x": b"new"}
    assert not (folder / "layers" / "extras").exists()


def test_the_current_folder_and_a_link_to_one_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount point can't be renamed either: what is written to is the folder's inside."""
    monkeypatch.chdir(tmp_path)
    write_context(context(Dockerfile=b"one"), Path())
    write_context(context(Dockerfile=b"two"), Path())
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(tmp_path)
    write_context(context(Dockerfile=b"three"), link)
    assert (tmp_path / "Dockerfile").read_bytes() == b"three"
    assert link.is_symlink()


def test_files_that_gpuimg_did_not_write_are_never_touched(tmp_path: Path) -> None:
    write_context(context(Dockerfile=b"one"), tmp_path)
    (tmp_path / "train.py").write_text("mine")
    with pytest.raises(RequestError, match=r"holds files that gpuimg did not write, such as `train\.py`"):
        write_context(context(Dockerfile=b"two"), tmp_path)
    assert (tmp_path / "Dockerfile").read_bytes() == b"one"
    assert (tmp_path / "train.py").read_text() == "mine"


def test_every_user_of_the_image_may_read_what_is_copied_into_it(tmp_path: Path) -> None:
    """COPY keeps modes: under a strict umask pip could not read the constraints file in the image."""
    before = os.umask(0o077)
    try:
        write_context(context(layers__metadata__constraints=b"torch==2.6.0"), tmp_path / "context")
    finally:
        os.umask(before)
    assert (tmp_path / "context/layers/metadata/constraints").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("manifest", ["[]", "{", '{"files": 5}', "[" * 100_000])
def test_a_manifest_that_is_not_ours_is_refused(tmp_path: Path, manifest: str) -> None:
    (tmp_path / ".gpuimg.json").write_text(manifest)
    with pytest.raises(RequestError, match="is not what gpuimg wrote"):
        write_context(context(Dockerfile=b"one"), tmp_path)


def test_a_manifest_can_not_reach_out_of_its_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / ".gpuimg.json").write_text('{"files": ["../outside", "/etc/hostname"]}')
    write_context(context(Dockerfile=b"one"), folder)
    assert outside.read_text() == "mine"


def test_a_file_in_the_way_and_a_folder_that_can_not_be_made_are_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RequestError, match="is not a folder"):
        write_context(context(Dockerfile=b"one"), tmp_path / "file")
    with pytest.raises(RequestError, match="can't be written"):
        write_context(context(Dockerfile=b"one"), tmp_path / "file" / "below")


def test_where_no_file_can_be_written_is_said_before_the_file_is_made(tmp_path: Path) -> None:
    require_folder(tmp_path)
    require_folder(tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RequestError, match="is no folder"):
            require_folder(folder)
