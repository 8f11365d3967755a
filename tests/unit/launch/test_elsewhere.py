"""What a file says of a start on any machine: what `gpuimg run` decides on one where nothing is in the way."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final

import pytest

from gpuimg.errors import RequestError
from gpuimg.launch.elsewhere import decide_elsewhere
from gpuimg.launch.launch import Launch, Mount, Port, Target
from gpuimg.launch.wishes import Wishes
from tests.unit.launch.places import GIB, JUPYTER, OURS, WITH_GPUS, decided

FOREIGN: Final = Target(reference="pytorch/pytorch:2.6.0", labels={})
OF_THE_MACHINE: Final[dict[str, Any]] = dict.fromkeys(
    ("user", "mounts", "groups", "security", "labels", "interactive", "ports")
)
"""Fields that say whose machine it is, and what becomes of the container."""


def launch(target: Target = OURS, **wishes: Any) -> Launch:
    wanted = Wishes(cwd=Path(), **{"gpus": "all", **wishes})
    return decide_elsewhere(wanted, target, keeps_home=target.is_ours).launch


@pytest.mark.parametrize("target", [OURS, JUPYTER, FOREIGN])
@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"gpus": "none"},
        {"gpus": "0,1", "memory_bytes": 8 * GIB, "cpus": "4"},
        {"command": ("python", "train.py"), "shm_bytes": GIB, "environment": (("A", "1"), ("HF_TOKEN", None))},
    ],
)
def test_it_is_what_run_decides(target: Target, wishes: dict[str, Any], tmp_path: Path) -> None:
    wanted = {"gpus": "all", "caches": False, **wishes}
    here = decided(tmp_path, Wishes(cwd=tmp_path, **wanted), target, place=WITH_GPUS).launch
    there = launch(target, **wanted)
    assert dataclasses.replace(here, **OF_THE_MACHINE) == dataclasses.replace(there, **OF_THE_MACHINE)
    assert [mount.target for mount in here.mounts] == ["/workspace"]
    assert there.mounts == (Mount(source=".", target="/workspace"),)


def test_no_port_is_tried_since_others_start_it() -> None:
    assert launch(JUPYTER).ports == (Port(container=8888, host=8888, address="127.0.0.1"),)
    assert launch(JUPYTER, port=80).ports[0].host == 80
    with pytest.raises(RequestError, match="serves nothing by itself"):
        launch(OURS, port=80)


def test_root_runs_jupyter_when_told_to() -> None:
    assert launch(JUPYTER, user="0:0").command == ("jupyter", "lab", "--allow-root")


def test_a_home_is_kept_only_where_any_user_can_write_to_it() -> None:
    assert launch(OURS).mounts[-1] == Mount(source="home", target="/home/gpuimg", volume=True)
    assert launch(OURS, caches=False).mounts == launch(FOREIGN).mounts


def test_the_images_own_user_keeps_the_images_own_home() -> None:
    decision = decide_elsewhere(Wishes(cwd=Path(), gpus="all"), FOREIGN, keeps_home=False, image_user=True)
    assert not decision.launch.environment
    assert ("HOME", "/tmp") in launch(FOREIGN).environment
    assert not launch(FOREIGN, user="1000:1000").environment


def test_gpus_go_by_name_where_that_was_asked_for() -> None:
    wishes = Wishes(cwd=Path(), gpus="0,1")
    assert decide_elsewhere(wishes, OURS, cdi=True, keeps_home=True).launch.gpus == "nvidia.com/gpu=0,nvidia.com/gpu=1"
    assert launch(gpus="0,1").gpus == "0,1"
