"""dataloader.workers_* and dataloader.pin_memory: batches that DataLoader's workers hand over through shared memory."""

from __future__ import annotations

from typing import Any

from ..config import Expect
from ..env import Env
from ..outcome import Outcome, failed, on_gpu, verdict
from .dataloader import REMEDY

_WORKERS = 2
_SMALLEST_BYTES, _LARGEST_BYTES = 1 << 20, 256 << 20
_BEYOND_BYTES = 16 << 20
_TIMEOUT_S = 30
_PINNED_BYTES = 16 << 20


class Batches:
    """A dataset of batches of bytes, each filled with its own number."""

    def __init__(self, count: int, size_bytes: int, *, first: int = 1) -> None:
        self.count, self.size_bytes, self.first = count, size_bytes, first

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Any:
        import torch

        return torch.full((self.size_bytes,), self.first + number, dtype=torch.uint8)


def workers_fork(env: Env, expect: Expect) -> Outcome:
    """Two workers started by fork each send one batch of up to 256 MiB, a quarter of what /dev/shm has free.

    Both are held at once and added up. Bound, as for the other ways to start: both arrive, and the sums are exact.
    """
    return _workers(env, expect, "fork")


def workers_spawn(env: Env, expect: Expect) -> Outcome:
    """The same with workers that are started anew."""
    return _workers(env, expect, "spawn")


def workers_forkserver(env: Env, expect: Expect) -> Outcome:
    """The same with workers from a fork server, the default of Python from 3.14 on."""
    return _workers(env, expect, "forkserver")


def pin_memory(env: Env, expect: Expect) -> Outcome:
    """Pinned batches, copied to the GPU. Bound: equal there."""
    del expect
    device, index = env.devices()[0]
    loader = _loader(Batches(4, _PINNED_BYTES), "fork", pin_memory=device != "cpu")
    wrong = 0
    for number, batch in enumerate(loader):
        if device != "cpu" and not batch.is_pinned():
            return on_gpu(failed("the batches are not pinned", expected="pinned batches"), index)
        wrong += int((batch.to(device, non_blocking=True) != number + 1).sum())
    outcome = verdict(
        [f"{wrong} bytes are wrong on the GPU"] if wrong else [],
        measured={"batches": (4, "count"), "wrong_bytes": (wrong, "count")},
        expected="0 wrong bytes",
    )
    return on_gpu(outcome, index)


def _workers(env: Env, expect: Expect, method: str) -> Outcome:
    del expect
    import torch

    free = _free(env)
    size = min(max(free // 4, _SMALLEST_BYTES), _LARGEST_BYTES)
    if env.part_fault == "too_large":
        found = env.statvfs(env.shm_path)
        size = found.f_blocks * found.f_frsize + _BEYOND_BYTES
    expected = "both batches arrive, and their sums are exact"
    measured: dict[str, Any] = {"batch": (size, "bytes"), "workers": (_WORKERS, "count")}
    held = []
    try:
        for batch in _loader(Batches(_WORKERS, size, first=2 if env.part_fault == "wrong" else 1), method):
            held.append(batch)  # noqa: PERF402 - what has arrived is counted where the next does not
    except RuntimeError as error:
        # What a worker died of is in the error that this one came from, which may be empty, or in what it printed: up
        # to 2.9 it dies of SIGBUS, from 2.13 on it prints what it lacks. In all of them it is most often shared memory.
        text = str(error.__cause__ or "").strip() or str(error)
        return failed(
            f"{len(held)} of {_WORKERS} batches arrived: {text.splitlines()[0]}",
            measured=measured,
            expected=expected,
            remedy=REMEDY,
        )
    sums = [int(batch.sum(dtype=torch.int64)) for batch in held]
    wanted = [(number + 1) * size for number in range(_WORKERS)]
    problems = [] if sums == wanted else [f"the sums are {sums} instead of {wanted}"]
    return verdict(problems, measured=measured, expected=expected)


def _loader(batches: Batches, method: str, *, pin_memory: bool = False) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(
        batches,
        batch_size=None,
        num_workers=_WORKERS,
        multiprocessing_context=method,
        prefetch_factor=1,
        timeout=_TIMEOUT_S,
        pin_memory=pin_memory,
    )


def _free(env: Env) -> int:
    try:
        found = env.statvfs(env.shm_path)
    except OSError:
        return 0
    return int(found.f_bavail * found.f_frsize)
