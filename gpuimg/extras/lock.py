"""A plan whose extras are requirements → the same plan with every file of them, by hash: the build resolves nothing.

uv resolves them against all that the stack fixes. Nothing of a package is run here: what has no wheel is built in the
image, and only if a row of ``matrices/extras.yaml`` says what it asks for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Final

from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuimg.errors import UpstreamError
from gpuimg.extras.checks import absent_companions, held_wheels, limits_beside, limits_of, needs_devel
from gpuimg.extras.conflicts import explained
from gpuimg.extras.pylock import locked_file
from gpuimg.extras.uv import Question, UnsolvableError, ask_uv
from gpuimg.facts import Matrix, SdistExtra, Wheel
from gpuimg.model import ExtraSdist, Plan
from gpuimg.wheels import Target

_ROUNDS: Final = 5
"""How often uv is asked again at most; each time a row has objected to what it found."""


def can_lock_extras(plan: Plan) -> bool:
    """Whether all that the stack fixes is known, which extras are resolved against."""
    return plan.wheels.closed and not plan.python.free_threaded  # uv can't resolve for one without running it


def lock_extras(plan: Plan, matrix: Matrix, *, environ: Mapping[str, str]) -> Plan:
    """Give `plan` with the files of its extras, which may be none beyond the stack's own.

    Raises:
        RequestError: extras contradict the stack or each other, don't exist, or need nvcc, which the image lacks.
        UpstreamError: the index doesn't answer, or not with what can be held to.
        CommandNotFoundError: there is no uv.
    """
    if not plan.extras or not can_lock_extras(plan):
        return plan
    question = _question(plan, matrix)
    try:
        packages = _answer(question, plan, matrix, environ=environ)
    except UnsolvableError as error:
        raise explained(error, plan, matrix, environ=environ) from error
    files = _new_files(packages, plan, question.target)
    if not files:
        return dataclasses.replace(plan, extras=())
    rows = {row.name: row for row in matrix.sdist_extras}
    names = {canonicalize_name(package["name"]) for package in packages if not package.get("wheels")}
    for name in sorted(names & {file.name for file in files}):
        if rows[name].nvcc and plan.toolkit is None:
            raise needs_devel(rows[name], plan.stack)
    return dataclasses.replace(
        plan,
        extra_wheels=tuple(file for file in files if file.name not in names),
        extra_sdists=tuple(
            ExtraSdist(sdist=file, row=rows[file.name], tools=_tools(rows[file.name], plan, matrix, environ=environ))
            for file in files
            if file.name in names
        ),
    )


def _question(plan: Plan, matrix: Matrix) -> Question:
    held = held_wheels(plan.wheels, matrix)
    every = (*plan.wheels.cuda, *plan.wheels.torch, *plan.wheels.toolkit, *plan.wheels.flavor)
    return Question(
        requirements=(*plan.extras, *(plan.flavor.requirements if plan.wheels.flavor else ())),
        constraints=(
            *(f"{wheel.name}=={wheel.version}" for wheel in held.values()),
            *(f"{name}<0" for name in absent_companions(plan.stack)),  # none is
            *(row.requirement for row in matrix.open_packages),
            *(row.requirement for row in limits_of(plan.stack, matrix) if row.requirement),
            *(f"{row.name}{row.versions}" for row in matrix.sdist_extras),
        ),
        target=_target(plan, matrix),
        preferred=tuple(wheel for wheel in every if wheel.name not in held),
        known=tuple(held.values()),
        sdists={row.name: tuple(_filled(row.requires, plan)) for row in matrix.sdist_extras},
        index_url=plan.index_url,
        ca_bundle=plan.ca_bundle,
    )


def _target(plan: Plan, matrix: Matrix) -> Target:
    """The newest glibc that uv can resolve for and the base has."""
    (known,) = (resolver.glibc for resolver in matrix.resolvers if resolver.name == "uv")
    glibc = max((version for version in known if version <= plan.base.glibc), default=min(known))
    return Target(python=plan.python, platform=plan.platform, glibc=glibc)


def _answer(
    question: Question, plan: Plan, matrix: Matrix, *, environ: Mapping[str, str]
) -> tuple[Mapping[str, Any], ...]:
    """uv's answer, to which rows of ``extras.yaml`` object no more. Raises UnsolvableError."""
    packages = ask_uv(question, environ=environ)
    for _ in range(_ROUNDS):
        added = _objections(packages, plan, matrix)
        if not added:
            break
        question = dataclasses.replace(question, constraints=(*question.constraints, *added))
        packages = ask_uv(question, environ=environ)
    return packages


def _objections(packages: Iterable[Mapping[str, Any]], plan: Plan, matrix: Matrix) -> tuple[str, ...]:
    """Constraints that metadata doesn't say: what must have the same version, and what does not work together."""
    versions: dict[str, Version] = {
        canonicalize_name(package["name"]): Version(package["version"]) for package in packages if "version" in package
    }
    same = [
        f"{name}=={versions[row.name]}"
        for row in matrix.sdist_extras
        if row.name in versions
        for name in _filled(row.same_version, plan)
        if versions.get(canonicalize_name(name)) != versions[row.name]
    ]
    return (*same, *(row.requirement for row in limits_beside(versions, plan.stack, matrix) if row.requirement))


def _filled(texts: Iterable[str], plan: Plan) -> Iterable[str]:
    return (text.format(cuda_major=plan.stack.cuda.major) for text in texts)


def _new_files(packages: Iterable[Mapping[str, Any]], plan: Plan, target: Target) -> tuple[Wheel, ...]:
    """The files of what stack and flavor don't have already, sorted."""
    every = (*plan.wheels.cuda, *plan.wheels.torch, *plan.wheels.toolkit, *plan.wheels.flavor)
    have = {(canonicalize_name(wheel.name), wheel.version) for wheel in every}
    index = plan.index_url or "the package index"
    new = []
    for package in packages:
        if "version" not in package:
            raise UpstreamError(index, str(package["name"]), "the index gives no version for it")
        if (canonicalize_name(package["name"]), Version(package["version"])) not in have:
            new.append(locked_file(package, target, index=index))
    return tuple(sorted(new, key=lambda file: file.name))


def _tools(row: SdistExtra, plan: Plan, matrix: Matrix, *, environ: Mapping[str, str]) -> tuple[Wheel, ...]:
    """What must be there while an sdist is built, beyond the stack, of which nothing moves for it."""
    question = _question(plan, matrix)
    every = (*plan.wheels.cuda, *plan.wheels.torch, *plan.wheels.toolkit)
    pins = tuple(f"{wheel.name}=={wheel.version}" for wheel in every)
    question = dataclasses.replace(
        question, requirements=row.build_requires, constraints=pins, known=every, preferred=(), sdists={}
    )
    try:
        packages = ask_uv(question, environ=environ)
    except UnsolvableError as error:
        raise explained(error, plan, matrix, environ=environ) from error
    return _new_files(packages, plan, question.target)
