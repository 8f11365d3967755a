"""Models of the CUDA caching allocator, with and without expandable segments: a test bed, never a measurement.

Constants as in c10/cuda/CUDACachingAllocator.cpp and c10/core/AllocatorConfig.h of torch 2.0 to 2.15: sizes round up to
512 B; up to 1 MiB comes from segments of 2 MiB; below 10 MiB from segments of 20 MiB; more from segments rounded to
2 MiB; best fit; a large block is split where more than 1 MiB would be left. Expandable: one growing segment for each
pool, mapped in pages of 2 and 20 MiB. Left out: cuBLAS workspaces, streams, what the driver itself costs.
"""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

MIB = 1 << 20
_ROUND, _SMALL, _SMALL_SEGMENT = 512, MIB, 2 * MIB
_MEDIUM, _LARGE_SEGMENT, _LARGE_ROUND = 10 * MIB, 20 * MIB, 2 * MIB
_PAGES = (2 * MIB, 20 * MIB)
_FAR = 1 << 44


class ReplayOutOfMemory(RuntimeError):
    """What torch.cuda.OutOfMemoryError is on a GPU."""


@dataclass
class Statistics:
    """Bytes and counts, by the names in ``torch.cuda.memory_stats``."""

    allocated: int = 0
    allocated_peak: int = 0
    reserved: int = 0
    reserved_peak: int = 0
    requested: int = 0
    retries: int = 0
    ooms: int = 0
    mallocs: int = 0

    def reset_peaks(self) -> None:
        self.allocated_peak, self.reserved_peak = self.allocated, self.reserved

    def as_torch(self) -> Mapping[str, int]:
        """The part of ``torch.cuda.memory_stats`` that the checks read."""
        return {
            "allocated_bytes.all.current": self.allocated,
            "allocated_bytes.all.peak": self.allocated_peak,
            "reserved_bytes.all.current": self.reserved,
            "reserved_bytes.all.peak": self.reserved_peak,
            "requested_bytes.all.current": self.requested,
            "active_bytes.all.current": self.allocated,
            "inactive_split_bytes.all.current": self.reserved - self.allocated,
            "num_alloc_retries": self.retries,
            "num_ooms": self.ooms,
            "segment.all.allocated": self.mallocs,
        }


