"""A GPU's memory without a GPU: what runs on torch's meta device is replayed through a model of the allocator."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Callable

from .known import parse_allocator
from .memory import GIB
from .replay import Allocator, Expandable, ReplayOutOfMemory, Segments


class SimulatedMemory:
    """As `memory.CudaMemory`, as far as the arms of a comparison need it.

    `setting` is an allocator setting; `retries` have been counted before the first allocation.
    """

    device = "meta"
    out_of_memory = ReplayOutOfMemory

    def __init__(self, setting: str, *, total: int = 80 * GIB, retries: int = 0) -> None:
        options = dict(parse_allocator(setting)) if setting else {}
        self._total = total
        self._allocator: Allocator = Expandable() if options.get("expandable_segments") == "True" else Segments()
        self._allocator.statistics.retries = retries

    def free_and_total(self) -> tuple[int, int]:
        return self._total - self._allocator.statistics.reserved, self._total

    def stats(self) -> Mapping[str, int]:
        return self._allocator.statistics.as_torch()

    def reset_peaks(self) -> None:
        self._allocator.statistics.reset_peaks()

    def limit(self, cap_bytes: int) -> None:
        self._allocator.cap = cap_bytes

    def snapshot(self) -> Mapping[str, Any]:
        return {"segments": [{"is_expandable": self._allocator.expandable}]}

    def timed(self, call: Callable[[], Any]) -> float:
        """Seconds of one call: of the processor that records it, so that only its ratio to another means something."""
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Within it, storages on the meta device are taken from the model as they appear, and given back as they go."""
        import torch
        from torch.utils._python_dispatch import TorchDispatchMode
        from torch.utils._pytree import tree_flatten

        allocator = self._allocator
        alive: dict[int, int] = {}
        numbers = iter(range(1, 1 << 62))

        def gone(key: int) -> None:
            number = alive.pop(key, None)
            if number is not None:
                allocator.free(number)

        class Recorder(TorchDispatchMode):  # type: ignore[misc]
            def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                del types
                result = function(*args, **(kwargs or {}))
                for item in tree_flatten(result)[0]:
                    if not isinstance(item, torch.Tensor) or item.device.type != "meta":
                        continue
                    storage = item.untyped_storage()
                    key = storage._cdata
                    if key not in alive and storage.nbytes():
                        number = next(numbers)
                        allocator.malloc(number, storage.nbytes())
                        alive[key] = number
                        weakref.finalize(storage, gone, key)
                return result

        with Recorder():
            yield
