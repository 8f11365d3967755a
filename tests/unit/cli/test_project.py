"""Whether a command is about a project, and about which of its images."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuimg.cli.project import select_among, select_images, the_only_one
from gpuimg.errors import RequestError
from tests.unit.terminals import console

TWO = "schema: 1\nname: bert\nspec: 2.6-cu124\nimages:\n  train: {}\n  serve: {flavor: serve}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a project."""
    (tmp_path / "gpuimg.yaml").write_text(TWO, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def selected(*names: str, file: Path | None = None) -> tuple[str, ...] | None:
    out, _ = console(tty=False)
    found = select_images(names, out, file=file)
    return None if found is None else tuple(image.name for image in found.images)


def among(*names: str, file: Path | None = None) -> tuple[str, ...] | None:
    out, _ = console(tty=False)
    found = select_among(names, out, file=file)
    return None if found is None else tuple(image.name for image in found.images)


def test_without_a_name_all_images_are_meant(folder: Path) -> None:
    assert selected() == among() == ("train", "serve")


def test_names_choose_in_their_order_and_once(folder: Path) -> None:
    assert selected("serve", "train", "serve") == among("serve", "train", "serve") == ("serve", "train")


def test_specs_leave_the_project_aside_and_that_is_said(folder: Path) -> None:
    out, stream = console(tty=False)
    assert select_images(["2.6-cu124"], out, file=None) is None
    assert stream.getvalue() == "notice: 2.6-cu124 was named: gpuimg.yaml is left aside, with all that it adds\n"


def test_a_spec_needs_no_project_file_that_holds(folder: Path) -> None:
    (folder / "gpuimg.yaml").write_text("- broken", encoding="utf-8")
    assert selected("2.6-cu124") is None
    (folder / "pyproject.toml").write_text("[tool.gpuimg]\n", encoding="utf-8")
    assert selected("2.6-cu124") is None


def test_where_there_is_no_project_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out, stream = console(tty=False)
    assert select_images(["2.6-cu124"], out, file=None) is select_images([], out, file=None) is None
    assert select_images(["pytorch"], out, file=None) is select_among(["debian"], out, file=None) is None
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("names", "hint"), [(["trian"], "did you mean `train`?"), (["train", "2.6"], "one after")])
def test_a_name_that_no_image_has_is_refused(folder: Path, names: list[str], hint: str) -> None:
    with pytest.raises(RequestError, match=r"gpuimg\.yaml has no image `.*`; it has train, serve") as caught:
        selected(*names)
    assert hint in caught.value.hints[0]


@pytest.mark.parametrize("name", ["debian", "debian:12", "registry.example.com/train", "2.6-cu124", "train:latest"])
def test_a_command_that_takes_any_image_takes_others_too(folder: Path, name: str) -> None:
    assert among(name) is None
    assert among("train", name) is None


def test_a_file_that_is_named_is_the_project(folder: Path) -> None:
    file = folder / "other.yaml"
    file.write_text("schema: 1\nname: glue\nspec: 2.6-cu124\n", encoding="utf-8")
    assert selected(file=file) == among(file=file) == ("glue",)
    with pytest.raises(RequestError, match=r"other\.yaml has no image `debian`"):
        among("debian", file=file)


def test_a_command_for_one_image_wants_one_named(folder: Path) -> None:
    out, _ = console(tty=False)
    found = select_images([], out, file=None)
    assert found is not None
    with pytest.raises(RequestError, match=r"gpuimg\.yaml has several images: train, serve"):
        the_only_one(found)
