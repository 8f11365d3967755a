"""Reading a file again gives what reading it first gave, and what doesn't hold is refused each time."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuimg.errors import MatrixError
from gpuimg.matrix import files, strict
from gpuimg.matrix.files import read_document
from gpuimg.paths import MATRICES, SCHEMAS

TRIM = (MATRICES / "trim.yaml").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of the test's own. Nothing is left in memory, so each `read` is that of a new command."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path / "cache" / "gpuimg" / "matrix"
    files._document.cache_clear()


def read(path: Path, *, schema: str = "trim") -> dict[str, object]:
    files._document.cache_clear()
    return read_document(path, schema=schema)


@contextlib.contextmanager
def nothing_is_checked() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict, "checked_document", lambda *_, **__: pytest.fail("was checked again"))
        yield


@pytest.mark.parametrize("path", sorted(MATRICES.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_of_our_files_reads_the_same_from_the_cache(path: Path, cache: Path) -> None:
    first = read(path, schema=path.stem)
    assert len(list(cache.iterdir())) == 1
    with nothing_is_checked():
        again = read(path, schema=path.stem)
    assert again == first
    assert again is not first


def test_a_copy_in_an_overlay_needs_no_check(tmp_path: Path) -> None:
    first = read(MATRICES / "trim.yaml")
    copy = tmp_path / "trim.yaml"
    copy.write_text(TRIM, encoding="utf-8")
    with nothing_is_checked():
        assert read(copy) == first


def test_a_changed_file_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "trim.yaml"
    path.write_text(TRIM, encoding="utf-8")
    first = read(path)
    path.write_text(TRIM.replace("schema: 1", "schema: 2"), encoding="utf-8")
    for _ in range(2):
        with pytest.raises(MatrixError, match=r"trim\.yaml: schema: "):
            read(path)
    path.write_text(TRIM, encoding="utf-8")
    assert read(path) == first


def test_a_changed_schema_checks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(MATRICES / "trim.yaml")
    shutil.copytree(SCHEMAS, tmp_path / "schema")
    schema = tmp_path / "schema" / "trim.schema.json"
    schema.write_text(schema.read_text(encoding="utf-8").replace('"const": 1', '"const": 2'), encoding="utf-8")
    monkeypatch.setattr(files, "SCHEMAS", tmp_path / "schema")
    with pytest.raises(MatrixError, match=r"trim\.yaml: schema: "):
        read(MATRICES / "trim.yaml")


def test_a_file_is_checked_by_the_schema_that_was_asked_for() -> None:
    read(MATRICES / "trim.yaml")
    with pytest.raises(MatrixError, match="unknown field `rules`"):
        read(MATRICES / "trim.yaml", schema="flavors")


def test_errors_name_the_file_that_was_read(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        path = tmp_path / folder / "trim.yaml"
        path.parent.mkdir()
        path.write_text("schema: 2\n", encoding="utf-8")
        with pytest.raises(MatrixError, match=f"^{folder}/trim.yaml: "):
            read(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MatrixError, match="there is no such file"):
        read(tmp_path / "trim.yaml")
    with pytest.raises(MatrixError, match="is not a regular file"):
        read(tmp_path)
