"""What there is, what options say and what is answered → the draft of a project file.

Each answer decides the next suggestion: the flavor, then the stack, the command, the code.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gpuimg.errors import RequestError
from gpuimg.facts import Flavor, Matrix
from gpuimg.matrix.query import Host
from gpuimg.model import Plan
from gpuimg.pipeline.plan import Settings, make_plan
from gpuimg.pipeline.resolve import resolve, unknown_flavor
from gpuimg.pipeline.spec import parse_spec
from gpuimg.project.choose import Choice, choose_stack, named_stack, needed_python, oldest_driver
from gpuimg.project.draft import Draft
from gpuimg.project.suggest import slim_flavor, suggest_code, suggest_command, suggest_flavor
from gpuimg.project.survey import Findings
from gpuimg.project.values import CODE_FOLDER, split_command
from gpuimg.versions import Platform, PythonVersion

Value = TypeVar("Value")


class Ask(Protocol):
    """Puts a question and gives what `read` makes of the answer; what that refuses by a RequestError is asked again."""

    def __call__(self, question: str, *, default: str, read: Callable[[str], Value]) -> Value: ...


class Say(Protocol):
    """Tells in a line what was chosen, and why."""

    def __call__(self, what: str, text: str, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What options say; None: to be asked or suggested."""

    spec: str | None = None
    flavor: str | None = None
    python: PythonVersion | None = None
    platform: Platform
    name: str | None = None
    command: str | None = None
    code: bool | None = None


def propose(findings: Findings, host: Host, matrix: Matrix, wanted: Wanted, *, ask: Ask, say: Say) -> Draft:
    """Give the draft.

    Raises:
        RequestError: an option can't be met, or what files ask for.
    """
    flavor, flavor_reason = _flavor(findings, matrix, wanted, ask)
    spec, choice = _stack(findings, host, matrix, wanted, flavor, ask)
    plan = _plan(spec, flavor, matrix, wanted)
    python = wanted.python or (needed_python(findings, plan) if plan.resolution.spec.python is None else None)
    say("stack", f"{spec}: {choice.reason}" if choice.reason else spec)
    for doubt in choice.doubts:
        say("", doubt)
    if flavor_reason or flavor != matrix.flavors[0]:
        say("flavor", f"{flavor.name}: {flavor_reason or flavor.summary}")
    command, command_reason = _command(findings, flavor, wanted, ask)
    code = _code(findings, wanted, ask)
    slim = slim_flavor(findings, matrix, chosen=flavor.name)
    if slim is not None:
        say("", f"`flavor: {slim.value}` is for an image that only serves: {slim.reason}")
    dockerfile = findings.dockerfile
    workdir = dockerfile.workdir if dockerfile is not None and code else None
    in_spec = plan.resolution.spec.flavor is not None
    return Draft(
        name=wanted.name or findings.name,
        spec=spec,
        flavor=None if flavor == matrix.flavors[0] or in_spec else flavor.name,
        python=str(python) if python is not None else None,
        platform=None if wanted.platform is Platform.AMD64 else str(wanted.platform),
        requirements=findings.requirements,
        extras=_extras(findings),
        code="." if code else None,
        workdir=workdir if workdir not in {None, CODE_FOLDER} else None,
        command=command,
        comments={
            "spec": _about_stack(choice, python or plan.python, matrix),
            "flavor": [f"{flavor.name}: {flavor_reason or flavor.summary}"],
            "python": [] if wanted.python is not None or python is None else [_about_python(findings)],
            "code": [f"All of this folder but what .dockerignore names; in the image it is {workdir or CODE_FOLDER}."],
            "command": [command_reason] if command_reason else [],
        },
        closing=() if slim is None else (f"For an image that only serves, `flavor: {slim.value}`: {slim.reason}",),
    )


def _flavor(findings: Findings, matrix: Matrix, wanted: Wanted, ask: Ask) -> tuple[Flavor, str]:
    rows = {row.name: row for row in matrix.flavors}

    def read(text: str) -> Flavor:
        if text not in rows:
            raise unknown_flavor(text, matrix)
        return rows[text]

    in_spec = parse_spec(wanted.spec).flavor if wanted.spec is not None else None
    if wanted.flavor is not None or in_spec is not None:
        return read(wanted.flavor or str(in_spec)), ""
    suggested = suggest_flavor(findings, matrix)
    flavor = ask(f"What is the image for ({', '.join(rows)})?", default=suggested.value, read=read)
    return flavor, suggested.reason if flavor.name == suggested.value else ""


def _stack(
    findings: Findings, host: Host, matrix: Matrix, wanted: Wanted, flavor: Flavor, ask: Ask
) -> tuple[str, Choice]:
    """The spec as the file has it, and the stack that it is."""

    def read(text: str) -> tuple[str, Choice]:
        return text, named_stack(parse_spec(text), findings, host, matrix, platform=wanted.platform)

    if wanted.spec is not None:
        return read(wanted.spec)
    choice = choose_stack(findings, host, matrix, flavor=flavor, platform=wanted.platform)
    spec, named = ask("Which stack?", default=choice.stack.name, read=read)
    return spec, choice if spec == choice.stack.name else named


def _plan(spec: str, flavor: Flavor, matrix: Matrix, wanted: Wanted) -> Plan:
    """What shows that there can be such an image at all."""
    parsed = parse_spec(spec)
    settings = Settings(
        flavor=None if parsed.flavor is not None else flavor.name, python=wanted.python, platform=wanted.platform
    )
    return make_plan(resolve(parsed, matrix), matrix, settings)


def _command(findings: Findings, flavor: Flavor, wanted: Wanted, ask: Ask) -> tuple[tuple[str, ...], str]:
    if wanted.command is not None:
        return split_command(wanted.command), ""
    words, reason = suggest_command(findings, flavor)
    nothing = " ".join(flavor.command)

    def read(text: str) -> tuple[str, ...]:
        return words if text == shlex.join(words) else () if text == nothing else split_command(text)

    command = ask("What does it run?", default=shlex.join(words) if words else nothing, read=read)
    return command, reason if command == words else ""


def _code(findings: Findings, wanted: Wanted, ask: Ask) -> bool:
    if wanted.code is not None:
        return wanted.code

    def read(text: str) -> bool:
        answers = {"y": True, "yes": True, "n": False, "no": False}
        if text.lower() not in answers:
            raise RequestError(f"`{text}` is neither yes nor no")
        return answers[text.lower()]

    default = "yes" if suggest_code(findings) else "no"
    return ask("Copy this folder into the image? A container can mount it instead.", default=default, read=read)


def _extras(findings: Findings) -> tuple[str, ...]:
    """What the Dockerfile installs; its torch is the stack's."""
    found = findings.dockerfile.extras if findings.dockerfile is not None else ()
    return tuple(text for text in found if not _is_torch(text))


def _is_torch(text: str) -> bool:
    from packaging.requirements import Requirement

    return Requirement(text).name.lower() in {"torch", "torchvision", "torchaudio"}


def _about_python(findings: Findings) -> str:
    if findings.python is not None:
        return "As .python-version says."
    return f"As requires-python says: {findings.requires_python}."


def _about_stack(choice: Choice, python: PythonVersion, matrix: Matrix) -> Sequence[str]:
    stack, driver = choice.stack, oldest_driver(choice.stack, matrix)
    facts = f"torch {stack.torch}, CUDA {stack.cuda}, Python {python}; from driver {driver} on."
    return [
        facts,
        *([f"Chosen as {choice.reason}."] if choice.reason else []),
        *(f"{doubt}." for doubt in choice.doubts),
    ]
