"""What a machine's own files and programs say of its driver and GPUs: a folder with real files stands for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuimg.machine import Machine, read_nvidia
from gpuimg.machine.nvidia import host_of
from gpuimg.matrix import load_matrix
from gpuimg.versions import ComputeCapability, DriverVersion

_TWO = """\
0, GPU-1f22f253-c329-08cd-fb58-f1f4a4b1d3ab, NVIDIA A100-SXM4-80GB, 81920, 535.104.05, 8.0
1, GPU-7a0f8e21-0f7e-9d34-2c11-55aa00bb11cc, NVIDIA A100-SXM4-80GB, 81920, 535.104.05, 8.0
"""
_PROC = """\
NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82.01  Wed Oct 27 21:21:55 UTC 2021
GCC version:  gcc version 11.4.0
"""


def _machine(root: Path, smi: str | None = None, files: dict[str, str] | None = None) -> Machine:
    for name, text in (files or {}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    programs = root / "bin"
    programs.mkdir()
    if smi is not None:
        (programs / "nvidia-smi").write_text(f"#!/bin/sh\n{smi}\n", encoding="utf-8")
        (programs / "nvidia-smi").chmod(0o755)
    return Machine(root=root, environ={"PATH": f"{programs}:/usr/bin:/bin"})


def test_each_gpu_comes_with_what_nvidia_smi_tells_of_it(tmp_path: Path) -> None:
    (tmp_path / "answer").write_text(_TWO, encoding="utf-8")
    found = read_nvidia(_machine(tmp_path, f"cat {tmp_path}/answer"))
    assert found.driver == DriverVersion.parse("535.104.05")
    assert [gpu.index for gpu in found.gpus] == [0, 1]
    assert found.gpus[0].memory_bytes == 80 * 2**30
    assert found.gpus[0].compute_capability == ComputeCapability.parse("8.0")
    assert found.problem is None


def test_a_driver_that_knows_no_compute_capability_is_asked_without(tmp_path: Path) -> None:
    script = 'case "$1" in *compute_cap*) echo \'Field "compute_cap" is not a valid field to query.\'; exit 2;; esac\n'
    found = read_nvidia(_machine(tmp_path, script + "echo '0, GPU-1, Tesla V100-SXM2-16GB, 16160, 470.82.01'"))
    assert found.gpus[0].compute_capability is None
    (gpu,) = host_of(found, load_matrix()).gpus
    assert gpu.compute_capability == ComputeCapability.parse("7.0"), "the matrix knows the name"


def test_without_nvidia_smi_the_kernel_tells_the_driver(tmp_path: Path) -> None:
    information = "Model: \t\t NVIDIA GeForce RTX 4090\nIRQ:   \t\t 139\nGPU UUID: \t GPU-9\n"
    files = {"proc/driver/nvidia/version": _PROC, "proc/driver/nvidia/gpus/0000:01:00.0/information": information}
    found = read_nvidia(_machine(tmp_path, files=files))
    assert found.driver == DriverVersion.parse("470.82.01")
    assert [gpu.name for gpu in found.gpus] == ["NVIDIA GeForce RTX 4090"]


@pytest.mark.parametrize(
    "smi",
    ['echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18', "echo 'No devices were found'"],
)
def test_a_driver_that_fails_is_a_problem_in_its_own_words(tmp_path: Path, smi: str) -> None:
    found = read_nvidia(_machine(tmp_path, smi))
    assert found.problem
    assert found.installed
    assert not found.gpus


def test_a_machine_without_a_driver_has_no_problem(tmp_path: Path) -> None:
    found = read_nvidia(_machine(tmp_path))
    assert (found.driver, found.gpus, found.problem, found.installed) == (None, (), None, False)
