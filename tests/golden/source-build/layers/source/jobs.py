"""How many compilers the machine can carry at once: printed for ``MAX_JOBS``. Runs in the builder, alone.

``jobs.py GIB`` allows one for each `GIB` GiB of memory that the build really has, and no more than it has CPUs. What
it has is the least of what the kernel would give (MemAvailable) and what the container's cgroup leaves of its limit.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

GIB = 2**30


def jobs(gib_per_job: int, root: Path = Path("/")) -> int:
    """Give the number of jobs, at least one. `root` is where ``proc`` and ``sys`` are mounted."""
    memory = min([available_bytes(root), *limits_bytes(root / "sys/fs/cgroup")])
    return max(1, min(cpus(root / "sys/fs/cgroup"), memory // (gib_per_job * GIB)))


def available_bytes(root: Path) -> int:
    """What the kernel could give without swapping."""
    for line in (root / "proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    raise SystemExit("gpuimg: /proc/meminfo has no MemAvailable: set --build-arg MAX_JOBS")


def limits_bytes(cgroup: Path) -> Iterator[int]:
    """What the container's limit leaves, in the words of cgroup 2 and of cgroup 1, if it has one."""
    pairs = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
    for limit, usage in pairs:
        if (cgroup / limit).is_file():
            text = (cgroup / limit).read_text().strip()
            if text != "max":
                yield max(0, int(text) - int((cgroup / usage).read_text()))


def cpus(cgroup: Path) -> int:
    """CPUs that this process may run on, or the share of time that its cgroup has."""
    count = len(os.sched_getaffinity(0))
    if (cgroup / "cpu.max").is_file():
        quota, period = (cgroup / "cpu.max").read_text().split()
        if quota != "max":
            count = min(count, max(1, int(quota) // int(period)))
    return count


if __name__ == "__main__":
    sys.stdout.write(f"{jobs(int(sys.argv[1]))}\n")
