"""Whether the clock is right: certificates and apt's release files are valid from a time on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

from gpuimg.doctor.finding import Finding, Status, Subject, mend

_NAME: Final = "clock"
_APART: Final = dt.timedelta(seconds=60)
"""More than asking takes."""
_DAY: Final = dt.timedelta(days=1)


def check(subject: Subject) -> Iterator[Finding]:
    """Compare our clock with the engine's, and with the date of gpuimg's own files."""
    theirs = subject.info.time if subject.info is not None else None
    if subject.made is not None and subject.now < subject.made - _DAY:
        yield Finding(
            check=_NAME,
            status=Status.FAIL,
            what=f"it says {_shown(subject.now)}, and gpuimg was installed at {_shown(subject.made)}",
            why="certificates that are valid look as if they weren't yet",
            mend=mend(subject, "set-clock"),
        )
    elif theirs is not None and abs(theirs - subject.now) > _APART:
        hours, seconds = divmod(round(abs(theirs - subject.now).total_seconds()), 3600)
        apart = f"{hours} h {seconds // 60} min" if hours else f"{seconds} s"
        yield Finding(
            check=_NAME,
            status=Status.WARN,
            what=f"the engine's is {apart} {'ahead of' if theirs > subject.now else 'behind'} this one",
            why="builds see the engine's: certificates and apt's release files may look too new or too old",
            mend=mend(subject, "set-clock"),
        )
    elif theirs is not None:
        yield Finding(check=_NAME, status=Status.OK, what="the same here and in the engine")
    else:
        yield Finding(check=_NAME, status=Status.OK, what=f"it says {_shown(subject.now)}; no engine to compare with")


def _shown(when: dt.datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"
