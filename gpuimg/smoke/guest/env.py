"""The outside world as a check sees it: whatever a test must be able to break is a member here.

`faults` swaps one member for a broken one, so that every check is seen to fail even where the true fault needs a GPU.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Callable

from . import driver, installed, libraries
from .config import Config
from .driver import Gpu
from .libraries import Answer
from .versions import Release, release


def _matmul(left: Any, right: Any) -> Any:
    return left @ right


def _convolve(images: Any, weights: Any) -> Any:
    import torch

    return torch.nn.functional.conv2d(images, weights, padding=1)


def _attend(query: Any, key: Any, value: Any) -> Any:
    import torch

    return torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)


def _scaled_matmul(left: Any, right: Any) -> Any:
    """Of fp8 operands with scales of 1, the result in bf16. The library wants the second operand column-major."""
    import torch

    one = _one(left.device)
    return torch._scaled_mm(left, right.t().contiguous().t(), one, one, out_dtype=torch.bfloat16)


@cache
def _one(device: Any) -> Any:
    """A scale of 1, made once: its kernel would be timed with the product."""
    import torch

    return torch.ones((), device=device)


def _assert_async(value: Any) -> None:
    import torch

    torch._assert_async(value)


def _arch_flags() -> list[str] | None:
    import torch

    # torch.cuda.get_arch_list() is empty without a GPU on older releases; the flags behind it are not.
    flags = getattr(torch._C, "_cuda_getArchFlags", None)
    text = flags() if flags else None
    return text.split() if text else None


def _time_call(call: Callable[[], Any], device: str) -> float:
    """Seconds that the device spent in one call, by its own events; what was queued before is not counted."""
    import torch

    if device == "cpu":
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    with torch.cuda.device(device):  # events are of the current one
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
    return float(begin.elapsed_time(end)) / 1000


def _capability(index: int) -> tuple[int, int]:
    import torch

    major, minor = torch.cuda.get_device_capability(index)
    return major, minor


def _cuda_memory(index: int) -> Any:
    from .memory import CudaMemory

    return CudaMemory(index)


def _library(name: str) -> Answer:
    return libraries.ask(name, ctypes.CDLL)


def _no_sample(sample: Mapping[str, Any]) -> None:
    """Where nobody listens, samples are dropped."""


@dataclass(frozen=True)
class Env:
    """Everything that a check may touch beside torch itself."""

    gpus: tuple[Gpu, ...] = ()
    """The GPUs that the driver shows."""
    config: Config = field(default_factory=Config)
    shared: Path | None = None
    """A folder in which checks of one run leave each other what they measured."""
    simulated: bool = False
    """Whether a fault replaced the GPU: then a check that needs one runs on the CPU."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    simulation: Mapping[str, Any] | None = None
    """What the allocator's arms run on in the place of a GPU: ``total`` bytes, ``layers``, ``steps``, and the workloads
    that are ``judged`` together."""
    part_fault: str = ""
    """What the processes that the check starts are told to do wrong."""
    load_library: Callable[[str], ctypes.CDLL] = ctypes.CDLL
    library: Callable[[str], Answer] = _library
    mapped: Callable[[], tuple[str, ...]] = libraries.mapped
    installed_version: Callable[[str], str | None] = installed.version_of
    pin: Callable[[str], str | None] = installed.pin_of
    which: Callable[[str], str | None] = shutil.which
    matmul: Callable[[Any, Any], Any] = _matmul
    scaled_matmul: Callable[[Any, Any], Any] = _scaled_matmul
    convolve: Callable[[Any, Any], Any] = _convolve
    attend: Callable[[Any, Any, Any], Any] = _attend
    assert_async: Callable[[Any], None] = _assert_async
    arch_flags: Callable[[], list[str] | None] = _arch_flags
    capability: Callable[[int], tuple[int, int]] = _capability
    driver_version: Callable[[], str | None] = lambda: driver.version(ctypes.CDLL)
    user_id: Callable[[], int] = os.getuid
    shm_path: str = "/dev/shm"
    statvfs: Callable[[str], Any] = os.statvfs
    memory: Callable[[int], Any] = _cuda_memory
    clock: Callable[[], float] = time.monotonic
    time_call: Callable[[Callable[[], Any], str], float] = _time_call
    sample: Callable[[Mapping[str, Any]], None] = _no_sample

    @property
    def torch_release(self) -> Release:
        """torch's release as numbers, from its files."""
        return release(installed.torch_version() or "")

    def devices(self) -> list[tuple[str, int | None]]:
        """Where to compute, as torch names it and with the GPU's index: every GPU that the driver shows, else the CPU.

        A GPU that torch then can't use raises torch's own error: what was to run there must not pass on the CPU.
        torch's count is not asked: it may be that of the driver's management library, which counts otherwise.
        """
        import torch

        if self.simulated or not self.gpus or torch.version.cuda is None:
            return [("cpu", None)]
        torch.cuda.init()
        return [(f"cuda:{index}", index) for index in range(len(self.gpus))]
