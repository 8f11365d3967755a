"""Which Linux distribution a machine runs: what its os-release says of it and of those that it is like."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final

from gpuimg.machine.machine import Machine
from gpuimg.text import printable, shorten

_FILES: Final = ("/etc/os-release", "/usr/lib/os-release")
"""The second counts where there is no first: os-release(5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A distribution, and what it descends from."""

    name: str
    """As people know it; empty where the machine doesn't say."""
    ids: tuple[str, ...] = ()
    """Its own ID, then those that it is like, nearest first: ``("rocky", "rhel", "centos", "fedora")``."""
    wsl: bool = False
    """Whether Windows runs it."""
    systemd: bool = False
    """Whether systemd manages its services."""


def read_distribution(machine: Machine) -> Distribution:
    """Read os-release. A machine without one has a distribution without a name."""
    text = next((text for file in _FILES if (text := machine.read(file)) is not None), "")
    fields = dict(_field(line) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    ids = [fields.get("ID", "").lower(), *fields.get("ID_LIKE", "").lower().split()]
    kernel = machine.read("/proc/sys/kernel/osrelease") or ""
    return Distribution(
        name=shorten(printable(fields.get("PRETTY_NAME") or fields.get("NAME") or ""), 60),
        ids=tuple(dict.fromkeys(name for name in ids if name)),
        wsl="microsoft" in kernel.lower(),
        systemd=machine.exists("/run/systemd/system"),
    )


def _field(line: str) -> tuple[str, str]:
    """Name and value of an assignment as a shell reads it; as it stands where a shell would refuse it."""
    name, _, value = line.partition("=")
    try:
        return name.strip(), " ".join(shlex.split(value))
    except ValueError:
        return name.strip(), value.strip()
