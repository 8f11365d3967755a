"""What was read is committed: the same bytes after loading it, and errors that name the place that doesn't hold."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from gpuimg.errors import MatrixError
from gpuimg.paths import MATRICES
from gpuimg.update.record import (
    Inspected,
    Project,
    Record,
    RecordedMetadata,
    RecordedWheel,
    Release,
    dump_record,
    load_record,
    save_record,
)

WHEEL = RecordedWheel(
    file="torch-2.10.0-3-cp313-cp313t-manylinux_2_28_x86_64.whl",
    size_bytes=915_000_000,
    sha256="a" * 64,
    uploaded=date(2026, 3, 17),
    yanked="",
    metadata=0,
)
BARE = RecordedWheel(
    file="torch-2.10.0-py3-none-any.whl", size_bytes=None, sha256=None, uploaded=None, yanked=None, metadata=None
)


def record(*files: RecordedWheel, requires: tuple[str, ...] = ("filelock",)) -> Record:
    release = Release(
        version=Version("2.10.0"),
        files=files,
        metadata=(RecordedMetadata(requires_python=None, requires_dist=requires),),
        inspected=(Inspected(file=files[0].file, cuda="12.8", git_version="b" * 40),),
    )
    project = Project(project="torch", variant=None, releases=(release,))
    return Record(index="pypi", read_on=date(2026, 11, 24), projects=(project,))


def saved(item: Record, folder: Path) -> Path:
    path = folder / "upstream" / f"{item.index}.yaml"
    save_record(item, path)
    return path


def test_a_record_comes_back_as_it_went(tmp_path: Path) -> None:
    before = record(WHEEL, BARE)
    path = saved(before, tmp_path)
    assert load_record(path) == before
    assert dump_record(load_record(path)) == path.read_text(encoding="utf-8")


def test_each_wheel_stands_on_one_line_without_what_is_not_known() -> None:
    lines = dump_record(record(WHEEL, BARE)).splitlines()
    assert [line.strip() for line in lines if "- {file: torch" in line][1] == f"- {{file: {BARE.file}}}"
    assert '    yanked: ""' not in lines
    assert any(f"- {{file: {WHEEL.file}, size_bytes: 915000000, sha256: " in line for line in lines)


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1), max_size=4))
def test_any_text_comes_back(texts: list[str]) -> None:
    item = record(WHEEL, requires=tuple(texts))
    row = yaml.safe_load(dump_record(item))["projects"][0]["releases"][0]["metadata"][0]
    assert row["requires_dist"] == texts


def test_a_wheel_tells_what_its_name_says() -> None:
    assert (WHEEL.build, WHEEL.machine, {tag.abi for tag in WHEEL.tags}) == ((3, ""), "x86_64", {"cp313t"})
    assert (BARE.build, BARE.machine) == ((), None)


def test_a_project_is_found_by_name_and_variant() -> None:
    item = record(WHEEL)
    assert item.find("torch") is item.projects[0]
    assert item.find("torch", variant="cu124") is None
    assert item.find("numpy") is None


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('version: "2.10.0"', "version: 2.10", "releases[0].version"),
        ('version: "2.10.0"', 'version: "banana"', "releases[0].version"),
        ("-cp313-cp313t-manylinux_2_28_x86_64.whl, size", "-manylinux_2_28_x86_64.whl, size", "files[0].file"),
        ("metadata: 0}", "metadata: 1}", "files[0].metadata"),
        ("2026-03-17", "2026-02-30", "files[0].uploaded"),
        ("2026-11-24", "2026-13-01", "read_on"),
        ("size_bytes: 915000000", "size: 915000000", "files[0]"),
        ('cuda: "12.8"', "cuda: 12.8", "inspected[0].cuda"),
    ],
)
def test_what_does_not_hold_is_named(tmp_path: Path, old: str, new: str, where: str) -> None:
    path = saved(record(WHEEL), tmp_path)
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1 or old.startswith("-cp313t")
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(MatrixError) as caught:
        load_record(path)
    assert where in caught.value.where
    assert caught.value.file == "upstream/pypi.yaml"


@pytest.mark.parametrize("path", sorted((MATRICES / "upstream").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_committed_records_are_canonical(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    loaded = load_record(path)
    assert dump_record(loaded) == text
    assert loaded.index == path.stem
    assert len(text) < 400_000, "one that outgrows review is a mistake"
