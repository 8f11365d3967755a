"""Verdicts → what a person reads: stacks that share a reason in one line, and what would help."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gpuimg.facts import Matrix, Stack
from gpuimg.matrix.query import (
    Answer,
    Host,
    Verdict,
    Wishes,
    judge,
    last_driver,
    needed_driver,
    select,
    without_driver,
)
from gpuimg.versions import DriverVersion

_FEW: Final = 3
"""So many names stand in a line as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Stacks that share `texts`: reasons or notes."""

    stacks: tuple[Stack, ...]
    texts: tuple[str, ...]


def groups(verdicts: Sequence[Verdict], answer: Answer) -> tuple[Group, ...]:
    """The verdicts of one answer by what is said of them, in their order; those of which nothing is said left out.

    What is said of all `verdicts`, such as that the driver doesn't know the GPU, stands once, first.
    """
    said = {verdict.stack: _said(verdict) for verdict in verdicts if verdict.answer is answer}
    shared = tuple(text for text in next(iter(said.values()), ()) if all(text in _said(each) for each in verdicts))
    found: dict[tuple[str, ...], list[Stack]] = {shared: list(said)} if shared else {}
    for stack, texts in said.items():
        own = tuple(text for text in texts if text not in shared)
        if own:
            found.setdefault(own, []).append(stack)
    return tuple(Group(stacks=tuple(stacks), texts=texts) for texts, stacks in found.items())


def names(stacks: Sequence[Stack], among: Sequence[Stack]) -> str:
    """Which stacks of `among` these are, briefly and without ambiguity: ``all 13 of cu130, cu132``.

    A range such as ``2.0.0-cu118 to 2.6.0-cu118 (12)`` has all that `among` has between the two for that CUDA.

    Args:
        stacks: some of `among`; both newest first.
    """
    if len(stacks) <= _FEW:
        return ", ".join(stack.name for stack in stacks)
    if len(stacks) == len(among):
        return f"all {len(stacks)}"
    cudas = sorted({stack.cuda for stack in stacks})
    whole = [cuda for cuda in cudas if all(stack in stacks for stack in among if stack.cuda == cuda)]
    count = sum(stack.cuda in whole for stack in stacks)
    parts = [f"all {count} of {', '.join(cuda.variant for cuda in whole)}"] if whole else []
    for cuda in cudas:
        if cuda not in whole:
            runs = itertools.groupby(
                (stack for stack in among if stack.cuda == cuda), key=lambda stack: stack in stacks
            )
            parts += [_range([stack.name for stack in run]) for is_mine, run in runs if is_mine]
    return ", ".join(parts)


def what_helps(verdicts: Sequence[Verdict], host: Host, wishes: Wishes, matrix: Matrix) -> tuple[str, ...]:
    """Drivers that would let more run, and what runs if the wishes are left out; nothing where the newest runs."""
    if not verdicts or verdicts[0].answer is Answer.RUNS:
        return ()
    drivers = _drivers(verdicts, host, wishes, matrix)
    if drivers or any(verdict.answer is Answer.RUNS for verdict in verdicts):
        return drivers
    open_wishes = Wishes(platform=wishes.platform)
    others = select(matrix, open_wishes)
    runs = next((stack for stack in others if _runs(stack, host, open_wishes, matrix)), None)
    if runs is not None:
        return (f"without the filters {runs.name} is the newest that runs",)
    verdicts = [judge(stack, host, matrix, wishes=open_wishes) for stack in others]
    return tuple(f"without the filters and {line}" for line in _drivers(verdicts, host, open_wishes, matrix))


def _said(verdict: Verdict) -> tuple[str, ...]:
    return verdict.notes if verdict.answer is Answer.RUNS else verdict.reasons


def _drivers(verdicts: Sequence[Verdict], host: Host, wishes: Wishes, matrix: Matrix) -> tuple[str, ...]:
    """For the stacks that only another driver keeps from running: the least change, and that for the newest."""
    if host.driver is None:
        return ()
    last = last_driver(host, matrix)
    needs: dict[str, DriverVersion] = {}
    for verdict in verdicts:
        needed = needed_driver(verdict.stack, host, matrix)
        outlived = last is not None and needed.parts[0] > last.parts[0]
        if not outlived and _runs(verdict.stack, without_driver(host), wishes, matrix):
            needs[verdict.stack.name] = needed
    running = {verdict.stack.name for verdict in verdicts if verdict.answer is Answer.RUNS}
    newest = next(iter(needs), None)
    if newest is None or newest in running:
        return ()
    if last is not None and host.driver.parts[0] > last.parts[0]:
        return (f"with a driver of branch {last}, {newest} runs",)
    least = min(needs, key=lambda name: needs[name])
    chosen = [newest] if running or needs[least] == needs[newest] else [least, newest]
    return tuple(f"with driver {needs[name]} or newer, {name} runs" for name in chosen)


def _runs(stack: Stack, host: Host, wishes: Wishes, matrix: Matrix) -> bool:
    return judge(stack, host, matrix, wishes=wishes).answer is Answer.RUNS


def _range(stack_names: Sequence[str]) -> str:
    if len(stack_names) <= _FEW:
        return ", ".join(stack_names)
    return f"{stack_names[-1]} to {stack_names[0]} ({len(stack_names)})"
