"""The packages that an image of a project asks for, in its file and in files of requirements → extras of its stack.

torch is the stack's: what asks for it must agree with the spec, and then adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuimg import settings, toml
from gpuimg.errors import RequestError
from gpuimg.extras.checks import held_wheels
from gpuimg.extras.requirements import read_requirements
from gpuimg.facts import Matrix, Stack
from gpuimg.model import Plan
from gpuimg.project.model import ProjectImage
from gpuimg.project.uvlock import read_uv_lock
from gpuimg.text import printable, shorten, shown_path
from gpuimg.versions import Platform, PythonVersion

LOCK: Final = "uv.lock"
_NOT_READ: Final = {
    "poetry.lock": "`poetry export -o requirements.txt` writes what gpuimg reads",
    "Pipfile": "`pipenv requirements > requirements.txt` writes what gpuimg reads",
    "Pipfile.lock": "`pipenv requirements > requirements.txt` writes what gpuimg reads",
    "environment.yml": "name its packages as PyPI has them in a requirements.txt",
    "environment.yaml": "name its packages as PyPI has them in a requirements.txt",
    "setup.py": "name what it needs in a requirements.txt, or in [project] of a pyproject.toml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """What an image gets beside its stack."""

    extras: tuple[str, ...]
    left: tuple[str, ...] = ()
    """What a lock has in another release than the stack, whose release stays: ``numpy 1.26.4 (2.4.6)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    requirement: Requirement
    source: str
    locked: bool

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)


def project_packages(
    image: ProjectImage, plan: Plan, matrix: Matrix, *, label: str, environ: Mapping[str, str]
) -> Packages:
    """Give the extras of `image` on the stack of `plan`, which has none yet. `label` is what errors call its file.

    Raises:
        RequestError: a file can't be read, or asks for another torch than the stack's.
        CommandNotFoundError: there is no uv, and a lock to read.
    """
    asked = [_Asked(requirement=Requirement(text), source=label, locked=False) for text in image.extras]
    for path in image.requirements:
        texts = read_packages(path, environ=environ)
        asked += [_Asked(requirement=Requirement(text), source=path.name, locked=path.name == LOCK) for text in texts]
    asked = [item for item in asked if item.requirement.marker is None or _applies(item.requirement, plan)]
    held = held_wheels(plan.wheels, matrix)
    extras: dict[str, None] = {}
    left = []
    for item in asked:
        requirement = _without_marker(item.requirement)
        if item.name == "torch":
            check_torch(requirement, plan.stack, matrix, source=item.source, spec=plan.resolution.spec.text)
            requirement = Requirement("torch" + (f"[{','.join(requirement.extras)}]" if requirement.extras else ""))
        elif item.locked and item.name in held:
            locked, has = _locked_version(requirement), held[item.name].version
            left += [f"{item.name} {locked} ({has})"] if locked != has.public else []
            requirement = Requirement(item.name)
        extras[str(requirement)] = None
    return Packages(extras=tuple(extras), left=tuple(left))


def read_packages(path: Path, *, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Give the requirements of a file, normalised, in the way that its name tells. Raises as `project_packages`."""
    if path.name in _NOT_READ:
        raise RequestError(f"{shown_path(path)} is no file that gpuimg reads", hints=[_NOT_READ[path.name]])
    if path.name == LOCK:
        return read_uv_lock(path, environ=environ)
    readers: Mapping[str, Callable[[Path], tuple[str, ...]]] = {"pyproject.toml": _dependencies}
    return readers.get(path.name, read_requirements)(path)


def check_torch(wanted: Requirement, stack: Stack, matrix: Matrix, *, source: str, spec: str) -> None:
    """Raise RequestError, with the spec that fits, where `source` asks for another torch than `stack` has."""
    if wanted.specifier.contains(stack.local_version, prereleases=True):
        return
    fitting = [other for other in matrix.stacks if wanted.specifier.contains(other.local_version, prereleases=True)]
    hints = [f"leave torch out of {source}: the stack has it"]
    if fitting:
        hints.insert(0, f"`spec: {nearest_stack(fitting, stack).name}` has such a torch")
    else:
        hints.insert(0, "no stack of the matrix has such a torch: `gpuimg matrix list`")
    raise RequestError(
        f"{source} asks for {shorten(printable(str(wanted)), 80)},"
        f" and the spec `{spec}` is torch {stack.local_version}",
        hints=hints,
    )


def nearest_stack(stacks: Sequence[Stack], stack: Stack) -> Stack:
    """Of `stacks` the newest torch with the CUDA of `stack`, else with its major, else at all; PyPI's builds first."""

    def key(other: Stack) -> tuple[object, ...]:
        same = (other.cuda == stack.cuda, other.cuda.major == stack.cuda.major)
        return (*same, other.torch, any(on.index == "pypi" for on in other.platforms), other.cuda)

    return max(stacks, key=key)


def applies(requirement: Requirement, *, python: PythonVersion, platform: Platform) -> bool:
    """Whether a requirement's marker holds in an image, whose patch release of Python nobody knows yet: taken as 0."""
    if requirement.marker is None:
        return True
    full = f"{python.major}.{python.minor}.0"
    return requirement.marker.evaluate(
        {
            "python_version": f"{python.major}.{python.minor}",
            "python_full_version": full,
            "implementation_version": full,
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "os_name": "posix",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "platform_machine": platform.machine,
            "platform_release": "",
            "platform_version": "",
            "extra": "",
        }
    )


def _applies(requirement: Requirement, plan: Plan) -> bool:
    return applies(requirement, python=plan.python, platform=plan.platform)


def _locked_version(pin: Requirement) -> str:
    """The release that a lock names: an index of a CUDA variant adds that to the version."""
    return Version(next(iter(pin.specifier)).version).public


def _without_marker(requirement: Requirement) -> Requirement:
    plain = Requirement(str(requirement))
    plain.marker = None
    return plain


def _dependencies(path: Path) -> tuple[str, ...]:
    """The dependencies of a pyproject.toml's project."""
    shown = shown_path(path)
    try:
        project = toml.loads(path.read_text(encoding="utf-8")).get("project")
    except OSError as error:
        raise RequestError(f"{shown} can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{shown} is not valid TOML: {shorten(printable(str(error)), 200)}") from error
    if not isinstance(project, dict) or "dependencies" in project.get("dynamic", ()):
        raise RequestError(
            f"{shown} doesn't say its dependencies: it has no [project], or a program gives them",
            hints=["name a file that says them, such as a requirements.txt"],
        )
    found = project.get("dependencies", [])
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise RequestError(f"{shown}: project.dependencies is no list of texts")
    try:
        return tuple(settings.requirement(text) for text in found)
    except RequestError as error:
        raise RequestError(f"{shown}, project.dependencies: {error.message}", hints=error.hints) from error
