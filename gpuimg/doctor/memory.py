"""Whether the engine's machine has the memory that checking an image takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gpuimg.doctor.finding import Finding, Status, Subject, mend
from gpuimg.smoke.gpus import MEMORY_AN_IMAGE

_NAME: Final = "memory"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at the engine's memory, else at this machine's."""
    total = subject.info.memory_bytes if subject.info is not None else subject.machine.memory_bytes()
    if not total:
        yield Finding(check=_NAME, status=Status.SKIP, what="nobody tells how much there is")
    elif total < MEMORY_AN_IMAGE:
        yield Finding(
            check=_NAME,
            status=Status.WARN,
            what=f"{total / 2**30:.1f} GiB",
            why=f"checking an image may take {MEMORY_AN_IMAGE >> 30} GiB: two processes with torch and its libraries",
            mend=mend(subject, "give-more-memory"),
        )
    else:
        yield Finding(check=_NAME, status=Status.OK, what=f"{total / 2**30:.0f} GiB")
