"""Why extras can't be resolved: who contradicts whom, and the nearest release that fits; uv's own reason comes last."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from gpuimg.errors import RequestError
from gpuimg.extras.uv import Question, UnsolvableError, ask_uv
from gpuimg.facts import Matrix
from gpuimg.model import Plan
from gpuimg.text import shorten

_Told: TypeAlias = tuple[str, list[str]]
_REASON_CHARACTERS: Final = 700
_PROBES: Final = 12
"""How many extras are tried alone at most: uv's reason names those that matter."""


def explained(error: UnsolvableError, plan: Plan, matrix: Matrix, *, environ: Mapping[str, str]) -> RequestError:
    """Give our error for what uv found unsolvable.

    Raises:
        UpstreamError: the index stopped answering.
    """
    question = error.question
    named = [text for text in question.requirements if _occurs(Requirement(text).name, error.reason)][:_PROBES]
    for text in named:
        reason = _reason(dataclasses.replace(question, requirements=(text,)), environ=environ)
        if reason is not None:
            return _of_one(text, reason, question, plan, matrix, environ=environ)
    return _of_several(named, error.reason, question, plan, environ=environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    """An extra that doesn't fit the stack by itself, and why in uv's words."""

    text: str
    reason: str
    """On one line."""
    question: Question
    plan: Plan
    matrix: Matrix

    @property
    def name(self) -> str:
        return canonicalize_name(Requirement(self.text).name)

    @property
    def index(self) -> str:
        return self.plan.index_url or "the package index"


def _of_one(
    text: str, reason: str, question: Question, plan: Plan, matrix: Matrix, *, environ: Mapping[str, str]
) -> RequestError:
    flat = " ".join(reason.split())
    refused = _Refused(text=text, reason=flat, question=question, plan=plan, matrix=matrix)
    if canonicalize_name(_absent(flat) or "") == refused.name:
        return RequestError(
            f"`{text}`: {refused.index} has no package of that name",
            hints=["check the spelling, or name another index with --index-url"],
        )
    tries = (_of_stack, _of_release, _of_row, _of_index, _of_source, _of_wheels, _of_python)
    what, hints = next(filter(None, (find(refused) for find in tries)), (f"`{text}` doesn't fit {plan.stack.name}", []))
    relaxed = _relaxed(text)
    nearest = _found(relaxed, (relaxed,), question, environ=environ)
    if nearest is not None:
        hints = [f"the newest that fits: `--extra {nearest}`", *hints]
    else:
        hints = [f"no release of {refused.name} fits {plan.stack.name} with Python {plan.python}", *hints]
    return RequestError(f"{what}\n{_shown(reason)}", hints=hints)


# --- what it is, in our words: each gives a message and what else would help, or None ---------------------------------


def _of_stack(refused: _Refused) -> _Told | None:
    """It, or what it needs, wants another release of what the stack has."""
    has = {wheel.name: wheel for wheel in refused.question.known}
    for needs, wanted in _demands(refused.reason):
        wheel = has.get(canonicalize_name(wanted.name))
        if wheel is not None and not wanted.specifier.contains(wheel.version, prereleases=True):
            stack = refused.plan.stack.name
            own = canonicalize_name(re.split(r"[<>=!~]", needs)[0]) == refused.name
            both = f"{'it' if own else needs} depends on {wanted}, {stack} has {wheel.name} {wheel.version}"
            what = f"`{refused.text}` doesn't fit {stack}: {both}"
            return what, _other_stacks(wanted, refused.plan, refused.matrix) if wheel.name == "torch" else []
    return None


def _of_release(refused: _Refused) -> _Told | None:
    if not re.search(
        rf"there is no version of {re.escape(Requirement(refused.text).name)}\b", refused.reason, re.IGNORECASE
    ):
        return None
    return f"`{refused.text}`: {refused.index} has no such release", []


def _of_row(refused: _Refused) -> _Told | None:
    """A row of ``extras.yaml`` bounds it."""
    stack = refused.plan.stack
    for row in refused.matrix.sdist_extras:
        if row.name == refused.name:
            return f"`{refused.text}` can't be built: gpuimg knows {row.name}{row.versions}. {row.reason}", []
    for limit in refused.matrix.extra_limits:
        if limit.name == refused.name and limit.requirement in refused.question.constraints:
            where = f"beside {limit.beside}" if limit.beside else f"on {stack.name}"
            return f"`{refused.text}` doesn't work: {where} it takes {limit.requirement}. {limit.reason}", []
    return None


def _of_index(refused: _Refused) -> _Told | None:
    absent = _absent(refused.reason)
    return (f"`{refused.text}` needs {absent}, which {refused.index} doesn't have", []) if absent else None


def _of_source(refused: _Refused) -> _Told | None:
    found = re.search(r"(?:versions of )?([\w.-]+)(\S*) ha(?:s|ve) no usable wheels", refused.reason)
    if found is None:
        return None
    what = (
        f"`{refused.text}`: {found[1]}{found[2]} has no wheel for Python {refused.plan.python} on"
        f" {refused.plan.platform}, and what it takes to build it isn't known"
    )
    return what, [
        "--unlocked-extras leaves extras to the build, which compiles what it must",
        "or write a row for it: `sdists` in DIR/extras.yaml, with --matrix-dir DIR",
    ]


def _of_wheels(refused: _Refused) -> _Told | None:
    if "no wheels with a matching" not in refused.reason:
        return None
    plan = refused.plan
    return f"`{refused.text}` has no wheel for Python {plan.python} on {plan.platform} with glibc {plan.base.glibc}", []


def _of_python(refused: _Refused) -> _Told | None:
    if not re.search(r"does not satisfy Python|depends on Python|requires Python", refused.reason):
        return None
    return f"`{refused.text}` doesn't take Python {refused.plan.python}", ["choose another with --python"]


def _absent(reason: str) -> str | None:
    found = re.search(r"(\S+) was not found in the package registry", reason)
    return found[1] if found else None


# --- several ----------------------------------------------------------------------------------------------------------


def _of_several(
    named: Sequence[str], reason: str, question: Question, plan: Plan, *, environ: Mapping[str, str]
) -> RequestError:
    """Extras that fit the stack one by one and not together."""
    hints = []
    for text in named:
        if Requirement(text).specifier:
            others = [other for other in question.requirements if other != text]
            nearest = _found(_relaxed(text), (*others, _relaxed(text)), question, environ=environ)
            if nearest is not None:
                hints.append(f"with `--extra {nearest}` in place of `{text}` they fit")
    both = " and ".join(f"`{text}`" for text in named) if len(named) > 1 else "the extras"
    return RequestError(f"{both} contradict each other on {plan.stack.name}\n{_shown(reason)}", hints=hints)


def _reason(question: Question, *, environ: Mapping[str, str]) -> str | None:
    """Why uv can't solve it; None: it can."""
    try:
        ask_uv(question, environ=environ)
    except UnsolvableError as error:
        return error.reason
    return None


def _demands(flat: str) -> Iterator[tuple[str, Requirement]]:
    """Who depends on what, as uv says it: ``x<=1 depends on torch==2.4.1``, ``all versions of x depend on torch<2``."""
    for match in re.finditer(r"(\S+) depends? on (\S+)", flat):
        with contextlib.suppress(InvalidRequirement):
            yield match[1], Requirement(match[2].rstrip(",."))


def _relaxed(text: str) -> str:
    """The same without a version."""
    extra = Requirement(text)
    extra.specifier = SpecifierSet()
    return str(extra)


def _found(relaxed: str, requirements: Sequence[str], question: Question, *, environ: Mapping[str, str]) -> str | None:
    """``name==version`` of the release of `relaxed` that fits; None: none does."""
    extra = Requirement(relaxed)
    try:
        packages = ask_uv(dataclasses.replace(question, requirements=tuple(requirements)), environ=environ)
    except UnsolvableError:
        return None
    wanted = canonicalize_name(extra.name)
    versions = [str(package["version"]) for package in packages if canonicalize_name(package["name"]) == wanted]
    extras = f"[{','.join(sorted(extra.extras))}]" if extra.extras else ""
    return f"{extra.name}{extras}=={versions[0]}" if versions else None


def _other_stacks(wanted: Requirement, plan: Plan, matrix: Matrix) -> list[str]:
    """A stack with the torch that an extra asks for."""
    with contextlib.suppress(InvalidSpecifier):
        fits = [
            stack
            for stack in matrix.stacks
            if wanted.specifier.contains(stack.torch)
            and any(on.platform is plan.platform and plan.python in on.pythons for on in stack.platforms)
        ]
        if fits:
            best = max(fits, key=lambda stack: (stack.torch, stack.cuda))
            return [f"or a stack with torch {best.torch}: `gpuimg build {best.name}`"]
    return []


def _occurs(name: str, reason: str) -> bool:
    """Whether uv's reason names a package, in whatever spelling."""
    words = re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*", reason)
    return canonicalize_name(name) in {canonicalize_name(word) for word in words}


def _shown(reason: str) -> str:
    """uv's reason, an indented line each."""
    flat = " ".join(reason.removeprefix("\n").replace("cause:", "").split())
    lines = re.split(r"(?= And because )|(?= hint: )", shorten(flat, _REASON_CHARACTERS))
    return "\n".join(f"uv: {line.strip()}" for line in lines)
