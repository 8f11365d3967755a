"""The guest's lines, turned into a `Report`. Pure: no engine, no clock.

The guest prints one JSON object a line (``lines.schema.json``). What else stands on its stdout, from an entrypoint or a
library, is passed over. A guest that dies says nothing any more, so what it should have said is filled in here: nothing
that was planned is ever missing from the report, and nothing that did not run passes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from gpuimg.model import Check, Image, Measurement, Report, Status

SCHEMA_VERSION: Final = 1
LINES_SCHEMA: Final = Path(__file__).with_name("lines.schema.json")
MAX_POINTS: Final = 2000
"""Points kept of a series; beyond, every second one is dropped."""

_GUEST: Final = "guest"
_BAD_CONFIG: Final = 2
_ENDS: Final = (0, 1)
_TAIL_LINES: Final = 20
_OOM_REMEDY: Final = "give the container more memory with `--memory`, or take the limit off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The first line: what the guest found and what it will run."""

    torch: str | None
    python: str | None
    gpus: tuple[Mapping[str, object], ...]
    planned: tuple[str, ...]
    node: str | None = None
    """The machine's name, where it was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A point of a series of the check `name`."""

    name: str
    t: float
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The last line: the guest's own count."""

    passed: int
    failed: int
    skipped: int
    seconds: float


Event = Started | Check | Sample | Ended


class ReportBuilder:
    """Reads lines as they come, and gives the report once it is known how the guest ended.

    `on_event` is called for each line that means something, for a live display.
    """

    def __init__(self, *, on_event: Callable[[Event], None] | None = None) -> None:
        self._on_event = on_event
        self._started: Started | None = None
        self._ended: Ended | None = None
        self._checks: dict[str, Check] = {}
        self._series: dict[str, _Series] = {}
        self._noise: list[str] = []

    def feed(self, line: bytes | str) -> None:
        """Take one line of the guest's stdout."""
        text = line.decode(errors="replace") if isinstance(line, bytes) else line
        event = parse_line(text)
        if event is None:
            if text.strip():
                self._noise = [*self._noise, text.rstrip()][-_TAIL_LINES:]
            return
        match event:
            case Started():
                self._started = event
            case Check():
                self._checks.setdefault(event.name, event)
            case Sample():
                self._series.setdefault(event.name, _Series()).add(event)
            case Ended():
                self._ended = event
        if self._on_event is not None:
            self._on_event(event)

    def finish(
        self, *, image: Image | None, exit_code: int | None, oom_killed: bool = False, stderr: str = ""
    ) -> Report:
        """The report: checks in the order of the plan, those that did not run and the guest's own death among them.

        Args:
            image: What was examined; None for this machine itself.
            exit_code: The guest's; None where nobody knows it: a log doesn't say.
            oom_killed: What the engine says of it.
            stderr: The end of the guest's stderr, for the reason of its death.
        """
        started = self._started or Started(torch=None, python=None, gpus=(), planned=())
        death = self._death(exit_code=exit_code, oom_killed=oom_killed, stderr=stderr)
        names = dict.fromkeys((*started.planned, *self._checks))
        checks = [self._with_series(self._checks.get(name) or _did_not_run(name)) for name in names]
        return Report(
            image=image,
            torch=started.torch,
            python=started.python,
            gpus=started.gpus,
            node=started.node,
            checks=tuple([death, *checks] if death is not None else checks),
            seconds=self._ended.seconds if self._ended is not None else sum(check.seconds for check in checks),
        )

    def _death(self, *, exit_code: int | None, oom_killed: bool, stderr: str) -> Check | None:
        code = "exit code unknown" if exit_code is None else f"exit code {exit_code}"
        if self._started is None and exit_code == _BAD_CONFIG:
            reason = f"the guest refused its config: {stderr.strip() or 'no message'}"
        elif self._started is None:
            reason = f"guest died before its first line ({code})"
        elif self._ended is None:
            reason = f"guest died ({code})"
        elif exit_code is not None and exit_code not in _ENDS:
            reason = f"guest died after its last line ({code})"
        else:
            return None
        if oom_killed and self._ended is None:
            reason = f"{reason}; OOMKilled"
        output = "\n".join(filter(None, ("\n".join(self._noise), stderr.strip())))
        return Check(
            name=_GUEST,
            group=_GUEST,
            status=Status.FAIL,
            expected="the guest runs to its end",
            reason=reason,
            remedy=_OOM_REMEDY if oom_killed else None,
            data={"output": output} if output else {},
        )

    def _with_series(self, check: Check) -> Check:
        series = self._series.get(check.name)
        return check if series is None else replace(check, data={**check.data, "samples": series.points()})


