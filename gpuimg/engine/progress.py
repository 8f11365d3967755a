"""The engine's answer to a build, decoded and folded: JSON objects → events → the state of each step.

BuildKit (``POST /build?version=2``) sends traces; the legacy builder and Podman send their output as text, whose
``Step 1/4 : FROM …`` lines become steps too. Pure: bytes in, values out. What builds print is cleaned here, once.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import collections
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from gpuimg.engine import trace
from gpuimg.engine.events import Event, Failed, ImageBuilt, Logged, Printed, StepChanged, TaskProgressed, Warned
from gpuimg.errors import HostError
from gpuimg.text import log_line, printable

LOG_LINES = 40
"""How many of a step's last lines are kept."""
_LINE_BYTES = 16 * 1024
"""No line is longer: a progress bar may never end its own."""
_LEGACY_STEP = re.compile(r"(?:Step|STEP) (\d+/\d+) ?: (.+)")
_LEGACY_ARROW = re.compile(r"\s*-{2,3}> (.*)")
_DIGEST = re.compile(r"sha256:([0-9a-f]{12})[0-9a-f]{52}")
_MOUNT = re.compile(r"--(?:mount|network|security)=\S+\s+")
_LEGACY_BUILT = re.compile(r"Successfully built ([0-9a-f]{12,64})")


def decode(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Events of the JSON stream that `POST /build` answers with, however it is cut into `chunks`.

    Raises HostError where it breaks off within an object or isn't JSON.
    """
    decoder = json.JSONDecoder()
    for line in _lines(chunks):
        text = line.strip()
        while text:
            try:
                message, end = decoder.raw_decode(text)
            except json.JSONDecodeError as error:
                shown = printable(text[:200])
                raise HostError(
                    f"the engine's answer can't be read: it broke off, or isn't JSON, at `{shown}`"
                ) from error
            if isinstance(message, dict):
                yield from _events(message)
            text = text[end:].lstrip()


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Whole lines: engines end each object with a line break, and JSON has none inside."""
    utf8 = codecs.getincrementaldecoder("utf-8")("replace")
    pending: list[str] = []
    for chunk in chunks:
        first, *rest = utf8.decode(chunk).split("\n")
        pending.append(first)
        if rest:
            yield "".join(pending)
            yield from rest[:-1]
            pending = [rest[-1]]
    yield "".join(pending) + utf8.decode(b"", final=True)


def _events(message: dict[str, Any]) -> Iterator[Event]:
    aux = message.get("aux")
    if message.get("id") == "moby.buildkit.trace" and isinstance(aux, str):
        try:
            events = trace.events(base64.b64decode(aux))
        except (ValueError, binascii.Error):
            return  # progress of a kind that isn't known here; the build's end comes as plain JSON
        yield from events
    elif isinstance(aux, dict) and isinstance(aux.get("ID"), str):
        yield ImageBuilt(image_id=aux["ID"])
    if isinstance(message.get("stream"), str):
        yield Printed(text=message["stream"])
    detail = message.get("errorDetail")
    text = detail.get("message") if isinstance(detail, dict) else None
    text = text or message.get("error")
    if text:
        yield Failed(message=printable(str(text), multiline=True))


def short_digests(text: str) -> str:
    """`text` with each digest cut to the twelve characters that engines show."""
    return _DIGEST.sub(r"\1", text)


@dataclass(slots=True)
class Step:
    """One step so far."""

    number: int
    name: str
    began: bool = False
    ended: bool = False
    cached: bool = False
    started: float | None = None
    """Engine's time in seconds since 1970, as `completed`; None where it sends none."""
    completed: float | None = None
    error: str | None = None
    log: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=LOG_LINES))
    """Its last whole lines, cleaned."""
    line: str = ""
    """What it printed or did last, an unfinished line or progress bar included."""
    tasks: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Bytes done and in total (0: unknown) of each download, extraction or transfer."""
    _partial: dict[int, bytes] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Its name for people: on one line, without how a RUN is mounted, digests cut to what tells them apart.

        >>> Step(number=1, name="[2/4] RUN --mount=type=tmpfs,target=/tmp   apt-get update").title
        '[2/4] RUN apt-get update'
        """
        return " ".join(_MOUNT.sub("", short_digests(self.name)).split())

    @property
    def internal(self) -> bool:
        """Whether it is the engine's own, not a line of the Dockerfile or the export."""
        return self.name.startswith("[internal]") or self.name == "copy /context /"

    @property
    def running(self) -> bool:
        return self.began and not self.ended

    @property
    def seconds(self) -> float | None:
        """How long it took; None until it has ended, and where the engine sends no times."""
        if self.started is None or self.completed is None:
            return None
        return max(self.completed - self.started, 0.0)

    @property
    def done_bytes(self) -> int:
        return sum(done for done, _ in self.tasks.values())

    @property
    def total_bytes(self) -> int | None:
        """None while the size of anything is unknown."""
        totals = [total for _, total in self.tasks.values()]
        return sum(totals) if totals and all(totals) else None

    @property
    def log_tail(self) -> tuple[str, ...]:
        """Its last lines, the unfinished ones too."""
        unfinished = [log_line(data.decode(errors="replace")) for data in self._partial.values()]
        return (*self.log, *(line for line in unfinished if line))[-LOG_LINES:]

    def snapshot(self) -> Step:
        return replace(self, log=self.log.copy(), tasks=dict(self.tasks), _partial=dict(self._partial))

    def feed(self, stream: int, data: bytes) -> None:
        """Take what the step printed on `stream`."""
        *lines, rest = (self._partial.get(stream, b"") + data).split(b"\n")
        self.log.extend(log_line(line.decode(errors="replace")) for line in lines)
        if len(rest) > _LINE_BYTES:
            rest = rest[-_LINE_BYTES:]
        self._partial[stream] = rest
        shown = [line for line in (log_line(rest.decode(errors="replace")), *reversed(self.log)) if line]
        self.line = shown[0] if shown else ""


