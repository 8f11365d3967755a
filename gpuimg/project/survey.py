"""A folder and a machine → what there is that a project file follows from. Nothing is run but `python3` and uv."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gpuimg import toml
from gpuimg.errors import GpuimgError
from gpuimg.machine import Machine, Nvidia, read_nvidia
from gpuimg.project.dockerfile import DockerfileFacts, read_dockerfile
from gpuimg.project.packages import LOCK, applies, read_packages
from gpuimg.project.read import project_name
from gpuimg.versions import CudaVersion, Platform, PythonVersion

SCRIPTS: Final = ("train.py", "main.py", "app.py", "server.py")
"""What a folder's program is mostly called, likeliest first."""
_ASK_TORCH: Final = (
    "import sys, site, importlib.metadata as m; sys.path.append(site.getusersitepackages()); print(m.version('torch'))"
)
"""Without the current folder on its path, whose modules nobody asked to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchPin:
    """Which torch something asks for, and what that is. One of a file binds, others only tell what is usual here."""

    requirement: Requirement
    source: str
    binding: bool
    cuda: CudaVersion | None = None
    """Its CUDA, where that is known beside the version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What there is."""

    name: str
    requirements: tuple[str, ...] = ()
    """Files of requirements, relative to the folder."""
    packages: tuple[Requirement, ...] = ()
    """What they ask for."""
    torch: tuple[TorchPin, ...] = ()
    """Strongest first."""
    python: PythonVersion | None = None
    """Of ``.python-version``."""
    requires_python: SpecifierSet = field(default_factory=SpecifierSet)
    scripts: tuple[str, ...] = ()
    notebooks: tuple[str, ...] = ()
    dockerfile: DockerfileFacts | None = None
    nvidia: Nvidia = field(default_factory=Nvidia)
    platform: Platform = Platform.AMD64
    unread: tuple[str, ...] = ()
    """What was found and can't be used, with the reason."""


def survey(folder: Path, machine: Machine, *, arch: str) -> Findings:
    """Look at `folder` and `machine`, whose ``uname -m`` is `arch`. What can't be read is `unread`, never an error."""
    platform = next((known for known in Platform if known.machine == arch), Platform.AMD64)
    dockerfile = read_dockerfile(folder / "Dockerfile")
    python = _python_version(folder)
    files, unread = _requirement_files(folder, dockerfile, environ=machine.environ)
    target = python or PythonVersion(sys.version_info.major, sys.version_info.minor)
    asked = [(name, Requirement(text)) for name, texts in files.items() for text in texts]
    asked += [("Dockerfile", Requirement(text)) for text in (dockerfile.extras if dockerfile else ())]
    here = [(name, item) for name, item in asked if applies(item, python=target, platform=platform)]
    return Findings(
        name=project_name(folder.resolve().name),
        requirements=tuple(files),
        packages=tuple(item for _, item in here if canonicalize_name(item.name) != "torch"),
        torch=tuple(_torch_pins(here, dockerfile, installed_torch(folder, machine))),
        python=python,
        requires_python=_requires_python(folder),
        scripts=tuple(name for name in SCRIPTS if (folder / name).is_file()),
        notebooks=tuple(sorted(path.name for path in folder.glob("*.ipynb"))),
        dockerfile=dockerfile,
        nvidia=read_nvidia(machine),
        platform=platform,
        unread=tuple(unread),
    )


def installed_torch(folder: Path, machine: Machine) -> tuple[Version, str] | None:
    """The torch of the active environment, of the folder's ``.venv`` or of python3, and where; None: there is none.

    No torch is imported.
    """
    active = machine.environ.get("VIRTUAL_ENV")
    if active:
        return _ask(machine, f"{active}/bin/python", "the active environment")
    for found in sorted((folder / ".venv").glob("lib/python3*/site-packages/torch-*.dist-info")):
        with contextlib.suppress(InvalidVersion):
            return Version(found.name.removeprefix("torch-").removesuffix(".dist-info")), ".venv"
    return _ask(machine, "python3", "python3")


def _ask(machine: Machine, python: str, where: str) -> tuple[Version, str] | None:
    answer = machine.ask([python, "-I", "-c", _ASK_TORCH])
    if answer is not None and answer.exit_code == 0:
        with contextlib.suppress(InvalidVersion):
            return Version(answer.stdout.strip()), where
    return None


def _requirement_files(
    folder: Path, dockerfile: DockerfileFacts | None, *, environ: Mapping[str, str]
) -> tuple[dict[str, Sequence[str]], list[str]]:
    """What each file asks for, and what can't be used. A lock says all that the files beside it do."""
    named = [name for name in (dockerfile.requirements if dockerfile else ()) if not name.startswith("/")]
    candidates = [LOCK] if (folder / LOCK).is_file() else ["pyproject.toml", "requirements.txt", *named]
    found: dict[str, Sequence[str]] = {}
    unread = []
    for name in dict.fromkeys(str(Path(name)) for name in candidates):
        path = folder / name
        if not path.is_file() or (name == "pyproject.toml" and not _has_dependencies(path)):
            continue
        try:
            found[name] = read_packages(path, environ=environ)
        except GpuimgError as error:
            unread.append("; ".join((error.message, *error.hints[:1])))
    return found, unread


def _has_dependencies(pyproject: Path) -> bool:
    project = _table(pyproject, "project")
    return bool(project.get("dependencies")) or "dependencies" in str(project.get("dynamic", ()))


def _requires_python(folder: Path) -> SpecifierSet:
    with contextlib.suppress(InvalidSpecifier):
        return SpecifierSet(str(_table(folder / "pyproject.toml", "project").get("requires-python", "")))
    return SpecifierSet()


def _table(path: Path, name: str) -> Mapping[str, object]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = toml.loads(path.read_text(encoding="utf-8")).get(name)
        if isinstance(found, dict):
            return found
    return {}


def _python_version(folder: Path) -> PythonVersion | None:
    with contextlib.suppress(OSError, ValueError):
        return PythonVersion.parse((folder / ".python-version").read_text(encoding="utf-8").strip())
    return None


def _torch_pins(
    asked: Sequence[tuple[str, Requirement]], dockerfile: DockerfileFacts | None, installed: tuple[Version, str] | None
) -> Iterator[TorchPin]:
    for name, requirement in asked:
        if canonicalize_name(requirement.name) == "torch" and requirement.specifier:
            yield TorchPin(requirement=_torch(str(requirement.specifier)), source=name, binding=name != "Dockerfile")
    if dockerfile is not None and dockerfile.spec is not None:
        torch = dockerfile.spec.torch
        release = f"=={torch}" if len(torch.release) > 2 else f"=={torch}.*"
        yield TorchPin(
            requirement=_torch(release), source=str(dockerfile.base), binding=False, cuda=dockerfile.spec.cuda
        )
    if installed is not None:
        version, where = installed
        yield TorchPin(
            requirement=_torch(f"=={version.public}"), source=where, binding=False, cuda=_cuda(version.local)
        )


def _cuda(local: str | None) -> CudaVersion | None:
    with contextlib.suppress(ValueError):
        return CudaVersion.parse(local or "")
    return None


def _torch(specifier: str) -> Requirement:
    return Requirement(f"torch{specifier}")
