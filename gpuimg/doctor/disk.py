"""Whether the engine's disk has room for the images to build."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gpuimg.doctor.finding import Finding, Status, Subject, mend

_NAME: Final = "disk"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at where the engine keeps its images."""
    folder = subject.info.root_dir if subject.info is not None else ""
    if not folder or not subject.is_local:
        what = "the engine's machine is another one" if folder else "no engine to ask where its images lie"
        yield Finding(check=_NAME, status=Status.SKIP, what=what)
        return
    free = subject.machine.free_bytes(folder)
    if free is None:
        yield Finding(check=_NAME, status=Status.SKIP, what=f"{folder} can't be looked at by this user")
        return
    needed = needed_bytes(subject.image_bytes)
    many = f"{len(subject.image_bytes)} images" if len(subject.image_bytes) > 1 else "an image"
    what = f"{_gb(free)} free in {folder}"
    if free < needed:
        yield Finding(
            check=_NAME,
            status=Status.FAIL if free < max(subject.image_bytes) else Status.WARN,
            what=what,
            why=f"{many} and the work on it takes about {_gb(needed)}",
            mend=mend(subject, "free-disk"),
        )
    else:
        yield Finding(check=_NAME, status=Status.OK, what=f"{what}; {many} takes about {_gb(needed)} while it is built")


def needed_bytes(images: Sequence[int]) -> int:
    """What building `images` takes: they stay, and the largest is there once more while it is built."""
    return sum(images) + max(images)


def _gb(count: int) -> str:
    return f"{count / 1e9:.0f} GB" if count >= 10e9 else f"{count / 1e9:.1f} GB"
