"""The nouns of a project file. All values have been checked; paths are absolute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gpuimg.versions import Platform, PythonVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeWishes:
    """How the images of a project are checked. None or empty: as the command does it by itself."""

    enabled: bool = True
    """Whether `gpuimg build` checks at all."""
    mode: str | None = None
    """``quick``, ``default`` or ``full``."""
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    gpus: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A file or folder of the project, and the absolute path that it gets in the image."""

    source: Path
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectImage:
    """One image of a project, with what the file says for all of them. None or empty: gpuimg's own choice."""

    name: str
    """The image's key below ``images``; the project's own name where the file has one image."""
    spec: str
    repository: str
    tags: tuple[str, ...]
    flavor: str | None = None
    python: PythonVersion | None = None
    platform: Platform | None = None
    base: str | None = None
    extras: tuple[str, ...] = ()
    """PEP 508 requirements, normalised."""
    requirements: tuple[Path, ...] = ()
    """Files of requirements: text, ``pyproject.toml`` or ``uv.lock``."""
    packages: tuple[str, ...] = ()
    """System packages."""
    code: tuple[Code, ...] = ()
    workdir: str | None = None
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    index_url: str | None = None
    torch_index_url: str | None = None
    ca_bundle: Path | None = None
    build_network: str | None = None
    smoke: SmokeWishes = field(default_factory=SmokeWishes)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def references(self) -> tuple[str, ...]:
        """What the image is called."""
        return tuple(f"{self.repository}:{tag}" for tag in self.tags)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project file, read."""

    file: Path
    label: str
    """What messages call the file: ``gpuimg.yaml``, or ``pyproject.toml [tool.gpuimg]``."""
    name: str
    images: tuple[ProjectImage, ...]

    @property
    def folder(self) -> Path:
        return self.file.parent
