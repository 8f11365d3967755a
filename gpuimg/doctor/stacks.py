"""Which stacks this host's driver and GPUs run, and what would help the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gpuimg.doctor.finding import Finding, Mend, Status, Subject
from gpuimg.machine.nvidia import host_of
from gpuimg.matrix.answer import groups, names, what_helps
from gpuimg.matrix.query import Answer, Host, Verdict, Wishes, judge, select

_NAME: Final = "stacks"


def check(subject: Subject) -> Iterator[Finding]:
    """Judge the stacks that were asked for, each alone; else all, together."""
    if not subject.shares_gpus or subject.nvidia.driver is None:
        what = "without a driver nobody can tell" if subject.shares_gpus else "the engine's machine is another one"
        yield Finding(check=_NAME, status=Status.SKIP, what=what)
        return
    host, wishes = host_of(subject.nvidia, subject.matrix), Wishes(platform=subject.platform)
    stacks = subject.stacks or select(subject.matrix, wishes)
    verdicts = [judge(stack, host, subject.matrix, wishes=wishes) for stack in stacks]
    if subject.stacks:
        for verdict in verdicts:
            helps = what_helps([verdict], host, wishes, subject.matrix)
            yield Finding(
                check=_NAME,
                status={Answer.RUNS: Status.OK, Answer.UNKNOWN: Status.WARN, Answer.CANNOT: Status.FAIL}[
                    verdict.answer
                ],
                what=f"{verdict.stack.name} {_SAID[verdict.answer]}",
                why="; ".join(verdict.reasons or verdict.notes),
                mend=Mend(hints=helps),
            )
        return
    yield _all(subject, verdicts, host, wishes)


_SAID: Final = {
    Answer.RUNS: "runs here",
    Answer.UNKNOWN: "may run here or not",
    Answer.CANNOT: "can't run here",
}


def _all(subject: Subject, verdicts: Sequence[Verdict], host: Host, wishes: Wishes) -> Finding:
    running = [verdict.stack for verdict in verdicts if verdict.answer is Answer.RUNS]
    among = [verdict.stack for verdict in verdicts]
    others = [
        f"{names(group.stacks, among)}: {'; '.join(group.texts)}"
        for answer in (Answer.CANNOT, Answer.UNKNOWN)
        for group in groups(verdicts, answer)
    ]
    newest = f", {running[0].name} the newest" if running else ""
    all_of = "all" if len(running) == len(verdicts) else f"{len(running)} of"
    return Finding(
        check=_NAME,
        status=Status.OK if running[:1] == among[:1] else Status.WARN if running else Status.FAIL,
        what=f"{all_of} {len(verdicts)} stacks run here{newest}",
        why="\n".join(others),
        mend=Mend(hints=what_helps(verdicts, host, wishes, subject.matrix)),
    )
