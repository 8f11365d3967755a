"""What a check finds, and what it looks at."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gpuimg.doctor.engine_state import EngineState
from gpuimg.engine.info import EngineInfo
from gpuimg.facts import HostFacts, Matrix, Stack
from gpuimg.machine import Distribution, Machine, Nvidia
from gpuimg.versions import Platform

_CONTAINERS: Final = ("/.dockerenv", "/run/.containerenv")
"""What Docker and Podman put into containers, which see the kernel of the engine's machine and none of its files."""


class Status(enum.Enum):
    """How bad it is, best first."""

    OK = "OK"
    SKIP = "SKIP"
    """Nothing to look at here, or nobody who could tell."""
    WARN = "WARN"
    """It works, and will disappoint."""
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend:
    """What helps: commands in order, and what no command can do."""

    commands: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    def __add__(self, other: Mend) -> Mend:
        return Mend(commands=self.commands + other.commands, hints=self.hints + other.hints)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found: `what` in a line, `why` it matters, what mends it."""

    check: str
    status: Status
    what: str
    why: str = ""
    mend: Mend = Mend()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The host, as checks see it: all was asked before."""

    machine: Machine
    distribution: Distribution
    platform: Platform | None
    """Of this machine; None: one that no image is built for."""
    nvidia: Nvidia
    """Driver and GPUs of this machine."""
    engine: EngineState
    matrix: Matrix
    hosts: HostFacts
    stacks: tuple[Stack, ...] = ()
    """Those that the user asked for; none: any."""
    image_bytes: tuple[int, ...]
    """How large each image to build gets, about."""
    now: dt.datetime
    made: dt.datetime | None
    """Date of the newest file of gpuimg itself, which no right clock is before."""

    @property
    def info(self) -> EngineInfo | None:
        """What the engine said; None: it doesn't answer."""
        return self.engine.info

    @property
    def is_local(self) -> bool:
        """Whether the engine runs on this machine, so that this machine's files are those that it sees."""
        if self.engine.host and not self.engine.host.startswith("unix://"):
            return False
        if self.info is None:
            return True
        kernel, name = (self._kernel_says(what) for what in ("osrelease", "hostname"))
        in_container = any(self.machine.exists(path) for path in _CONTAINERS)
        if in_container and self.info.text("Name") != name:
            return False
        return not self.info.is_desktop and self.info.kernel in {"", kernel}

    @property
    def shares_gpus(self) -> bool:
        """Whether the engine's GPUs are this machine's: Docker Desktop on Windows has those of WSL."""
        return self.is_local or (self.distribution.wsl and self.info is not None and self.info.is_desktop)

    def _kernel_says(self, what: str) -> str:
        return (self.machine.read(f"/proc/sys/kernel/{what}") or "").strip()


Check = Callable[[Subject], Iterable[Finding]]


def mend(subject: Subject, *problems: str, file: str = "") -> Mend:
    """What mends `problems` in their order on the subject's distribution.

    Args:
        file: what ``{file}`` stands for, quoted for a shell.
    """
    found = Mend()
    for problem in problems:
        found += _mend(subject, problem, file=file)
    return found


def restarted(subject: Subject) -> Mend:
    """What restarts the engine, however it was started."""
    if subject.info is not None and subject.info.is_rootless:
        return mend(subject, "restart-engine-rootless")
    return mend(subject, "restart-engine" if subject.distribution.systemd else "restart-engine-without-systemd")


def _mend(subject: Subject, problem: str, *, file: str) -> Mend:
    rows = {row.distribution: row for row in subject.hosts.remedies if row.problem == problem}
    for name in _families(subject.distribution):
        if name in rows:
            row = rows[name]
            return Mend(commands=_filled(row.commands, file), hints=_filled(row.hints, file))
    raise LookupError(f"matrices/remedies.yaml has no row of {problem} for any distribution")


def _families(distribution: Distribution) -> Sequence[str]:
    return (*(["wsl"] if distribution.wsl else []), *distribution.ids, "any")


def _filled(texts: tuple[str, ...], file: str) -> tuple[str, ...]:
    return tuple(text.replace("{file}", file) for text in texts)
