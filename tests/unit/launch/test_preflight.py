"""Whether this machine can run an image is said before it is pulled or started, by the rows of the matrix."""

from __future__ import annotations

import dataclasses

import pytest

from gpuimg.errors import HostError
from gpuimg.launch.launch import Target
from gpuimg.launch.preflight import check_machine
from gpuimg.machine import Nvidia
from gpuimg.matrix import load_matrix
from tests.unit.launch.places import OURS, a_driver, a_gpu

MATRIX = load_matrix()
PULLED = Target(
    reference="registry.example.com/team/gpuimg:2.13.0-cu130",
    labels={"io.gpuimg.stack": "2.13.0-cu130"},
    here=False,
)
FROM_SOURCE = Target(
    reference="gpuimg:2.6.0-cu121-py310-devel-sm90",
    labels={
        "io.gpuimg.stack": "2.6.0-cu121",
        "io.gpuimg.torch": "2.6.0+cu121",
        "io.gpuimg.cuda": "12.1",
        "io.gpuimg.capabilities": "9.0",
        "io.gpuimg.driver.minimum": "525.60.13",
    },
    platform="linux/amd64",
)


def _check(target: Target, nvidia: Nvidia, *, gpus: str = "all", force: bool = False) -> tuple[str, ...]:
    return check_machine(target, nvidia, MATRIX, gpus=gpus, force=force)


def test_a_machine_that_runs_it_is_no_news() -> None:
    assert _check(PULLED, a_driver("580.95.05")) == ()
    assert _check(OURS, a_driver("525.60.13")) == ()


def test_an_old_driver_is_refused_with_what_runs_and_what_helps() -> None:
    with pytest.raises(HostError, match=r"driver 525\.60\.13 is below 580\S*, which CUDA 13 needs") as caught:
        _check(PULLED, a_driver("525.60.13"))
    hints = "\n".join(caught.value.hints)
    assert "`gpuimg build 2.13.0-cu126`" in hints, "the same torch, for this driver"
    assert "with driver 580" in hints
    assert "--force" in hints


def test_forced_it_is_only_said() -> None:
    (said,) = _check(PULLED, a_driver("525.60.13"), force=True)
    assert "can't run here, and is started all the same: driver 525.60.13 is below" in said


def test_a_gpu_without_code_is_refused_by_its_name() -> None:
    old = a_gpu(0, name="NVIDIA GeForce GTX 1080 Ti", chip="6.1")
    with pytest.raises(HostError, match=r"no code for NVIDIA GeForce GTX 1080 Ti \(6.1\)") as caught:
        _check(PULLED, a_driver("580.95.05", old, a_gpu(1)))
    assert caught.value.hints[0].startswith("`--gpus 1`"), "the other one runs it"
    assert _check(PULLED, a_driver("580.95.05", old, a_gpu(1)), gpus="1") == ()
    assert _check(PULLED, a_driver("580.95.05", old, a_gpu(1)), gpus="nvidia.com/gpu=GPU-1") == ()


def test_what_was_compiled_for_some_chips_runs_on_these() -> None:
    """The label is the truth: the matrix has the stack for more chips, or not at all."""
    assert _check(FROM_SOURCE, a_driver("535.104.05")) == ()
    with pytest.raises(HostError, match="no code for A100"):
        _check(FROM_SOURCE, a_driver("535.104.05", a_gpu(name="A100", chip="8.0")))
    narrowed = dataclasses.replace(OURS, labels={**OURS.labels, "io.gpuimg.capabilities": "8.0"})
    with pytest.raises(HostError, match="no code for NVIDIA H100"):
        _check(narrowed, a_driver("535.104.05"))


def test_a_cuda_that_the_matrix_does_not_have_goes_by_the_image_s_own_label() -> None:
    labels = {"io.gpuimg.stack": "9.9.0-cu990", "io.gpuimg.cuda": "99.0", "io.gpuimg.driver.minimum": "900"}
    later = Target(reference="registry.example.com/x:1", labels=labels)
    with pytest.raises(HostError, match=r"driver 580.65.06 is below 900, which its CUDA 99.0 needs"):
        _check(later, a_driver())
    assert _check(later, a_driver("900.10")) == ()


def test_of_an_image_that_says_nothing_nothing_is_said() -> None:
    assert _check(Target(reference="debian:12", labels={}), a_driver("470.82.01")) == ()


def test_a_machine_that_says_nothing_is_not_judged() -> None:
    assert _check(PULLED, Nvidia(problem="nvidia-smi doesn't answer")) == ()
