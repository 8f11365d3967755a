"""What is known of engine, machine and user before a start."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuimg.errors import HostError
from gpuimg.launch.devices import choose_gpus, refuse_no_gpus
from gpuimg.launch.place import Place, find_person, guess_place, starting_program
from gpuimg.machine import Machine, Nvidia
from tests.unit.launch.places import WITH_GPUS, WITHOUT_GPUS, a_driver

SOCKET = "unix:///var/run/docker.sock"


def _machine(root: Path, files: dict[str, str] | None = None, programs: tuple[str, ...] = ()) -> Machine:
    for name, text in (files or {}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for program in programs:
        (root / program).write_text("#!/bin/sh\n", encoding="utf-8")
        (root / program).chmod(0o755)
    return Machine(root=root, environ={"PATH": str(root)})


def test_docker_starts_containers_and_podman_where_there_is_no_docker(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no docker and no podman"):
        starting_program(_machine(tmp_path), podman=True)
    assert starting_program(_machine(tmp_path, programs=("podman",)), podman=True) == "podman"
    with pytest.raises(HostError, match="no docker on PATH"):
        starting_program(_machine(tmp_path), podman=False)
    assert starting_program(_machine(tmp_path, programs=("docker",)), podman=True) == "docker"


def test_a_podman_that_cannot_be_asked_is_known_by_its_machine(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": "MemTotal:       16384000 kB\n",
        "sys/fs/selinux/enforce": "1",
        "etc/cdi/nvidia.yaml": "cdiVersion: 0.6.0\nkind: nvidia.com/gpu\n",
    }
    place = guess_place(SOCKET, _machine(tmp_path, files), program="podman", uid=1000, driver=True)
    assert (place.rootless, place.raises_limits, place.selinux, place.asked) == (True, False, True, False)
    assert place.memory_bytes == 16384000 * 1024
    assert choose_gpus("auto", place, a_driver())[0] == "nvidia.com/gpu=all"
    assert choose_gpus("0,1", place, a_driver())[0] == "nvidia.com/gpu=0,nvidia.com/gpu=1"


def test_nothing_is_expected_of_a_machine_that_is_not_this_one(tmp_path: Path) -> None:
    place = guess_place("tcp://ann:secret@far:2376", _machine(tmp_path), program="docker", uid=1000, driver=True)
    assert (place.local, place.gives_gpus, place.memory_bytes) == (False, False, None)
    assert place.shown_address == "tcp://far:2376"


def test_gpus_that_surely_cannot_be_had_are_refused(tmp_path: Path) -> None:
    machine = _machine(tmp_path)
    with pytest.raises(HostError, match="no NVIDIA driver"):
        refuse_no_gpus("all", WITH_GPUS, machine, Nvidia())
    with pytest.raises(HostError, match="mismatch"):
        refuse_no_gpus("all", WITH_GPUS, machine, Nvidia(problem="Driver/library version mismatch"))
    with pytest.raises(HostError, match="can't give a container a GPU"):
        refuse_no_gpus("0", WITHOUT_GPUS, machine, a_driver())
    refuse_no_gpus("0", WITH_GPUS, machine, a_driver())
    refuse_no_gpus("auto", WITHOUT_GPUS, machine, Nvidia())
    refuse_no_gpus("all", Place(address="ssh://far"), machine, Nvidia())
    hooked = _machine(tmp_path, programs=("nvidia-container-runtime-hook",))
    refuse_no_gpus("all", WITHOUT_GPUS, hooked, a_driver())


def test_below_sudo_the_container_is_of_who_ran_it() -> None:
    person = find_person({"SUDO_UID": "4711", "SUDO_GID": "4712", "HOME": "/root"}, uid=0, gid=0, groups=(0,))
    assert (person.uid, person.gid, person.groups) == (4711, 4712, ())
    assert person.home != Path("/root"), "root's caches are not the user's"
    person = find_person({"SUDO_UID": "0", "HOME": "/root"}, uid=0, gid=0, groups=())
    assert (person.uid, person.home) == (0, Path("/root"))
    person = find_person({"SUDO_UID": "4711", "HOME": "/home/ann"}, uid=1000, gid=1000, groups=(1000, 2000))
    assert (person.uid, person.groups) == (1000, (1000, 2000)), "only root's word counts"
