"""The driver, played by a fake: what it shows, and which remedy belongs to which of its codes."""

from __future__ import annotations

from typing import Any

import pytest

from gpuimg.smoke.guest.checks.gpu import driver_version, usable
from gpuimg.smoke.guest.config import Config, Expect
from gpuimg.smoke.guest.driver import Gpu, probe
from gpuimg.smoke.guest.env import Env


class FakeCuda:
    """libcuda.so.1, as far as the guest calls it."""

    def __init__(self, code: int = 0, gpus: tuple[tuple[bytes, int, int, int], ...] = ()) -> None:
        self.code = code
        self.gpus = gpus

    def __call__(self, name: str) -> Any:
        if name != "libcuda.so.1":
            raise OSError(f"{name}: cannot open shared object file: No such file or directory")
        return self

    def cuInit(self, _flags: int) -> int:
        return self.code

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = 12040
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = len(self.gpus)
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name: Any, _size: int, device: Any) -> int:
        name.value = self.gpus[device.value][0]
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:
        value._obj.value = self.gpus[device.value][1 if attribute == 75 else 2]
        return 0

    def cuDeviceTotalMem_v2(self, total: Any, device: Any) -> int:
        total._obj.value = self.gpus[device.value][3]
        return 0

    def cuDeviceGetUuid(self, found: Any, device: Any) -> int:
        found._obj[:] = bytes([0xAB, 0xCD, *[0] * 13, device.value])
        return 0

    def cuGetErrorName(self, _code: int, name: Any) -> int:
        name._obj.value = b"CUDA_ERROR_SOMETHING"
        return 0


def test_every_gpu_is_listed() -> None:
    fake = FakeCuda(gpus=((b"NVIDIA H100 80GB HBM3", 9, 0, 80 << 30), (b"NVIDIA L4", 8, 9, 23 << 30)))
    found = probe(fake)
    assert (found.code, found.cuda) == (0, (12, 4))
    uuids = ("GPU-abcd0000-0000-0000-0000-000000000000", "GPU-abcd0000-0000-0000-0000-000000000001")
    assert found.gpus == (
        Gpu(index=0, name="NVIDIA H100 80GB HBM3", cc="9.0", memory_bytes=80 << 30, uuid=uuids[0]),
        Gpu(index=1, name="NVIDIA L4", cc="8.9", memory_bytes=23 << 30, uuid=uuids[1]),
    )


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (34, "stub"),
        (100, "--gpus all"),
        (802, "fabricmanager"),
        (803, "reboot"),
        (804, "cuda-compat"),
        (999, "nvidia-uvm"),
    ],
)
def test_each_failure_of_the_driver_has_its_remedy(code: int, remedy: str) -> None:
    outcome = usable(Env(load_library=FakeCuda(code), config=Config(gpus_requested=True)), Expect())
    assert outcome.status == "FAIL"
    assert outcome.reason == f"a GPU was asked for, and cuInit returned {code} (CUDA_ERROR_SOMETHING)"
    assert remedy in str(outcome.remedy)


def test_driver_without_devices_is_as_one_that_says_so() -> None:
    outcome = usable(Env(load_library=FakeCuda(), config=Config(gpus_requested=True)), Expect())
    assert (outcome.status, "--gpus all" in str(outcome.remedy)) == ("FAIL", True)


def test_missing_driver_library_names_the_toolkit() -> None:
    def load(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file: No such file or directory")

    outcome = usable(Env(load_library=load, config=Config(gpus_requested=True)), Expect())
    assert outcome.status == "FAIL"
    assert "NVIDIA Container Toolkit" in str(outcome.remedy)


@pytest.mark.parametrize(
    ("found", "status"), [("525.60.13", "PASS"), ("525.105.17", "PASS"), ("580.65.06", "PASS"), ("470.57.02", "FAIL")]
)
def test_driver_is_held_to_the_rows_minimum(found: str, status: str) -> None:
    outcome = driver_version(Env(driver_version=lambda: found), Expect(min_driver="525.60.13"))
    assert outcome.status == status


def test_driver_that_does_not_tell_its_version_does_not_pass() -> None:
    assert driver_version(Env(driver_version=lambda: None), Expect(min_driver="525.60.13")).status == "FAIL"
