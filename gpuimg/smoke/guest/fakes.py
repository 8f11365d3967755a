"""A caching allocator on the CPU, with the statistics of the real one and, on request, a fault."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from typing import Any

from .memory import GIB

_SEGMENT = 20 << 20


class FakeOutOfMemory(RuntimeError):
    """What torch.cuda.OutOfMemoryError is on a GPU."""


class FakeMemory:
    """As `memory.CudaMemory`, on the CPU. `fault` names what it does wrong, or is empty."""

    device = "cpu"
    out_of_memory = FakeOutOfMemory

    def __init__(self, fault: str = "", settings: Mapping[str, Any] | None = None, total: int = 4 * GIB) -> None:
        import torch

        self._torch = torch
        self._fault = fault
        self._settings = settings or {}
        self._total = self._cap = total
        self._held = self._reserved = self._ooms = 0
        self._numbers = 0

    def free_and_total(self) -> tuple[int, int]:
        return self._total - self._held, self._total

    def stats(self) -> Mapping[str, int]:
        return {
            "allocated_bytes.all.current": self._held,
            "reserved_bytes.all.current": self._reserved,
            "num_ooms": self._ooms,
            "num_alloc_retries": 0,
        }

    def allocated(self) -> int:
        return self._held

    def reserved(self) -> int:
        return self._reserved

    def snapshot(self) -> Mapping[str, Any]:
        works = self._fault != "not_expandable" and bool(self._settings.get("expandable_segments"))
        segment = {"is_expandable": works}
        return {"segments": [segment], "allocator_settings": self._settings}

    def limit(self, cap_bytes: int) -> None:
        self._cap = cap_bytes

    def collect(self) -> None:
        gc.collect()

    def release(self) -> bool:
        gc.collect()
        self._reserved = self._held
        return True

    def filled(self, elements: int, value: int) -> Any:
        tensor = self._track(self._torch.full((elements,), value, dtype=self._torch.int32), elements * 4)
        self._numbers += 1
        if self._fault == "corruption" and self._numbers == 1000:
            tensor[0] += 1
        return tensor

    def wrong(self, tensor: Any, value: int) -> Any:
        return (tensor != value).sum()

    def take(self, size_bytes: int) -> Any:
        if self._held + size_bytes > self._cap:
            if self._fault == "no_refusal":
                return object()
            if self._fault != "not_counted":
                self._ooms += 1
            if self._fault == "held_after_oom":
                self._held += 512
            raise FakeOutOfMemory(f"tried to allocate {size_bytes} bytes")
        return self._track(self._torch.empty(1, dtype=self._torch.uint8), size_bytes)

    def spare(self) -> int:
        return 8 * GIB

    def trainer(self) -> Any:
        return _FakeTrainer(self, self._fault)

    def _track(self, tensor: Any, size_bytes: int) -> Any:
        self._held += size_bytes
        self._reserved = max(self._reserved, -(-self._held // _SEGMENT) * _SEGMENT)
        weakref.finalize(tensor, self._drop, size_bytes)
        return tensor

    def _drop(self, size_bytes: int) -> None:
        self._held -= size_bytes


class _FakeTrainer:
    """Takes and frees as a training step does; its loss depends on weights that only `step` changes."""

    name = "fake"
    token_bytes = 1 << 20

    def __init__(self, memory: FakeMemory, fault: str) -> None:
        self._memory = memory
        self._fault = fault
        self._weights = memory.take(64 << 20)
        self._leaked: dict[int, Any] = {}
        self._calls = 0

    def step(self, length: int = 128) -> None:
        self._calls += 1
        activations = [self._memory.take((size << 20) * length // 128) for size in (8, 16, 4)]
        del activations
        if self._fault == "creep":
            self._memory._reserved += 2 << 20
        if self._fault == "leak":
            self._leaked[self._calls] = self._memory.take(512)
        if self._fault == "growth" and self._calls > 25:
            self._memory._reserved += 2 << 20

    def loss(self) -> float:
        self._calls += 1
        activations = self._memory.take(16 << 20)
        del activations
        return 10.0 + (0.01 * self._calls if self._fault == "other_loss" else 0.0)
