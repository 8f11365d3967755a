"""A GPU's caching allocator as the allocator checks see it. `fakes.FakeMemory` has the same members on the CPU."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

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

    def allocated(self) -> int:
        return int(self.stats().get("allocated_bytes.all.current", 0))

    def reserved(self) -> int:
        return int(self.stats().get("reserved_bytes.all.current", 0))

    def snapshot(self) -> Mapping[str, Any]:
        return dict(self._torch.cuda.memory._snapshot())

    def limit(self, cap_bytes: int) -> None:
        """Let torch reserve no more than this on the GPU."""
        _, total = self.free_and_total()
        self._torch.cuda.set_per_process_memory_fraction(min(1.0, cap_bytes / total), self.device)

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
        from .workload import Trainer

        free, _ = self.free_and_total()
        if free < 3 * GIB:
            raise Skip(f"{free / GIB:.1f} GiB are free on {self.device}, and the workload needs 3")
        return Trainer(self.device, large=free >= 8 * GIB)


def expandable(segments: list[Mapping[str, Any]]) -> int:
    """How many segments of a snapshot are expandable."""
    return sum(bool(segment.get("is_expandable")) for segment in segments)


def series(samples: list[Mapping[str, int]]) -> dict[str, list[int]]:
    """Samples as one list a key, as plots want them."""
    return {key: [sample[key] for sample in samples] for key in (samples[0] if samples else ())}
