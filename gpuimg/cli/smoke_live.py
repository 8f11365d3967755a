"""The view of smoke steps while they run: a table drawn in place on a terminal, plain lines everywhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final

from gpuimg.cli.console import Console
from gpuimg.cli.drawing import Frame, Line
from gpuimg.cli.smoke_frame import Row, table_lines
from gpuimg.errors import GpuimgError
from gpuimg.model import Check, Report, Status
from gpuimg.report import figures
from gpuimg.smoke.protocol import Event, Started
from gpuimg.text import shorten

_STILL_S: Final = 30.0
"""An image of which nothing was said for so long is said to go on, where nothing is drawn in place: CI ends jobs that
stay silent."""
_LOOK_S: Final = 5.0
_REASON_COLUMNS: Final = 200


class SmokeView:
    """Shows the smoke steps of one or more images, each by its number in `titles`.

    All methods may be called from several threads.
    """

    def __init__(self, console: Console, *titles: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._lock = threading.Lock()
        self._rows = [Row(title=title) for title in titles]
        self._said = [0.0] * len(titles)
        self._frame = Frame(console, self._draw, stays=False) if console.live else None
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> SmokeView:
        if self._frame is not None:
            self._frame.start()
        else:
            self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._frame is not None:
            self._frame.stop()
        else:
            self._over.set()
            self._ticker.join()

    def begin(self, number: int = 0, *, where: str = "") -> None:
        """The turn of an image has come; `where` are its GPUs, where it shares them out with others."""
        with self._lock:
            now = self._clock()
            self._rows[number].begin(where, now)
            self._said[number] = now

    def take(self, event: Event, *, number: int = 0) -> None:
        """What an image's guest says."""
        with self._lock:
            row = self._rows[number]
            row.take(event, self._clock())
            if self._frame is None:
                match event:
                    case Started():
                        where = f" on {row.where}" if row.where else ""
                        self._say(number, f"running {figures.number(len(row.planned), 'check')}{where}")
                    case Check() if event.status is Status.FAIL:
                        reason = figures.reason(event).strip().splitlines()[0]
                        self._say(number, f"FAIL {event.name}: {shorten(reason, _REASON_COLUMNS)}")

    def end(self, outcome: Report | GpuimgError, *, number: int = 0) -> None:
        """What came of an image. An error is not told here, nor the verdict of the only one, whose report follows."""
        with self._lock:
            row = self._rows[number]
            row.end(outcome, self._clock())
            if self._frame is None and row.verdict is not None and len(self._rows) > 1:
                counts = "  ".join(f"{status.value} {row.count(status)}" for status in Status)
                self._say(number, f"{row.verdict.value}  ({counts})  {figures.duration(row.seconds(self._clock()))}")

    def still(self) -> None:
        """Say of each image that nothing was said of for long that it goes on."""
        with self._lock:
            now = self._clock()
            for number, row in enumerate(self._rows):
                if row.running and now - self._said[number] >= _STILL_S:
                    since = figures.duration(now - row.check_began)
                    done = f"{len(row.statuses)}/{len(row.planned)} " if row.planned else ""
                    self._say(number, f"{done}{row.current}, for {since}")

    def _say(self, number: int, text: str) -> None:
        self._said[number] = self._clock()
        self._console.info(f"[{self._rows[number].title}] {text}")

    def _tick(self) -> None:
        while not self._over.wait(_LOOK_S):
            self.still()

    def _draw(self, width: int, height: int) -> list[Line]:
        with self._lock:
            return table_lines(
                self._rows, width=width, height=height, now=self._clock(), unicode=self._console.err.unicode
            )
