"""The project file of a folder is in it or above it, and no further away than the repository or home."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuimg.errors import RequestError
from gpuimg.project.find import find_project_file

TABLE = "[project]\nname = 'x'\n[tool.gpuimg]\nschema = 1\n"


def place(root: Path, *parts: str) -> Path:
    folder = root.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_the_nearest_above_is_found(tmp_path: Path) -> None:
    inner = place(tmp_path, "repository", "a", "b")
    (tmp_path / "repository" / ".git").mkdir()
    (tmp_path / "repository" / "gpuimg.yaml").touch()
    assert find_project_file(inner, environ={}) == tmp_path / "repository" / "gpuimg.yaml"
    (inner.parent / "pyproject.toml").write_text(TABLE)
    assert find_project_file(inner, environ={}) == inner.parent / "pyproject.toml"
    (inner / "gpuimg.yaml").touch()
    assert find_project_file(inner, environ={}) == inner / "gpuimg.yaml"


def test_nothing_above_the_repository_is_read(tmp_path: Path) -> None:
    inner = place(tmp_path, "repository", "a")
    (tmp_path / "repository" / ".git").write_text("gitdir: elsewhere")  # as in a worktree
    (tmp_path / "gpuimg.yaml").touch()
    assert find_project_file(inner, environ={"HOME": str(tmp_path)}) is None


def test_home_is_the_last_place(tmp_path: Path) -> None:
    inner = place(tmp_path, "home", "a")
    (tmp_path / "home" / "gpuimg.yaml").touch()
    assert find_project_file(inner, environ={"HOME": str(tmp_path / "home")}) == tmp_path / "home" / "gpuimg.yaml"
    (tmp_path / "home" / "gpuimg.yaml").rename(tmp_path / "gpuimg.yaml")
    assert find_project_file(inner, environ={"HOME": str(tmp_path / "home")}) is None


def test_outside_of_both_only_the_folder_itself_counts(tmp_path: Path) -> None:
    """Below /tmp anyone may write a file above."""
    inner = place(tmp_path, "a")
    (tmp_path / "gpuimg.yaml").touch()
    assert find_project_file(inner, environ={"HOME": "/nonexistent"}) is None
    assert find_project_file(tmp_path, environ={}) == tmp_path / "gpuimg.yaml"


def test_a_pyproject_without_our_table_is_none(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n# [tool.gpuimg]\n[tool.gpuimgs]\n")
    assert find_project_file(tmp_path, environ={}) is None
    (tmp_path / "pyproject.toml").write_text('[ tool . "gpuimg" . images.train ]\n')
    assert find_project_file(tmp_path, environ={}) == tmp_path / "pyproject.toml"


def test_two_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "gpuimg.yaml").touch()
    (tmp_path / "pyproject.toml").write_text(TABLE)
    with pytest.raises(RequestError, match=r"has both gpuimg\.yaml and \[tool\.gpuimg\] in pyproject\.toml"):
        find_project_file(tmp_path, environ={})


def test_a_misspelt_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gpuimg.yml").touch()
    with pytest.raises(RequestError, match=r"a project file is called gpuimg\.yaml"):
        find_project_file(tmp_path, environ={})
