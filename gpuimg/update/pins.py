"""What a torch wheel asks for on one platform and Python: its requirements, with ``cuda-toolkit[…]`` written out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuimg.update.record import Project, RecordedMetadata
from gpuimg.versions import Platform, PythonVersion

_TOOLKIT = "cuda-toolkit"


def wanted(
    requires_dist: Iterable[str], *, platform: Platform, python: PythonVersion, toolkit: Project | None = None
) -> Mapping[str, Requirement]:
    """Give the requirements that hold on Linux on `platform` with `python`, by normalised name.

    ``cuda-toolkit[cublas,…]==13.0.3`` comes as what these extras of that release ask for, beside itself; `toolkit` is
    the recorded project. Two requirements on one package hold both.
    """
    found: dict[str, Requirement] = {}
    for requirement in _holding(requires_dist, platform=platform, python=python, extras=("",)):
        _add(found, requirement)
        if canonicalize_name(requirement.name) == _TOOLKIT and toolkit is not None:
            metadata = _release(toolkit, requirement)
            extras = sorted(requirement.extras)
            for part in _holding(metadata.requires_dist, platform=platform, python=python, extras=extras):
                _add(found, part)
    return found


def is_library(name: str) -> bool:
    """Whether a package belongs to CUDA: NVIDIA's libraries and what goes with them."""
    return canonicalize_name(name).startswith(("nvidia-", "cuda-"))


def exact(requirement: Requirement | None) -> Version | None:
    """The one version that a requirement pins (``==2.21.5``, ``==13.0.88.*``), else None."""
    specifiers = list(requirement.specifier) if requirement else []
    if len(specifiers) != 1 or specifiers[0].operator != "==":
        return None
    return Version(specifiers[0].version.removesuffix(".*"))


def _holding(
    requires_dist: Iterable[str], *, platform: Platform, python: PythonVersion, extras: Sequence[str]
) -> Iterable[Requirement]:
    environment = {
        "implementation_name": "cpython",
        "implementation_version": f"{python.major}.{python.minor}.0",
        "os_name": "posix",
        "platform_machine": platform.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python.major}.{python.minor}.0",
        "python_version": f"{python.major}.{python.minor}",
        "sys_platform": "linux",
    }
    for text in requires_dist:
        requirement = Requirement(text)
        if requirement.marker is None or any(
            requirement.marker.evaluate({**environment, "extra": extra}) for extra in extras
        ):
            yield requirement


def _add(found: dict[str, Requirement], requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    if name in found:
        requirement.specifier &= found[name].specifier
    found[name] = requirement


def _release(toolkit: Project, requirement: Requirement) -> RecordedMetadata:
    """The metadata of the toolkit's release that a requirement names; LookupError where it isn't recorded."""
    for release in reversed(toolkit.releases):
        if requirement.specifier.contains(release.version, prereleases=True) and release.metadata:
            return release.metadata[0]
    raise LookupError(f"{requirement.name} {requirement.specifier} is not recorded")
