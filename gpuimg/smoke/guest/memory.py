"""A GPU's caching allocator as the allocator checks see it. `fakes.FakeMemory` has the same members on the CPU."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Callable

from . import workload
from .outcome import Skip

GIB = 1 << 30


class CudaMemory:
    """The allocator of one GPU, through ``torch.cuda``."""

    def __init__(self, index: int) -> None:
        import torch

        self._torch = torch
        self.device = f"cuda:{index}"
        torch.cuda.set_device(index)
        self.out_of_memory = torch.cuda.OutOfMemoryError

    def free_and_total(self) -> tuple[int, int]:
        """As the driver sees it, with what other processes hold."""
        free, total = self._torch.cuda.mem_get_info(self.device)
        return int(free), int(total)

    def stats(self) -> Mapping[str, Any]:
        """``torch.cuda.memory_stats``, after all queued work."""
        self._torch.cuda.synchronize(self.device)
        return dict(self._torch.cuda.memory_stats(self.device))

    def reset_peaks(self) -> None:
        self._torch.cuda.reset_peak_memory_stats(self.device)

    def timed(self, call: Callable[[], Any]) -> float:
        """Seconds of one call on the device, by its own events."""
        begin, end = (self._torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1000

    def recording(self) -> AbstractContextManager[None]:
        """Nothing: the GPU's own allocator counts."""
        return nullcontext()

    def allocated(self) -> int:
        return int(self.stats().get("allocated_bytes.all.current", 0))

    def reserved(self) -> int:
        return int(self.stats().get("reserved_bytes.all.current", 0))

    def snapshot(self) -> Mapping[str, Any]:
        """As ``torch.cuda.memory._snapshot``; empty for a backend that has none, which would raise."""
        if self._torch.cuda.get_allocator_backend() != "native":
            return {"segments": []}
        return dict(self._torch.cuda.memory._snapshot())

    def limit(self, cap_bytes: int) -> None:
        """Let torch reserve no more than this on the GPU."""
        _, total = self.free_and_total()
        self._torch.cuda.set_per_process_memory_fraction(min(1.0, cap_bytes / total), self.device)

    def spare(self) -> int:
        """What a step may still take: what is free, and what is cached."""
        stats = self.stats()
        cached = stats.get("reserved_bytes.all.current", 0) - stats.get("allocated_bytes.all.current", 0)
        return self.free_and_total()[0] + int(cached)

    def collect(self) -> None:
        """Drop what Python no longer reaches."""
        gc.collect()
        self._torch.cuda.synchronize(self.device)

    def release(self) -> bool:
        """Give everything that can be given back; whether cuBLAS's workspaces are among it."""
        self.collect()
        clear = getattr(self._torch._C, "_cuda_clearCublasWorkspaces", None)
        if clear is not None:
            clear()
        self._torch.cuda.empty_cache()
        return clear is not None

    def filled(self, elements: int, value: int) -> Any:
        """A tensor of `elements` 32-bit integers that all are `value`."""
        return self._torch.full((elements,), value, dtype=self._torch.int32, device=self.device)

    def wrong(self, tensor: Any, value: int) -> Any:
        """How many elements are not `value`, as a tensor: adding those up needs no synchronisation."""
        return (tensor != value).sum()

    def take(self, size_bytes: int) -> Any:
        """A tensor of `size_bytes`."""
        return self._torch.empty(size_bytes, dtype=self._torch.uint8, device=self.device)

    def trainer(self) -> Any:
        """A training run that fits: BERT-large, below 8 GiB of free memory BERT-base. Raises Skip below 3 GiB."""
        return workload.Trainer(self.device, fitting_shape(workload.BERT, self.free_and_total()[0]))


def fitting_shape(name: str, free: int, *, small: bool = False) -> workload.Shape:
    """The size of a workload's network for so many bytes free. Raises Skip where not even the small one fits."""
    if free < 3 * GIB:
        raise Skip(f"{free / GIB:.1f} GiB are free on the GPU, and the workload needs 3")
    large = free >= 8 * GIB and not small
    if name == workload.MIXTURE:
        return workload.MOE if free >= 16 * GIB and not small else workload.SMALL_MOE
    return workload.LARGE if large else workload.BASE


def expandable(segments: list[Mapping[str, Any]]) -> int:
    """How many segments of a snapshot are expandable."""
    return sum(bool(segment.get("is_expandable")) for segment in segments)


def series(samples: list[Mapping[str, int]]) -> dict[str, list[int]]:
    """Samples as one list a key, as plots want them."""
    return {key: [sample[key] for sample in samples] for key in (samples[0] if samples else ())}
