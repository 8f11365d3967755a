"""Whether this machine's own shared memory serves DataLoaders: for ``verify --host`` and ``docker run --ipc host``.

Containers otherwise have one of their own, which ``--shm-size`` gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gpuimg.doctor.finding import Finding, Status, Subject, mend

_NAME: Final = "shm"
_PATH: Final = "/dev/shm"
_ENOUGH: Final = 2**30
"""Room for some batches of images; the 64 MiB that containers get by default hang DataLoaders."""
_UNITS: Final = {"": 0, "k": 10, "m": 20, "g": 30}


def check(subject: Subject) -> Iterator[Finding]:
    """Look at how /dev/shm is mounted."""
    mounts = subject.machine.read("/proc/self/mounts") or ""
    rows = [line.split() for line in mounts.splitlines()]
    options = next((row[3] for row in reversed(rows) if len(row) > 3 and row[1] == _PATH), None)
    if options is None:
        yield Finding(
            check=_NAME,
            status=Status.WARN if mounts else Status.SKIP,
            what=f"{_PATH} is not mounted" if mounts else f"how {_PATH} is mounted can't be read",
            why="DataLoaders with workers need it, with `gpuimg verify --host` and `docker run --ipc host`",
        )
        return
    size = re.search(r"(?:^|,)size=(\d+)([kmg]?)(?:,|$)", options)
    if size is None:
        yield Finding(check=_NAME, status=Status.OK, what="half of the memory")
        return
    count = int(size[1]) << _UNITS[size[2]]
    what = f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count >> 20} MiB"
    if count < _ENOUGH:
        yield Finding(
            check=_NAME,
            status=Status.WARN,
            what=what,
            why="DataLoaders with workers hang or die of a bus error, with `gpuimg verify --host` and"
            " `docker run --ipc host`; containers get what --shm-size says",
            mend=mend(subject, "grow-shm"),
        )
    else:
        yield Finding(check=_NAME, status=Status.OK, what=what)
