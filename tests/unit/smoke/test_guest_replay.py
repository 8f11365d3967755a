"""The models of the allocator: segments, splitting, merging, pages, and the one retry at the cap."""

from __future__ import annotations

import random

import pytest

from gpuimg.smoke.guest.replay import MIB, Allocator, Expandable, ReplayOutOfMemory, Segments

_MODELS = pytest.mark.parametrize("model", [Segments, Expandable])


@pytest.mark.parametrize(
    ("size", "segment"),
    [
        (1, 2 * MIB),
        (MIB, 2 * MIB),
        (MIB + 1, 20 * MIB),
        (10 * MIB - 512, 20 * MIB),
        (10 * MIB, 10 * MIB),
        (33 * MIB, 34 * MIB),
    ],
)
def test_segments_have_the_sizes_of_torch(size: int, segment: int) -> None:
    model = Segments()
    model.malloc(1, size)
    assert model.statistics.reserved == segment
    assert model.statistics.requested == size


@pytest.mark.parametrize(("size", "pages"), [(MIB, 2 * MIB), (3 * MIB, 20 * MIB), (30 * MIB, 40 * MIB)])
def test_expandable_segments_grow_by_pages(size: int, pages: int) -> None:
    model = Expandable()
    model.malloc(1, size)
    assert model.statistics.reserved == pages


def test_freed_neighbours_join_and_serve_again() -> None:
    model = Segments()
    for key in (1, 2, 3):
        model.malloc(key, 4 * MIB)
    for key in (1, 3, 2):
        model.free(key)
    model.malloc(4, 9 * MIB)
    assert (model.statistics.reserved, model.statistics.mallocs) == (20 * MIB, 1)


def test_block_that_is_too_small_for_all_is_what_fragments() -> None:
    """A longer sequence than any before needs a new segment; expandable, the old pages serve."""
    peaks = []
    for model in (Segments(), Expandable()):
        for key, size in enumerate((100 * MIB, 120 * MIB, 140 * MIB)):
            model.malloc(key, size)
            model.free(key)
        peaks.append(model.statistics.reserved_peak)
    assert peaks == [360 * MIB, 140 * MIB]


@pytest.mark.parametrize(("model", "freed"), [(Segments, 1), (Expandable, 0)])
def test_cap_frees_the_cache_and_then_refuses(model: type[Allocator], freed: int) -> None:
    """torch's default must give its cached segment back to take a larger one; expandable, it grows in its place."""
    allocator = model(64 * MIB)
    allocator.malloc(1, 40 * MIB)
    allocator.free(1)
    allocator.malloc(2, 60 * MIB)
    assert (allocator.statistics.retries, allocator.statistics.ooms) == (freed, 0)
    with pytest.raises(ReplayOutOfMemory):
        allocator.malloc(3, 60 * MIB)
    assert (allocator.statistics.retries, allocator.statistics.ooms) == (freed + 1, 1)


@_MODELS
@pytest.mark.parametrize("seed", range(5))
def test_any_history_keeps_the_books(model: type[Allocator], seed: int) -> None:
    """Nothing is allocated beyond what is reserved; once all is free, nothing is allocated, and all fits again."""
    choose = random.Random(seed)
    allocator = model()
    alive: list[int] = []
    for key in range(2000):
        allocator.malloc(key, int(2 ** choose.uniform(0, 27)))
        alive.append(key)
        while len(alive) > choose.randint(0, 40):
            allocator.free(alive.pop(choose.randrange(len(alive))))
        assert 0 <= allocator.statistics.requested <= allocator.statistics.allocated <= allocator.statistics.reserved
    for key in alive:
        allocator.free(key)
    assert (allocator.statistics.allocated, allocator.statistics.requested) == (0, 0)
    reserved = allocator.statistics.reserved
    allocator.malloc(-1, 64 * MIB)
    assert allocator.statistics.reserved == reserved
