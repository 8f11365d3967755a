"""What may be compared with a datasheet: a chip by its exact name, whole and not capped."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuimg.smoke.guest.chip import promise
from gpuimg.smoke.guest.config import Config, Datasheet
from gpuimg.smoke.guest.driver import Gpu
from gpuimg.smoke.guest.env import Env

_SHEET = Datasheet(devices=("NVIDIA Example 80GB",), tflops={"fp16": 100.0}, bandwidth_gb_s=2000.0)


def env(name: str, nvidia_smi: str | None = None) -> Env:
    gpu = Gpu(index=0, name=name, cc="9.0", memory_bytes=80 << 30, uuid="GPU-0")
    return Env(gpus=(gpu,), config=Config(datasheets=(_SHEET,)), which=lambda _: nvidia_smi)


@pytest.fixture
def nvidia_smi(tmp_path: Path) -> Path:
    return tmp_path / "nvidia-smi"


def answer(program: Path, text: str) -> str:
    program.write_text(f"#!/bin/sh\necho '{text}'\n")
    program.chmod(0o755)
    return str(program)


def test_known_chip_has_its_peaks() -> None:
    found = promise(env("NVIDIA Example 80GB"), 0)
    assert (found.peak("fp16"), found.peak("fp8"), found.bandwidth) == (100.0, None, 2000.0)


@pytest.mark.parametrize("name", ["NVIDIA Example 80GB MIG 1g.10gb", "NVIDIA Example PCIe", "Example"])
def test_slice_and_other_form_of_a_chip_promise_nothing(name: str) -> None:
    found = promise(env(name), 0)
    assert found.peak("fp16") is None
    assert name in found.reason


def test_capped_chip_promises_nothing(nvidia_smi: Path) -> None:
    found = promise(env("NVIDIA Example 80GB", answer(nvidia_smi, "400.00, 700.00")), 0)
    assert (found.peak("fp16"), found.reason) == (None, "its power is capped at 400 W of 700 W")


@pytest.mark.parametrize("text", ["700.00, 700.00", "[N/A], [N/A]", ""])
def test_chip_with_its_whole_power_or_an_unknown_one_keeps_its_peaks(nvidia_smi: Path, text: str) -> None:
    assert promise(env("NVIDIA Example 80GB", answer(nvidia_smi, text)), 0).peak("fp16") == 100.0