class Allocator(ABC):
    """What both models share: counting, and one retry when the cap is reached."""

    expandable = False

    def __init__(self, cap: int | None = None) -> None:
        self.cap = cap
        self.statistics = Statistics()
        self._requested: dict[int, int] = {}

    def malloc(self, key: int, size: int) -> None:
        """Take `size` bytes under the name `key`. Raises ReplayOutOfMemory."""
        taken = self._take(key, max(_ROUND, -(-size // _ROUND) * _ROUND))
        self._requested[key] = size
        found = self.statistics
        found.requested += size
        found.allocated += taken
        found.allocated_peak = max(found.allocated_peak, found.allocated)

    def free(self, key: int) -> None:
        """Give back what `key` names."""
        found = self.statistics
        found.requested -= self._requested.pop(key)
        found.allocated -= self._give(key)

    def _reserve(self, size: int) -> None:
        """Make room for `size` bytes more from the device; `_release` gives back first what is cached, if it must."""
        found = self.statistics
        if self.cap is not None and found.reserved + size > self.cap:
            found.retries += 1
            self._release()
            size = self._still_needed(size)
            if found.reserved + size > self.cap:
                found.ooms += 1
                raise ReplayOutOfMemory(f"the cap of {self.cap} bytes holds no {size} bytes more")
        found.reserved += size
        found.reserved_peak = max(found.reserved_peak, found.reserved)

    def _still_needed(self, size: int) -> int:
        return size

    @abstractmethod
    def _take(self, key: int, size: int) -> int:
        """Take `size` bytes, already rounded; gives how many they became."""

    @abstractmethod
    def _give(self, key: int) -> int:
        """Give back what `key` names; gives how many bytes."""

    @abstractmethod
    def _release(self) -> None:
        """Give to the device what is cached and can be given."""


@dataclass(eq=False)
class _Block:
    """A piece of a segment, linked to its neighbours there."""

    address: int
    size: int
    large: bool
    free: bool = False
    before: _Block | None = None
    after: _Block | None = None


@dataclass
class _Pool:
    """Free blocks by size, then address."""

    keys: list[tuple[int, int]] = field(default_factory=list)
    blocks: list[_Block] = field(default_factory=list)

    def add(self, block: _Block) -> None:
        key = (block.size, block.address)
        place = bisect.bisect_left(self.keys, key)
        self.keys.insert(place, key)
        self.blocks.insert(place, block)
        block.free = True

    def remove(self, block: _Block) -> None:
        place = bisect.bisect_left(self.keys, (block.size, block.address))
        del self.keys[place], self.blocks[place]
        block.free = False

    def smallest(self, size: int) -> _Block | None:
        place = bisect.bisect_left(self.keys, (size, -1))
        return self.blocks[place] if place < len(self.keys) else None


class Segments(Allocator):
    """torch's default: a segment a cudaMalloc, split and cached."""

    def __init__(self, cap: int | None = None) -> None:
        super().__init__(cap)
        self._pools = {False: _Pool(), True: _Pool()}
        self._owned: dict[int, _Block] = {}
        self._next_address = 0

    def _take(self, key: int, size: int) -> int:
        large = size > _SMALL
        pool = self._pools[large]
        block = pool.smallest(size)
        if block is None:
            block = self._new_segment(size, large)
        else:
            pool.remove(block)
        rest = block.size - size
        if rest > _SMALL if large else rest >= _ROUND:
            after = _Block(block.address + size, rest, large, before=block, after=block.after)
            if block.after is not None:
                block.after.before = after
            block.size, block.after = size, after
            pool.add(after)
        self._owned[key] = block
        return block.size

    def _new_segment(self, size: int, large: bool) -> _Block:
        length = (
            _SMALL_SEGMENT
            if not large
            else _LARGE_SEGMENT
            if size < _MEDIUM
            else -(-size // _LARGE_ROUND) * _LARGE_ROUND
        )
        self._reserve(length)
        self.statistics.mallocs += 1
        self._next_address += _FAR
        return _Block(self._next_address, length, large)

    def _give(self, key: int) -> int:
        block = self._owned.pop(key)
        given, pool = block.size, self._pools[block.large]
        after, before = block.after, block.before
        if after is not None and after.free:
            pool.remove(after)
            _join(block, after)
        if before is not None and before.free:
            pool.remove(before)
            _join(before, block)
            block = before
        pool.add(block)
        return given

    def _release(self) -> None:
        for pool in self._pools.values():
            for block in [item for item in pool.blocks if item.before is None and item.after is None]:
                pool.remove(block)
                self.statistics.reserved -= block.size


def _join(block: _Block, after: _Block) -> None:
    block.size += after.size
    block.after = after.after
    if block.after is not None:
        block.after.before = block


class Expandable(Allocator):
    """expandable_segments:True: one segment for each pool that grows, backed by pages where it is used."""

    expandable = True

    def __init__(self, cap: int | None = None) -> None:
        super().__init__(cap)
        self._mapped: tuple[set[int], set[int]] = (set(), set())
        self._free: tuple[list[list[int]], list[list[int]]] = ([], [])  # [address, size], by address
        self._ends = [0, 0]
        self._owned: dict[int, tuple[int, int, int]] = {}
        self._wanted = (0, 0, 0)

    def _take(self, key: int, size: int) -> int:
        pool = int(size > _SMALL)
        spans = self._free[pool]
        place = self._best(pool, size)
        if place is None:
            place = next((number for number, (_, length) in enumerate(spans) if length >= size), None)
            if place is None:
                place = self._grow(pool, size)
            self._wanted = (pool, spans[place][0], size)
            missing = self._missing(*self._wanted)
            self._reserve(len(missing) * _PAGES[pool])
            missing = self._missing(*self._wanted)  # making room may have unmapped some
            self._mapped[pool].update(missing)
            self.statistics.mallocs += len(missing)
        address, length = spans[place]
        if length == size:
            del spans[place]
        else:
            spans[place] = [address + size, length - size]
        self._owned[key] = (pool, address, size)
        return size

    def _best(self, pool: int, size: int) -> int | None:
        """The smallest free span that holds `size` bytes and is mapped there."""
        best = None
        spans = self._free[pool]
        for number, (address, length) in enumerate(spans):
            if length >= size and (best is None or length < spans[best][1]) and not self._missing(pool, address, size):
                best = number
        return best

    def _grow(self, pool: int, size: int) -> int:
        spans = self._free[pool]
        if spans and sum(spans[-1]) == self._ends[pool]:
            self._ends[pool] += size - spans[-1][1]
            spans[-1][1] = size
        else:
            spans.append([self._ends[pool], size])
            self._ends[pool] += size
        return len(spans) - 1

    def _missing(self, pool: int, address: int, size: int) -> list[int]:
        page, mapped = _PAGES[pool], self._mapped[pool]
        return [number for number in range(address // page, (address + size - 1) // page + 1) if number not in mapped]

    def _still_needed(self, size: int) -> int:
        del size
        pool, address, length = self._wanted
        return len(self._missing(pool, address, length)) * _PAGES[pool]

    def _release(self) -> None:
        for pool, page in enumerate(_PAGES):
            spans = [*self._free[pool], [self._ends[pool], _FAR]]
            idle = {
                number
                for address, length in spans
                for number in self._mapped[pool]
                if number * page >= address and (number + 1) * page <= address + length
            }
            self._mapped[pool].difference_update(idle)
            self.statistics.reserved -= len(idle) * page

    def _give(self, key: int) -> int:
        pool, address, size = self._owned.pop(key)
        spans = self._free[pool]
        place = bisect.bisect_left(spans, [address, 0])
        spans.insert(place, [address, size])
        if place + 1 < len(spans) and address + size == spans[place + 1][0]:
            spans[place][1] += spans.pop(place + 1)[1]
        if place and sum(spans[place - 1]) == address:
            spans[place - 1][1] += spans.pop(place)[1]
        return size
