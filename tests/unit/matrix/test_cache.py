"""A document is believed only where the user alone could have written it; and no cache ever fails a command."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gpuimg.matrix import cache

SAID = {"stack": "2.6.0-cu124", "wheels": [{"name": "torch", "size": 3, "index": None, "ok": True}]}
FORGED = {"stack": "2.6.0-cu124", "wheels": [{"name": "evil"}]}


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    return {"HOME": str(tmp_path)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".cache" / "gpuimg" / "matrix"


def ask(environ: Mapping[str, str], *, of: bytes = b"content") -> tuple[dict[str, Any], bool]:
    """The document, and whether it was made anew."""
    made = []

    def make() -> dict[str, Any]:
        made.append(True)
        return SAID

    return cache.remembered(make, of=[b"schema", of], environ=environ), bool(made)


def keep(environ: Mapping[str, str], folder: Path) -> Path:
    """Have one document kept; give its entry."""
    assert ask(environ) == (SAID, True)
    (entry,) = folder.iterdir()
    return entry


def forge(entry: Path) -> None:
    """Give an entry another document, as whoever may write it can."""
    other = entry.parents[1] / "other"
    environ = {"XDG_CACHE_HOME": str(other)}
    cache.remembered(lambda: FORGED, of=[b"schema", b"content"], environ=environ)
    (forged,) = (other / "gpuimg" / "matrix").iterdir()
    entry.write_bytes(forged.read_bytes())


def replace(entry: Path, make: Callable[[Path], object]) -> None:
    entry.unlink()
    make(entry)


def test_what_was_made_once_is_not_made_again(environ: Mapping[str, str]) -> None:
    assert ask(environ) == (SAID, True)
    assert ask(environ) == (SAID, False)


def test_other_bytes_are_another_document(environ: Mapping[str, str]) -> None:
    ask(environ)
    assert ask(environ, of=b"other") == (SAID, True)
    assert cache.remembered(lambda: FORGED, of=[b"schemac", b"ontent"], environ=environ) == FORGED


def test_another_version_of_gpuimg_checks_anew(environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    ask(environ)
    monkeypatch.setattr("gpuimg.__version__", "999")
    assert ask(environ) == (SAID, True)


def test_what_does_not_hold_is_not_kept(environ: Mapping[str, str], folder: Path) -> None:
    def refuse() -> dict[str, Any]:
        raise ValueError("does not hold")

    for _ in range(2):
        with pytest.raises(ValueError, match="does not hold"):
            cache.remembered(refuse, of=[b"bad"], environ=environ)
    assert not list(folder.iterdir())


def test_folder_and_entries_are_the_users_alone(environ: Mapping[str, str], folder: Path) -> None:
    entry = keep(environ, folder)
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.parents[:2])} == {0o700}


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: entry.write_bytes(b""),
        lambda entry: entry.write_bytes(entry.read_bytes()[:-5]),
        lambda entry: entry.write_bytes(entry.read_bytes().replace(b"torch", b"touch")),
        lambda entry: entry.write_bytes(b"\xff" * 100),
        lambda entry: entry.write_bytes(b"{}"),
        lambda entry: replace(entry, os.mkfifo),
        lambda entry: replace(entry, os.mkdir),
    ],
    ids=["empty", "cut", "changed", "binary", "foreign", "pipe", "folder"],
)
def test_a_damaged_entry_is_none(environ: Mapping[str, str], folder: Path, damage: Callable[[Path], object]) -> None:
    entry = keep(environ, folder)
    damage(entry)
    assert ask(environ) == (SAID, True)
    if not entry.is_dir():
        assert ask(environ) == (SAID, False), "it was not written anew"
    assert len(list(folder.iterdir())) == 1


def test_a_forged_entry_would_be_believed(environ: Mapping[str, str], folder: Path) -> None:
    """What the tests below rest on: nothing but the owner and the mode tells a forged entry."""
    forge(keep(environ, folder))
    assert ask(environ) == (FORGED, False)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722])
def test_a_folder_that_others_may_write_is_not_believed(environ: Mapping[str, str], folder: Path, mode: int) -> None:
    forge(keep(environ, folder))
    folder.chmod(mode)
    assert ask(environ) == (SAID, True)


@pytest.mark.parametrize("mode", [0o666, 0o620])
def test_an_entry_that_others_may_write_is_not_believed(environ: Mapping[str, str], folder: Path, mode: int) -> None:
    entry = keep(environ, folder)
    forge(entry)
    entry.chmod(mode)
    assert ask(environ) == (SAID, True)


def test_somebody_elses_folder_is_neither_believed_nor_touched(
    environ: Mapping[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = keep(environ, folder)
    forge(entry)
    forged = entry.read_bytes()
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert ask(environ) == (SAID, True)
    assert entry.read_bytes() == forged


def test_nothing_is_made_in_somebody_elses_home(
    environ: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``sudo gpuimg`` with the user's HOME would."""
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert ask(environ) == (SAID, True)
    assert not list(tmp_path.iterdir())