def read_report(
    lines: Iterable[bytes | str],
    *,
    image: Image | None,
    exit_code: int | None,
    oom_killed: bool = False,
    stderr: str = "",
    on_event: Callable[[Event], None] | None = None,
) -> Report:
    """The report of a guest that has ended."""
    builder = ReportBuilder(on_event=on_event)
    for line in lines:
        builder.feed(line)
    return builder.finish(image=image, exit_code=exit_code, oom_killed=oom_killed, stderr=stderr)


def parse_line(text: str) -> Event | None:
    """What one line says, or None where it isn't the guest's. Keys that are not known here are passed over."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict) or line.get("v") != SCHEMA_VERSION:
        return None
    reader = _READERS.get(str(line.get("event")))
    try:
        return None if reader is None else reader(line)
    except (AttributeError, KeyError, TypeError, ValueError):
        # A line that breaks the protocol is no result. Its check then counts as one that did not run.
        return None


def _start(line: Mapping[str, Any]) -> Started:
    return Started(
        torch=_text(line.get("torch")),
        python=_text(line.get("python")),
        gpus=tuple(dict(gpu) for gpu in line.get("gpus") or ()),
        planned=tuple(str(name) for name in line["planned"]),
        node=_text(line.get("node")),
    )


def _check(line: Mapping[str, Any]) -> Check:
    measured = line.get("measured") or {}
    return Check(
        name=str(line["name"]),
        group=str(line["group"]),
        status=Status(line["status"]),
        measured={name: _measurement(entry) for name, entry in measured.items()},
        expected=_text(line.get("expected")),
        reason=_text(line.get("reason")),
        remedy=_text(line.get("remedy")),
        seconds=float(line.get("seconds") or 0.0),
        gpu=None if line.get("gpu") is None else int(line["gpu"]),
        data=dict(line.get("data") or {}),
    )


def _measurement(entry: Mapping[str, Any]) -> Measurement:
    if not isinstance(entry["value"], int | float | str):
        raise TypeError("a value that is neither number nor text")
    return Measurement(value=entry["value"], unit=_text(entry.get("unit")))


def _sample(line: Mapping[str, Any]) -> Sample:
    values = {key: float(value) for key, value in line.items() if key not in ("v", "event", "name", "t")}
    return Sample(name=str(line["name"]), t=float(line["t"]), values=values)


def _end(line: Mapping[str, Any]) -> Ended:
    return Ended(
        passed=int(line["pass"]),
        failed=int(line["fail"]),
        skipped=int(line["skip"]),
        seconds=float(line["seconds"]),
    )


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Event]]] = {
    "start": _start,
    "check": _check,
    "sample": _sample,
    "end": _end,
}


def _text(value: object) -> str | None:
    """`value`, which may come from any program that a log is of."""
    if value is None or isinstance(value, str):
        return value
    raise TypeError("no text")


def _did_not_run(name: str) -> Check:
    return Check(name=name, group=name.partition(".")[0], status=Status.FAIL, reason="did not run")


class _Series:
    """The points of one check. Once full it keeps every second point, and from then on takes every second."""

    def __init__(self) -> None:
        self._points: list[Sample] = []
        self._step = 1
        self._seen = 0

    def add(self, sample: Sample) -> None:
        if self._seen % self._step == 0:
            self._points.append(sample)
        self._seen += 1
        if len(self._points) > MAX_POINTS:
            self._points = self._points[::2]
            self._step *= 2

    def points(self) -> tuple[Mapping[str, float], ...]:
        return tuple({"t": point.t, **point.values} for point in self._points)
