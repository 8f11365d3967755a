"""Which checks run, and which of those can't here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .config import Config, ConfigError, nearest
from .driver import Probe
from .faults import find_fault
from .outcome import Outcome, failed, skipped
from .registry import CHECKS, Check
from .versions import Release, dotted

_HOST_GPU = "host.gpu"


def plan(config: Config) -> tuple[Check, ...]:
    """The checks to run, in the registry's order. Raises ConfigError for a name that matches nothing.

    A GPU that was asked for is always looked for, unless that check is skipped by name: otherwise ``only`` could leave
    nothing but SKIPs on a machine whose GPU doesn't work.
    """
    only, skip = _matching(config.only, "only"), _matching(config.skip, "skip")
    names = (only if config.only else set(CHECKS)) - skip
    if config.gpus_requested and _HOST_GPU not in skip:
        names.add(_HOST_GPU)
    for name, fault in config.inject.items():
        if name not in CHECKS:
            raise ConfigError(f"inject: `{name}` is no check{nearest(name, CHECKS)}")
        find_fault(name, fault)
    return tuple(check for check in CHECKS.values() if check.name in names)


@dataclass(frozen=True)
class Machine:
    """What the parent found before the first check."""

    probe: Probe
    torch: Release
    """Empty where there is no torch."""
    lacks_cuda: bool = False
    """Whether that torch is built without CUDA."""


def why_not(check: Check, config: Config, machine: Machine, planned: Sequence[Check]) -> Outcome | None:
    """The outcome of a check that can't run here, or None. An injected fault needs no GPU."""
    if machine.torch and machine.torch[:2] < check.minimum:
        return skipped(f"needs torch {dotted(check.minimum)} or newer, and this is {dotted(machine.torch[:2])}")
    if check.name in config.inject:
        return None
    if not check.needs_gpu or (machine.probe.gpus and not machine.lacks_cuda):
        return None
    if check.name == _HOST_GPU and config.gpus_requested:
        return None  # it runs, and fails with the remedy
    return _without_gpu(config, machine, planned)


def _without_gpu(config: Config, machine: Machine, planned: Sequence[Check]) -> Outcome:
    why = "this torch is built without CUDA" if machine.lacks_cuda and machine.probe.gpus else "none is usable"
    if not config.gpus_requested:
        return skipped(f"needs a GPU, and {why if machine.probe.gpus else 'none was asked for'}")
    if any(check.name == _HOST_GPU for check in planned):
        return skipped(f"needs a GPU, and {why}: see {_HOST_GPU}")
    return failed(f"needs a GPU: one was asked for, and {why}")


def _matching(patterns: Sequence[str], key: str) -> set[str]:
    """The checks that the patterns name: a check, a group, or a glob on checks."""
    names: set[str] = set()
    for pattern in patterns:
        found: list[str] = [
            check.name for check in CHECKS.values() if pattern == check.group or fnmatchcase(check.name, pattern)
        ]
        if not found:
            known = [*CHECKS, *{check.group for check in CHECKS.values()}]
            raise ConfigError(f"{key}: `{pattern}` is no check, group or glob{nearest(pattern, known)}")
        names.update(found)
    return names
