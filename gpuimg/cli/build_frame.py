"""What the view of a build shows: its lines, computed from the state of the build and the clock. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gpuimg.cli.drawing import Line, beside, spinner
from gpuimg.engine.progress import BuildState, Step, short_digests
from gpuimg.report import figures
from gpuimg.text import printable

_INTERNAL_SHOWN_S: Final = 1.0
"""The engine's own steps show where they take longer than this."""


@dataclass(slots=True)
class Block:
    """One image's part of the view: its build, and when the view first saw each of its steps run and end."""

    title: str
    began: float
    state: BuildState = field(default_factory=BuildState)
    ended: float | None = None
    _steps_began: dict[int, float] = field(default_factory=dict)
    _steps_ended: dict[int, float] = field(default_factory=dict)

    def update(self, state: BuildState, now: float) -> None:
        """Take a state that no longer changes."""
        self.state = state
        for step in state.steps:
            if step.began:
                self._steps_began.setdefault(step.number, now)
            if step.ended:
                self._steps_ended.setdefault(step.number, now)
            else:
                self._steps_ended.pop(step.number, None)
        finished = state.error is not None or (state.image_id and not any(step.running for step in state.steps))
        self.ended = now if finished and self.ended is None else self.ended

    def seconds(self, step: Step, now: float) -> float:
        """How long `step` took, or has taken so far: the engine's own measure once there is one."""
        if step.seconds is not None:
            return step.seconds
        return self._steps_ended.get(step.number, now) - self._steps_began.get(step.number, now)

    def lines(self, *, width: int, height: int, now: float, unicode: bool) -> list[Line]:
        """At most `height` lines of at most `width` columns; one line where the build has ended."""
        if self.ended is not None:
            return [self._outcome(self.ended, width=width, unicode=unicode)]
        head = beside(printable(self.title), figures.duration(now - self.began), width, unicode=unicode)
        shown = [step for step in self.state.steps if self._is_shown(step, now)]
        body = [(step, self._step_lines(step, width=width, now=now, unicode=unicode)) for step in shown]
        return [Line(head, "bold"), *_fitting(body, height - 1, unicode=unicode)][: max(height, 1)]

    def _is_shown(self, step: Step, now: float) -> bool:
        if not step.internal:
            return True
        return bool(step.error) or (step.running and self.seconds(step, now) > _INTERNAL_SHOWN_S)

    def _step_lines(self, step: Step, *, width: int, now: float, unicode: bool) -> list[Line]:
        symbol, style, took = _mark(step, now, unicode=unicode)
        if not took and step.began:
            took = figures.duration(self.seconds(step, now))
        lines = [Line(beside(f"  {symbol} {step.title}", took, width, unicode=unicode), style)]
        if step.running:
            done, total = step.done_bytes, step.total_bytes
            size = figures.size(done) + (f" of {figures.size(total)}" if total else "") if done else ""
            text = short_digests(step.line)
            if text or size:
                lines.append(Line(beside(f"      {text}", size, width, unicode=unicode), "dim"))
        return lines

    def _outcome(self, ended: float, *, width: int, unicode: bool) -> Line:
        took = figures.duration(ended - self.began)
        failed = self.state.error is not None
        symbol = ("✗" if failed else "✓") if unicode else ("x" if failed else "+")
        text = f"{symbol} {printable(self.title)}: {self.outcome()}"
        return Line(beside(text, took, width, unicode=unicode), "red" if failed else "green")

    def outcome(self) -> str:
        """How the build ended, in words."""
        steps = [step for step in self.state.steps if step.name.startswith("[") and not step.internal]
        if self.state.error is None:
            return f"built, {sum(step.cached for step in steps)} of {len(steps)} steps cached"
        failed = self.state.failed_step
        return f"failed at {failed.title}" if failed else "failed"


def _mark(step: Step, now: float, *, unicode: bool) -> tuple[str, str, str]:
    """Symbol, style, and what stands in the place of the duration."""
    if step.error:
        return "✗" if unicode else "x", "red", ""
    if step.cached:
        return "✓" if unicode else "+", "dim", "cached"
    if step.ended:
        return "✓" if unicode else "+", "green", ""
    if step.running:
        return spinner(now, unicode=unicode), "cyan", ""
    return "·" if unicode else ".", "dim", ""


def _fitting(steps: Sequence[tuple[Step, list[Line]]], height: int, *, unicode: bool) -> list[Line]:
    """What fits into `height` lines: steps to come go first, then the oldest that ended, then what a step prints."""
    kept = list(steps)

    def size() -> int:
        return sum(len(lines) for _, lines in kept) + (len(kept) < len(steps))

    for drop_first in ([s for s in reversed(steps) if not s[0].began], [s for s in steps if s[0].ended]):
        for step in drop_first:
            if size() <= height:
                break
            kept.remove(step)
    if size() > height:
        kept = [(step, lines[:1]) for step, lines in kept]
    lines = [line for _, own in kept for line in own]
    hidden = len(steps) - len(kept)
    if hidden and len(lines) < height:
        dots = "…" if unicode else "..."
        lines.insert(0, Line(f"  {dots} {hidden} more {'step' if hidden == 1 else 'steps'}", "dim"))
    return lines[-height:] if height > 0 else []
