"""Group `dataloader`: what DataLoader's workers need of the container."""

from __future__ import annotations

from ..config import Expect
from ..env import Env
from ..outcome import Outcome, failed, verdict

_FREE_BYTES = 1 << 30
_WORKERS, _PREFETCH = 8, 2
_BATCH_BYTES = 64 * 3 * 224 * 224 * 4  # 64 images in fp32
REMEDY = (
    "start the container with `--shm-size 8g` or `--ipc=host`; "
    "on Kubernetes mount an emptyDir of medium Memory at /dev/shm"
)


def shm(env: Env, expect: Expect) -> Outcome:
    """Free shared memory. Bound: 1 GiB, because 8 workers × 2 batches of 64 images in fp32 hold 616 MB at once.

    An engine's default of 64 MiB holds not even two such batches: workers then die of SIGBUS.
    """
    del expect
    needed = _WORKERS * _PREFETCH * _BATCH_BYTES
    try:
        found = env.statvfs(env.shm_path)
    except OSError as error:
        return failed(f"{env.shm_path}: {error.strerror}", expected="≥ 1 GiB free", remedy=REMEDY)
    free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    problems = []
    if free < _FREE_BYTES:
        problems.append(f"{env.shm_path} has {free / 2**20:.0f} MiB free of {total / 2**20:.0f} MiB")
    return verdict(
        problems,
        measured={"free": (free, "bytes"), "total": (total, "bytes"), "needed": (needed, "bytes")},
        expected="≥ 1 GiB free",
        remedy=REMEDY,
    )
