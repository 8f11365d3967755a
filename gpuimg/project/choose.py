"""What there is, and what the user says → the stack of a project, with the reason in a line."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from gpuimg.errors import RequestError, UnknownStackError
from gpuimg.facts import Flavor, Matrix, Stack
from gpuimg.matrix.query import Answer, Host, Verdict, Wishes, judge
from gpuimg.model import Plan, Spec
from gpuimg.pipeline.resolve import resolve
from gpuimg.project.packages import check_torch
from gpuimg.project.survey import Findings, TorchPin
from gpuimg.versions import Platform, PythonVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The stack, why it is that one, and what may be in its way."""

    stack: Stack
    reason: str = ""
    """To be read after "chosen as"; empty: the user named it."""
    doubts: tuple[str, ...] = ()


def choose_stack(findings: Findings, host: Host, matrix: Matrix, *, flavor: Flavor, platform: Platform) -> Choice:
    """Give the newest stack that runs on `host`, has the torch that files ask for and what is usual in the folder.

    Raises:
        RequestError: a file asks for a torch that no stack has for `platform`.
    """
    possible = [stack for stack in matrix.stacks if _is_possible(stack, findings, matrix, flavor, platform)]
    if not possible:
        raise RequestError(
            f"no stack has Python {_python(findings)} and {flavor.name} on {platform}",
            hints=["`gpuimg matrix list` shows the stacks", "name one: `gpuimg init --spec 2.6-cu124`"],
        )
    obeyed: list[TorchPin] = []
    for pin in findings.torch:
        fitting = [stack for stack in possible if _has(stack, pin)]
        if fitting:
            possible = fitting
            obeyed.append(pin)
        elif pin.binding:
            raise _no_torch(pin, matrix, platform)
    usual, served = _usual(obeyed, findings, matrix)
    verdicts = [judge(stack, host, matrix, wishes=Wishes(platform=platform)) for stack in possible]
    best = min((verdict.answer for verdict in verdicts), key=list(Answer).index)
    stack = max(
        (verdict.stack for verdict in verdicts if verdict.answer is best),
        key=lambda stack: (stack.name == usual, stack.torch, _is_locked(stack, platform), stack.cuda),
    )
    reason = _reason(obeyed, host, best)
    if served is not None and stack.name == usual:
        reason += f"; it serves for {served}, which was never published"
    verdict = next(verdict for verdict in verdicts if verdict.stack is stack)
    return Choice(stack=stack, reason=reason, doubts=_doubts(verdict, host))


def named_stack(spec: Spec, findings: Findings, host: Host, matrix: Matrix, *, platform: Platform) -> Choice:
    """Give the stack that the user named, and whether `host` runs it.

    Raises:
        RequestError: there is none, or a file asks for another torch.
    """
    resolution = resolve(spec, matrix)
    for pin in findings.torch:
        if pin.binding:
            check_torch(pin.requirement, resolution.stack, matrix, source=pin.source, spec=spec.text)
    served = resolution.substitution
    verdict = judge(resolution.stack, host, matrix, wishes=Wishes(platform=platform))
    said = [] if served is None else [f"{served.name} was never published: {served.use} serves in its place"]
    return Choice(stack=resolution.stack, doubts=(*said, *_doubts(verdict, host)))


def _is_possible(stack: Stack, findings: Findings, matrix: Matrix, flavor: Flavor, platform: Platform) -> bool:
    pythons = [python for on in stack.platforms if on.platform is platform for python in on.pythons]
    if flavor.toolkit and not any(row.cuda == stack.cuda and platform in row.platforms for row in matrix.toolkits):
        return False
    if findings.python is not None and findings.python in _all_pythons(matrix):
        return findings.python in pythons
    return any(accepts(findings, python) for python in pythons)


def accepts(findings: Findings, python: PythonVersion) -> bool:
    """Whether the folder's ``requires-python`` takes a Python, in its first patch release or in a late one."""
    releases = [f"{python.major}.{python.minor}.{patch}" for patch in (0, 99)]
    return any(findings.requires_python.contains(release) for release in releases)