def test_a_link_is_not_followed(environ: Mapping[str, str], folder: Path, tmp_path: Path) -> None:
    entry = keep(environ, folder)
    forge(entry)
    elsewhere = entry.rename(tmp_path / "elsewhere")
    entry.symlink_to(elsewhere)
    assert ask(environ) == (SAID, True)
    moved = folder.rename(tmp_path / "moved")
    folder.symlink_to(moved)
    assert ask(environ, of=b"other") == (SAID, True)
    assert len(list(moved.iterdir())) == 1


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HOME": ""},
        {"HOME": "relative"},
        {"HOME": "/nonexistent"},
        {"HOME": "/dev/null"},
        {"HOME": "/proc/self"},
        {"XDG_CACHE_HOME": "/proc/self/fdinfo", "HOME": "/nonexistent"},
        {"XDG_CACHE_HOME": "/a\0b"},
    ],
    ids=lambda environ: ",".join(environ.values()).replace("\0", "NUL") or "none",
)
def test_without_a_place_nothing_is_kept_and_nothing_fails(
    environ: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ask(environ) == (SAID, True)
    assert ask(environ) == (SAID, True)
    assert not list(tmp_path.iterdir())


def test_xdg_cache_home_comes_first_unless_it_is_relative(environ: Mapping[str, str], tmp_path: Path) -> None:
    ask({**environ, "XDG_CACHE_HOME": str(tmp_path / "xdg")})
    assert [path.name for path in tmp_path.iterdir()] == ["xdg"]
    ask({**environ, "XDG_CACHE_HOME": "relative"})
    assert {path.name for path in tmp_path.iterdir()} == {"xdg", ".cache"}


def test_what_json_cannot_say_is_made_each_time(environ: Mapping[str, str], folder: Path) -> None:
    odd = {"bytes": b"\0"}
    for _ in range(2):
        assert cache.remembered(lambda: odd, of=[b"odd"], environ=environ) is odd
    assert not list(folder.iterdir())


def test_a_full_disk_leaves_nothing_behind(
    environ: Mapping[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert ask(environ) == (SAID, True)
    assert not list(folder.iterdir())


def test_what_nobody_uses_goes_and_what_is_used_stays(environ: Mapping[str, str], folder: Path) -> None:
    used = keep(environ, folder)
    unused, foreign = folder / f"{'a' * 64}.json", folder / "notes.txt"
    half_written = folder / f"{'b' * 64}.json.0123456789abcdef"
    month_ago = time.time() - 31 * 24 * 3600
    for path in (unused, half_written, foreign, used):
        path.touch()
        os.utime(path, (month_ago, month_ago))
    assert ask(environ) == (SAID, False)
    for n in range(100):  # one write in sixteen tidies up
        ask(environ, of=b"%d" % n)
    assert used.exists()
    assert foreign.exists()
    assert not unused.exists()
    assert not half_written.exists()


def test_there_are_never_many_more_entries_than_the_limit(
    environ: Mapping[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_MAX_ENTRIES", 10)
    for n in range(300):
        ask(environ, of=b"%d" % n)
    assert 10 <= len(list(folder.iterdir())) < 150
