"""What of the user's files comes into a container."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpuimg.errors import HostError, RequestError
from gpuimg.launch.launch import Mount
from gpuimg.launch.mounts import make_folders, shared_groups
from gpuimg.launch.place import Person
from gpuimg.launch.wishes import Wishes
from tests.unit.launch.places import OURS, REMOTE, decided


def _person(home: Path, **ids: int) -> Person:
    return Person(uid=ids.get("uid", os.getuid()), gid=os.getgid(), home=home)


def _pairs(mounts: tuple[Mount, ...]) -> dict[str, str]:
    return {mount.target: mount.source for mount in mounts}


def test_the_folder_and_the_caches_come_by_themselves(tmp_path: Path) -> None:
    home = tmp_path / "home"
    decision = decided(tmp_path, person=_person(home))
    assert _pairs(decision.launch.mounts) == {
        "/workspace": str(home / "project"),
        "/cache/huggingface": str(home / ".cache" / "huggingface"),
        "/cache/torch": str(home / ".cache" / "torch"),
    }
    assert decision.launch.workdir == "/workspace"
    assert dict(decision.launch.environment) == {"HF_HOME": "/cache/huggingface", "TORCH_HOME": "/cache/torch"}
    assert decision.missing == (home / ".cache" / "huggingface", home / ".cache" / "torch")


def test_caches_lie_where_the_libraries_look(tmp_path: Path) -> None:
    person = _person(tmp_path / "home")
    mounts = decided(tmp_path, person=person, environ={"XDG_CACHE_HOME": str(tmp_path / "xdg")}).launch.mounts
    assert _pairs(mounts)["/cache/torch"] == str(tmp_path / "xdg" / "torch")
    environ = {"HF_HOME": "~/hf", "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    mounts = decided(tmp_path, person=person, environ=environ).launch.mounts
    assert _pairs(mounts)["/cache/huggingface"] == str(tmp_path / "home" / "hf")


def test_a_cache_of_somebody_else_stays_out_and_is_said(tmp_path: Path) -> None:
    """Such as one that an engine made as root."""
    decision = decided(tmp_path, person=_person(tmp_path / "home", uid=os.getuid() + 1))
    assert set(_pairs(decision.launch.mounts)) == {"/workspace"}
    (notice,) = [text for text in decision.notices if "cache" in text]
    assert "huggingface and torch" in notice
    assert "chown" in notice


def test_who_runs_as_somebody_else_brings_no_caches(tmp_path: Path) -> None:
    wishes = Wishes(cwd=tmp_path, user="0:0")
    assert set(_pairs(decided(tmp_path, wishes, person=Person(uid=7, gid=7, home=None)).launch.mounts)) == {
        "/workspace"
    }


def test_what_is_named_takes_the_place_of_what_comes_by_itself(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    named = (Mount(source="data", target="/workspace"), Mount(source="models", target="/cache/torch", volume=True))
    launch = decided(tmp_path, Wishes(cwd=tmp_path, mounts=named), person=_person(tmp_path)).launch
    pairs = _pairs(launch.mounts)
    assert (pairs["/workspace"], pairs["/cache/torch"]) == (str(tmp_path / "data"), "models")
    assert "TORCH_HOME" not in dict(launch.environment)


def test_a_folder_that_is_not_there_is_refused_before_the_engine_makes_it(tmp_path: Path) -> None:
    wishes = Wishes(cwd=tmp_path, mounts=(Mount(source="missing", target="/data"),))
    with pytest.raises(RequestError, match="there is no") as caught:
        decided(tmp_path, wishes)
    assert "mkdir -p" in caught.value.hints[0]


def test_two_mounts_on_one_place_are_refused(tmp_path: Path) -> None:
    twice = (Mount(source="a", target="/data", volume=True), Mount(source="b", target="/data", volume=True))
    with pytest.raises(RequestError, match="share the place"):
        decided(tmp_path, Wishes(cwd=tmp_path, mounts=twice))


def test_a_remote_engine_takes_its_own_paths_only(tmp_path: Path) -> None:
    far = Wishes(cwd=tmp_path, mount_cwd=False, mounts=(Mount(source="/mnt/data", target="/data"),))
    assert _pairs(decided(tmp_path, far, place=REMOTE).launch.mounts) == {"/data": "/mnt/data"}
    near = Wishes(cwd=tmp_path, mounts=(Mount(source="data", target="/data"),))
    with pytest.raises(RequestError, match="another"):
        decided(tmp_path, near, place=REMOTE)


def test_all_of_the_machine_is_not_mounted(tmp_path: Path) -> None:
    decision = decided(tmp_path, Wishes(cwd=Path("/"), caches=False))
    assert not decision.launch.mounts
    assert any("all of this machine" in text for text in decision.notices)


def test_folders_are_made_as_the_user_s(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    person = Person(uid=4711 if os.geteuid() == 0 else os.getuid(), gid=os.getgid(), home=tmp_path)
    make_folders([folder], person)
    assert {path.stat().st_uid for path in (folder, folder.parent)} == {person.uid}
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="can't be made"):
        make_folders([tmp_path / "file" / "c"], person)


def test_a_team_s_folder_brings_its_group(tmp_path: Path) -> None:
    group = tmp_path.stat().st_gid
    mount = Mount(source=str(tmp_path), target="/workspace")
    member = Person(uid=1000, gid=group + 1, home=None, groups=(group, group + 1, group + 2))
    assert shared_groups([mount], member) == ((group,) if group else ())
    assert not shared_groups([mount], Person(uid=1000, gid=1000, home=None, groups=(group + 5,)))
    assert decided(tmp_path, target=OURS).launch.groups == ()
