"""Which GPUs a container asks the engine for, and how several images share them."""

from __future__ import annotations

from typing import Any

import pytest

from gpuimg.errors import RequestError
from gpuimg.smoke.gpus import Device, Sharing, Slot, named_devices, share_gpus, wanted_gpus

NOTHING: dict[str, Any] = {"MemTotal": 1 << 40, "NCPU": 256, "Runtimes": {"runc": {}}}
TOOLKIT: dict[str, Any] = {**NOTHING, "Runtimes": {"runc": {}, "nvidia": {}}}
CDI: dict[str, Any] = {**NOTHING, "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}]}
EIGHT = tuple(Device(name=f"GPU-{number}", label=str(number)) for number in range(8))


@pytest.mark.parametrize(
    ("text", "info", "wanted"),
    [
        ("auto", NOTHING, None),
        ("auto", TOOLKIT, "all"),
        ("auto", CDI, "nvidia.com/gpu=all"),
        ("none", TOOLKIT, None),
        ("all", NOTHING, "all"),
        ("all", CDI, "nvidia.com/gpu=all"),
        ("0,GPU-1", TOOLKIT, "0,GPU-1"),
        ("0,GPU-1", CDI, "nvidia.com/gpu=0,nvidia.com/gpu=GPU-1"),
    ],
)
def test_gpus_are_asked_for_as_the_engine_knows_them(text: str, info: dict[str, Any], wanted: str | None) -> None:
    assert wanted_gpus(text, info) == wanted


def test_each_image_gets_one_gpu_unless_more_are_asked_for() -> None:
    slots = share_gpus(EIGHT, TOOLKIT, Sharing(), images=20)
    assert [slot.gpus for slot in slots] == [device.name for device in EIGHT]
    assert slots[3].label == "GPU 3"
    assert slots == share_gpus(EIGHT, TOOLKIT, Sharing(per_image=1), images=20)


def test_groups_of_gpus_do_not_overlap_and_what_is_left_over_stays_idle() -> None:
    slots = share_gpus(EIGHT, TOOLKIT, Sharing(per_image=3), images=20)
    assert [slot.gpus for slot in slots] == ["GPU-0,GPU-1,GPU-2", "GPU-3,GPU-4,GPU-5"]
    assert slots[1].label == "GPU 3,4,5"


def test_all_gpus_for_each_image_is_one_image_at_a_time() -> None:
    (slot,) = share_gpus(EIGHT, CDI, Sharing(per_image=None), images=20)
    assert slot.gpus == ",".join(f"nvidia.com/gpu={device.name}" for device in EIGHT)


def test_more_gpus_than_there_are_is_a_bad_request() -> None:
    for found in (EIGHT[:2], ()):
        with pytest.raises(RequestError, match="each image is to get 3 GPUs, and there are"):
            share_gpus(found, TOOLKIT, Sharing(per_image=3), images=2)


def test_without_gpus_one_image_at_a_time_unless_the_user_says_more() -> None:
    """The checks load all cores and have time limits."""
    assert share_gpus((), NOTHING, Sharing(), images=9) == (Slot(),)
    assert share_gpus((), NOTHING, Sharing(per_image=None), images=9) == (Slot(),)
    assert share_gpus((), NOTHING, Sharing(jobs=4), images=9) == (Slot(),) * 4
    assert len(share_gpus((), NOTHING, Sharing(jobs=4), images=2)) == 2


def test_a_small_machine_with_many_gpus_checks_fewer_at_once() -> None:
    few_cpus = {**TOOLKIT, "NCPU": 6}
    little_memory = {**TOOLKIT, "MemTotal": 17 << 30}
    tiny = {**TOOLKIT, "NCPU": 1, "MemTotal": 1 << 30}
    assert [len(share_gpus(EIGHT, info, Sharing(), images=9)) for info in (few_cpus, little_memory, tiny)] == [3, 4, 1]
    assert len(share_gpus(EIGHT, tiny, Sharing(jobs=8), images=9)) == 8
    assert len(share_gpus(EIGHT, TOOLKIT, Sharing(jobs=2), images=9)) == 2


def test_a_single_gpu_is_asked_for_as_ever() -> None:
    """What it is called inside need not be what the engine calls it: a MIG slice has a name of its own."""
    assert share_gpus(EIGHT[:1], TOOLKIT, Sharing(), images=3) == (Slot(),)


def test_gpus_that_the_user_names_are_taken_once_each() -> None:
    assert [device.name for device in named_devices("1,0,1")] == ["1", "0"]
    assert named_devices("auto") == named_devices("all") == named_devices("none") == ()
