"""How a check's process can end, and what each end is reported as."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .outcome import FAIL, Outcome, failed

_SIGNALS: Mapping[int, tuple[str, str | None]] = {
    signal.SIGILL: ("the CPU lacks an instruction that a library was compiled for", "run it on a newer CPU"),
    signal.SIGABRT: ("a library called abort()", None),
    signal.SIGBUS: (
        "most often /dev/shm was full",
        "start the container with `--shm-size 8g` or `--ipc=host`; on Kubernetes mount an emptyDir of medium Memory",
    ),
    signal.SIGSEGV: ("it touched memory that isn't its own", None),
    signal.SIGFPE: ("it divided by zero", None),
}


_MEMORY_REMEDY = "give the container more memory with `--memory`, or take the limit off"


@dataclass(frozen=True)
class Ending:
    """All that the parent knows once a check's process is gone."""

    exit_code: int
    """Negative: the signal, as `subprocess` has it."""
    timeout: float
    timed_out: bool = False
    result: Mapping[str, Any] | None = None
    """The outcome that it wrote into its pipe."""
    exception: Mapping[str, str] | None = None
    """Or the ``type`` and ``message`` of what it raised."""
    output: str = ""
    """The last of its stdout and stderr."""
    oom_kills: int = 0
    """How many processes the kernel killed for memory while it ran."""
    memory_limit: int | None = None


def outcome_of(end: Ending) -> Outcome:
    """The outcome of a check, from how its process ended. Whatever is not a result and a clean exit is a FAIL."""
    outcome = _judge(end)
    if outcome.status != FAIL:
        return outcome
    if end.oom_kills and not _killed(end):
        note = f"; meanwhile the kernel killed {end.oom_kills} of its processes for memory"
        outcome = replace(outcome, reason=f"{outcome.reason}{note}", remedy=outcome.remedy or _MEMORY_REMEDY)
    return replace(outcome, data={**outcome.data, "output": end.output}) if end.output else outcome


def _judge(end: Ending) -> Outcome:
    if end.timed_out:
        return failed(f"no result in {end.timeout:g} s; where it hung is in its output")
    if end.exit_code < 0:
        return _by_signal(end)
    if end.exception is not None:
        message = end.exception["message"]
        return failed(f"{end.exception['type']}: {message}" if message else end.exception["type"])
    if end.exit_code != 0:
        after = " after its result" if end.result is not None else ""
        return failed(f"exited with code {end.exit_code}{after}")
    if end.result is None:
        return failed("ended without a result")
    return Outcome.from_dict(end.result)


def _killed(end: Ending) -> bool:
    return not end.timed_out and end.exit_code == -signal.SIGKILL


def _by_signal(end: Ending) -> Outcome:
    if _killed(end):
        if end.oom_kills:
            limit = "unknown" if end.memory_limit is None else f"{end.memory_limit / 2**30:.1f} GiB"
            return failed(f"killed by the kernel: memory limit {limit}", remedy=_MEMORY_REMEDY)
        return failed("killed from outside")
    name = signal_name(-end.exit_code)
    meaning, remedy = _SIGNALS.get(-end.exit_code, ("", None))
    after = " after its result" if end.result is not None else ""
    return failed(f"died of {name}{after}" + (f": {meaning}" if meaning else ""), remedy=remedy)


def signal_name(number: int) -> str:
    """A signal's name, or its number where it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
