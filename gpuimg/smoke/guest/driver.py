"""The NVIDIA driver, asked through ctypes without torch, so that its faults can be told from torch's own."""

from __future__ import annotations

import ctypes
import re
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .libraries import Loader
from .versions import Release, cuda_version

_NAME_BYTES = 256
_CC_MAJOR, _CC_MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_{MAJOR,MINOR}


@dataclass(frozen=True)
class Gpu:
    """A GPU that the driver shows."""

    index: int
    name: str
    cc: str
    memory_bytes: int
    uuid: str | None = None
    """As nvidia-smi names it: the index is only that among those which this process sees."""

    @property
    def capability(self) -> tuple[int, int]:
        major, minor = self.cc.split(".")
        return int(major), int(minor)


@dataclass(frozen=True)
class Probe:
    """What the driver answered: `code` is that of cuInit; None says that its library could not be opened."""

    code: int | None = None
    cuda: Release | None = None
    """The newest CUDA that the driver supports by itself."""
    gpus: tuple[Gpu, ...] = ()
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Probe:
        return cls(
            code=record["code"],
            cuda=tuple(record["cuda"]) if record["cuda"] else None,
            gpus=tuple(Gpu(**gpu) for gpu in record["gpus"]),
            error=record["error"],
        )


# What mends each way in which cuInit fails. Codes: CUresult in cuda.h.
REMEDIES: dict[int | None, str] = {
    None: "install the NVIDIA Container Toolkit on the host and start the container with `--gpus all`",
    3: "the driver was not initialised: restart the container; if it stays, reload the host's driver",
    34: "libcuda.so.1 is the toolkit's stub, not the driver: take the `stubs` folder off the library path",
    100: "the driver sees no device: start the container with `--gpus all` and check CUDA_VISIBLE_DEVICES",
    101: "CUDA_VISIBLE_DEVICES names a device that is not there",
    802: "the NVSwitch fabric is not up: start nvidia-fabricmanager of the driver's own version on the host",
    803: "the driver's kernel module and its libraries differ: reboot the host, or reload the module, after the update",
    804: "compat libraries (cuda-compat) are in use on a GPU that refuses them: remove them from the library path",
    999: "the host lacks the nvidia-uvm module or its device file: run `nvidia-modprobe -u -c 0` on the host",
}


def probe(load: Loader) -> Probe:
    """Initialise the driver and list its GPUs."""
    try:
        cuda = load("libcuda.so.1")
    except OSError as error:
        return Probe(error=str(error))
    code = int(cuda.cuInit(0))
    version = ctypes.c_int()
    supported = cuda_version(version.value) if cuda.cuDriverGetVersion(ctypes.byref(version)) == 0 else None
    if code != 0:
        return Probe(code=code, cuda=supported, error=_error_name(cuda, code))
    count = ctypes.c_int()
    cuda.cuDeviceGetCount(ctypes.byref(count))
    return Probe(code=0, cuda=supported, gpus=tuple(_gpu(cuda, index) for index in range(count.value)))


def version(load: Loader) -> str | None:
    """The driver's own version, such as ``525.60.13``: from the management library, else from the kernel module."""
    try:
        nvml = load("libnvidia-ml.so.1")
    except OSError:
        return _kernel_module_version()
    text = ctypes.create_string_buffer(_NAME_BYTES)
    if nvml.nvmlInit_v2() != 0:
        return _kernel_module_version()
    try:
        answered = nvml.nvmlSystemGetDriverVersion(text, ctypes.c_uint(_NAME_BYTES)) == 0
    finally:
        nvml.nvmlShutdown()
    return text.value.decode() if answered else _kernel_module_version()


def _kernel_module_version() -> str | None:
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return None
    match = re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", text)
    return match[1] if match else None


def _gpu(cuda: ctypes.CDLL, index: int) -> Gpu:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name, total = ctypes.create_string_buffer(_NAME_BYTES), ctypes.c_size_t()
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, _NAME_BYTES, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _CC_MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _CC_MINOR, device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(total), device)
    shown = name.value.decode(errors="replace")
    return Gpu(index, shown, f"{major.value}.{minor.value}", total.value, _uuid(cuda, device))


def _uuid(cuda: ctypes.CDLL, device: ctypes.c_int) -> str | None:
    found = (ctypes.c_ubyte * 16)()
    answered = cuda.cuDeviceGetUuid(ctypes.byref(found), device) == 0
    return f"GPU-{uuid.UUID(bytes=bytes(found))}" if answered else None


def _error_name(cuda: ctypes.CDLL, code: int) -> str | None:
    text = ctypes.c_char_p()
    if cuda.cuGetErrorName(code, ctypes.byref(text)) != 0 or text.value is None:
        return None
    return text.value.decode()