def _all_pythons(matrix: Matrix) -> set[PythonVersion]:
    return {python for stack in matrix.stacks for on in stack.platforms for python in on.pythons}


def _python(findings: Findings) -> str:
    return str(findings.python or findings.requires_python)


def _has(stack: Stack, pin: TorchPin) -> bool:
    return pin.requirement.specifier.contains(stack.local_version, prereleases=True)


def _no_torch(pin: TorchPin, matrix: Matrix, platform: Platform) -> RequestError:
    releases = sorted(
        {stack.torch for stack in matrix.stacks if any(on.platform is platform for on in stack.platforms)}
    )
    return RequestError(
        f"{pin.source} asks for {pin.requirement}, and no stack for {platform} that fits has it:"
        f" gpuimg knows torch {releases[0]} to {releases[-1]}",
        hints=["`gpuimg matrix list` shows the stacks", f"change {pin.source}, or name a stack with --spec"],
    )


def _usual(obeyed: Sequence[TorchPin], findings: Findings, matrix: Matrix) -> tuple[str | None, str | None]:
    """The stack with the CUDA that is usual here, and the name that it serves for, where that is another."""
    for pin in obeyed:
        for stack in matrix.stacks:
            if stack.cuda == pin.cuda and _has(stack, pin):
                return stack.name, None
    spec = findings.dockerfile.spec if findings.dockerfile is not None else None
    if spec is not None:
        with contextlib.suppress(UnknownStackError):
            found = resolve(Spec(text=spec.text, torch=spec.torch, cuda=spec.cuda), matrix)
            if found.substitution is not None:
                return found.stack.name, found.substitution.name
    return None, None


def _is_locked(stack: Stack, platform: Platform) -> bool:
    """Whether its torch is on PyPI, where each wheel has a hash."""
    return any(on.platform is platform and on.index == "pypi" for on in stack.platforms)


def _reason(obeyed: Sequence[TorchPin], host: Host, answer: Answer) -> str:
    pins = [f"{pin.requirement} ({pin.source})" for pin in dict.fromkeys(obeyed)]
    newest = "the newest" + (f" with {' and '.join(pins)}" if pins else "")
    if not _is_known(host):
        return newest
    names = [str(gpu.label or gpu) for gpu in host.gpus] + ([f"driver {host.driver}"] if host.driver else [])
    said = {
        Answer.RUNS: "that runs on",
        Answer.UNKNOWN: "that may run on",
        Answer.CANNOT: "though none of them runs on",
    }
    return f"{newest} {said[answer]} {', '.join(names)}"


def _is_known(host: Host) -> bool:
    return host.driver is not None or bool(host.gpus)


def _doubts(verdict: Verdict, host: Host) -> tuple[str, ...]:
    """What speaks against a stack on `host`, in sentences."""
    if not _is_known(host):
        return ()
    head = {
        Answer.RUNS: f"With {verdict.stack.name}",
        Answer.UNKNOWN: f"Whether {verdict.stack.name} runs there is unknown",
        Answer.CANNOT: f"{verdict.stack.name} can't run there",
    }
    return tuple(f"{head[verdict.answer]}: {reason}" for reason in (*verdict.reasons, *verdict.notes))


def oldest_driver(stack: Stack, matrix: Matrix) -> str:
    """The driver from which on `stack` runs on some GPU."""
    return str(next(row.min_driver for row in matrix.cudas if row.version == stack.cuda))


def needed_python(findings: Findings, plan: Plan) -> PythonVersion | None:
    """The Python that the folder wants where it isn't gpuimg's own choice, as in `plan`; None: no need to name one."""
    pythons = plan.on_platform.pythons
    if findings.python in pythons:
        return findings.python if findings.python != plan.python else None
    if accepts(findings, plan.python):
        return None
    return max((p for p in pythons if not p.free_threaded and accepts(findings, p)), default=None)
