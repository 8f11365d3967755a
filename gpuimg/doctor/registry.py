"""The checks, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gpuimg.doctor import (
    buildkit,
    certificates,
    cgroups,
    clock,
    disk,
    driver,
    engine,
    memory,
    proxy,
    shm,
    stacks,
    toolkit,
    users,
)
from gpuimg.doctor.finding import Check

CHECKS: Final[Mapping[str, Check]] = {
    "engine": engine.check,
    "buildkit": buildkit.check,
    "driver": driver.check,
    "stacks": stacks.check,
    "toolkit": toolkit.check,
    "cgroups": cgroups.check,
    "users": users.check,
    "disk": disk.check,
    "memory": memory.check,
    "shm": shm.check,
    "proxy": proxy.check,
    "certificates": certificates.check,
    "clock": clock.check,
}
