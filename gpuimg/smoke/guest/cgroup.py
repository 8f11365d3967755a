"""The memory limit that the kernel holds this container to, and whether it has killed for it (cgroup v2 and v1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60  # v1 says "no limit" with a number near 2⁶³


def oom_kills(root: Path = _ROOT) -> int:
    """How many processes the kernel has killed here for memory so far; 0 where it doesn't tell."""
    for folder in _folders(root):
        for name in ("memory.events", "memory.oom_control"):
            match = re.search(r"^oom_kill (\d+)$", _read(folder / name), re.MULTILINE)
            if match:
                return int(match[1])
    return 0


def memory_limit(root: Path = _ROOT) -> int | None:
    """The limit in bytes, or None."""
    for folder in _folders(root):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _read(folder / name).strip()
            if text.isdigit():
                return int(text) if int(text) < _NO_LIMIT else None
    return None


def cpu_quota(root: Path = _ROOT) -> float | None:
    """How many CPUs' worth of time the cgroup may use, or None."""
    for folder in _folders(root):
        quota, _, period = _read(folder / "cpu.max").strip().partition(" ")
        if quota.isdigit() and period.isdigit():
            return int(quota) / int(period)
        quota, period = (_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
        if quota.isdigit() and period.isdigit():
            return int(quota) / int(period)
    return None


def _folders(root: Path) -> Iterator[Path]:
    """Where this process's limits may stand: its own group first, then the mount's root, which is a container's own."""
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield root / path.lstrip("/")
        for controller in controllers.split(","):
            if controller in ("memory", "cpu"):
                yield root / controller / path.lstrip("/")
    yield root
    yield root / "memory"
    yield root / "cpu"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