@dataclass(slots=True)
class BuildState:
    """A build so far: the events folded, in the order they came.

    >>> state = BuildState()
    >>> state.apply(StepChanged(step="sha256:a", name="[1/1] FROM debian", started=1.0, completed=1.5))
    >>> [(step.number, step.seconds) for step in state.steps]
    [(1, 0.5)]
    """

    image_id: str | None = None
    error: str | None = None
    warnings: list[str] = field(default_factory=list)
    engine_time: float | None = None
    """The latest time that the engine named, in seconds since 1970."""
    _steps: dict[str, Step] = field(default_factory=dict)
    _legacy: str = ""

    def snapshot(self) -> BuildState:
        """A copy that later events leave alone, for another thread to read."""
        return replace(
            self, warnings=list(self.warnings), _steps={key: step.snapshot() for key, step in self._steps.items()}
        )

    @property
    def steps(self) -> tuple[Step, ...]:
        """In build order."""
        return tuple(self._steps.values())

    @property
    def failed_step(self) -> Step | None:
        """The step that broke the build; others only end because it did."""
        broken = [step for step in self.steps if step.error]
        own = [step for step in broken if "context canceled" not in (step.error or "")]
        return next(iter(own or broken), None)

    def apply(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case StepChanged():
                self._change(event)
            case TaskProgressed():
                step = self._step(event.step)
                if event.current or event.total:
                    step.tasks[event.task] = (event.current, event.total)
                    step.line = step.line if event.name == "done" else event.name
                else:
                    step.line = event.task
                self._see(event.at)
            case Logged():
                self._step(event.step).feed(event.stream, event.data)
                self._see(event.at)
            case Printed():
                self._print(event.text)
            case Warned():
                self.warnings.append(event.text)
            case ImageBuilt():
                self.image_id = event.image_id
                self._end_legacy_step(None)
            case Failed():
                self.error = event.message
                self._end_legacy_step(event.message)

    def _step(self, key: str, name: str = "") -> Step:
        return self._steps.setdefault(key, Step(number=len(self._steps) + 1, name=name))

    def _see(self, at: float | None) -> None:
        if at is not None:
            self.engine_time = max(at, self.engine_time or at)

    def _change(self, event: StepChanged) -> None:
        step = self._step(event.step, event.name)
        step.name = event.name or step.name
        step.cached = event.cached
        step.started, step.completed = event.started, event.completed
        step.began, step.ended = event.started is not None, event.completed is not None
        step.error = event.error or step.error
        self._see(event.started)
        self._see(event.completed)

    def _print(self, text: str) -> None:
        for line in text.splitlines():
            header = _LEGACY_STEP.fullmatch(line.strip())
            arrow = _LEGACY_ARROW.fullmatch(line)
            built = _LEGACY_BUILT.fullmatch(line.strip())
            if header:
                self._end_legacy_step(None)
                self._legacy = header[1]
                self._step(self._legacy, f"[{header[1]}] {printable(header[2])}").began = True
            elif built:
                self.image_id = self.image_id or built[1]
            elif self._legacy and arrow:
                self._steps[self._legacy].cached |= arrow[1].startswith("Using cache")
            elif self._legacy and log_line(line):
                self._steps[self._legacy].feed(1, line.encode() + b"\n")

    def _end_legacy_step(self, error: str | None) -> None:
        if self._legacy:
            step = self._steps[self._legacy]
            step.ended, step.error = True, error
            self._legacy = ""
