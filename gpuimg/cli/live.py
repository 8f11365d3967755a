"""The view of builds while they run: drawn in place on a terminal, plain lines everywhere else.

It doesn't show why a build failed: that is the error's part, with the last lines of the step's log.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final

from gpuimg.cli.build_frame import Block
from gpuimg.cli.console import Console
from gpuimg.cli.drawing import Frame, Line
from gpuimg.engine.progress import BuildState, Step
from gpuimg.report import figures
from gpuimg.text import shorten

_STILL_S: Final = 30.0
"""A step that runs on says so this often, where nothing is drawn in place: CI ends jobs that stay silent."""
_LOG_COLUMNS: Final = 200


class BuildView:
    """Shows one or more builds, each under its title.

    ::

        with BuildView(console, "2.6.0-cu124 runtime") as view:
            for event in decode(chunks):
                state.apply(event)
                view.update(state)

    `update` may be called from several threads.
    """

    def __init__(self, console: Console, *titles: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._lock = threading.Lock()
        self._blocks = {title: Block(title=title, began=clock()) for title in titles}
        self._frame = Frame(console, self._draw) if console.live else None
        self._lines = _Lines(console)

    def __enter__(self) -> BuildView:
        if self._frame is not None:
            self._frame.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._frame is not None:
            self._frame.stop()

    def update(self, state: BuildState, *, title: str | None = None) -> None:
        """Show `state` of the build called `title`; the first one, unless named."""
        now = self._clock()
        with self._lock:
            title = next(iter(self._blocks)) if title is None else title
            block = self._blocks.setdefault(title, Block(title=title, began=now))
            block.update(state.snapshot(), now)
            if self._frame is None:
                self._lines.update(block, now)

    def _draw(self, width: int, height: int) -> list[Line]:
        """All blocks in at most `height` lines."""
        lines: list[Line] = []
        with self._lock:
            now, blocks = self._clock(), list(self._blocks.values())
            if len(blocks) > height:  # what has ended gives way first
                blocks = sorted(blocks, key=lambda block: block.ended is None)[-height:]
            for number, block in enumerate(blocks):
                share = max((height - len(lines)) // (len(blocks) - number), 1)
                lines += block.lines(width=width, height=share, now=now, unicode=self._console.err.unicode)
        return lines


class _Lines:
    """A line when a step begins, ends, or has been running for long."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[tuple[str, int], tuple[str, float]] = {}
        self._done: set[str] = set()

    def update(self, block: Block, now: float) -> None:
        for step in block.state.steps:
            if not step.internal or step.error:
                self._tell(block, step, now)
        if block.ended is not None and block.title not in self._done:
            self._done.add(block.title)
            self._console.info(f"[{block.title}] {block.outcome()}, {figures.duration(block.ended - block.began)}")

    def _tell(self, block: Block, step: Step, now: float) -> None:
        key = (block.title, step.number)
        before, at = self._said.get(key, ("", now))
        stage = _stage(step)
        took = figures.duration(block.seconds(step, now))
        prefix = f"[{block.title}] #{step.number}"
        if stage == before:
            if stage == "begun" and now - at >= _STILL_S:
                self._said[key] = (stage, now)
                self._console.info(f"{prefix} {took} {shorten(step.line, _LOG_COLUMNS)}".rstrip())
            return
        if before in _FINAL or not stage or (stage == "done" and not _is_over(step, block)):
            return
        self._said[key] = (stage, now)
        name = shorten(step.title, _LOG_COLUMNS)
        if stage in {"begun", "cached"} or not before:
            self._console.info(f"{prefix} CACHED {name}" if stage == "cached" else f"{prefix} {name}")
        if stage == "failed":
            self._console.info(
                f"{prefix} FAILED after {took}: {shorten((step.error or '').splitlines()[0], _LOG_COLUMNS)}"
            )
        elif stage == "done":
            self._console.info(f"{prefix} done in {took}")


_FINAL: Final = {"cached", "done", "failed"}


def _stage(step: Step) -> str:
    if step.error:
        return "failed"
    if step.cached:
        return "cached"
    if step.ended:
        return "done"
    return "begun" if step.began else ""


def _is_over(step: Step, block: Block) -> bool:
    """Whether it won't start again: BuildKit ends a FROM when its digest is known, then starts it to pull."""
    return block.ended is not None or any(later.began for later in block.state.steps[step.number :])
