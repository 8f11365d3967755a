"""What is installed, by metadata alone: nothing here imports torch, so the parent may use it too."""

from __future__ import annotations

import importlib.util
import re
from importlib import metadata
from pathlib import Path

from .requirements import Requirement, normalise, parse_requirement


def torch_folder() -> Path | None:
    """The folder of the torch that ``import torch`` would find, or None."""
    spec = importlib.util.find_spec("torch")
    return Path(spec.origin).parent if spec and spec.origin else None


def torch_version() -> str | None:
    """``torch.__version__``, read from torch's ``version.py`` without running it."""
    match = re.search(r"^__version__ = ['\"]([^'\"]+)", _version_file(), re.MULTILINE)
    return match[1] if match else None


def torch_lacks_cuda() -> bool:
    """Whether torch's ``version.py`` says that it is built without CUDA."""
    return re.search(r"^cuda(: [^=]+)? = None$", _version_file(), re.MULTILINE) is not None


def _version_file() -> str:
    folder = torch_folder()
    try:
        return "" if folder is None else (folder / "version.py").read_text(encoding="utf-8")
    except OSError:
        return ""


def version_of(name: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def all_versions() -> dict[str, str]:
    """Normalised name → version of every distribution on the path; the first found wins, as for the import system."""
    versions: dict[str, str] = {}
    for found in metadata.distributions():
        name = found.metadata["Name"]
        if name:
            versions.setdefault(normalise(name), found.version)
    return versions


def requirements_of(name: str) -> tuple[Requirement, ...]:
    """What the metadata of a distribution requires on this interpreter, or nothing where it isn't installed."""
    try:
        lines: list[str] = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return ()
    return tuple(item for item in map(parse_requirement, lines) if item.applies())


def requires_python(name: str) -> str:
    """The Python versions that the metadata of a distribution allows; empty where it doesn't tell."""
    try:
        return next(iter(metadata.metadata(name).get_all("Requires-Python") or ()), "")
    except metadata.PackageNotFoundError:
        return ""


def unmet(requirements: tuple[Requirement, ...]) -> list[str]:
    """One sentence for each requirement that what is installed doesn't satisfy."""
    versions = all_versions()
    problems = []
    for item in requirements:
        found = versions.get(item.name)
        if found is None:
            problems.append(f"{item.text} is required and not installed")
        elif not item.holds(found):
            problems.append(f"{item.text} is required and {found} is installed")
    return problems


def pin_of(prefix: str) -> str | None:
    """The version that torch's metadata pins for the wheel whose name starts so, such as ``nvidia-cudnn``."""
    names = re.compile(re.escape(prefix) + r"(-cu\d+)?")
    for item in requirements_of("torch"):
        if names.fullmatch(item.name):
            return item.pin
    return None
