"""Rows about hosts: what mends them, by distribution, and what an engine can do from which release on."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version

from gpuimg.facts.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What mends one problem on one family of distributions: a row of ``matrices/remedies.yaml``."""

    problem: str
    distribution: str
    """An ID or ID_LIKE of os-release, ``wsl``, or ``any`` for those that have no row of their own."""
    commands: tuple[str, ...] = ()
    """In order. ``{file}`` stands for the file that the finding names."""
    hints: tuple[str, ...] = ()
    """What no command can do."""
    sources: tuple[Source, ...]

    @property
    def name(self) -> str:
        """What an overlay replaces it by."""
        return f"{self.problem} on {self.distribution}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFeature:
    """The first release of Docker's engine that has something: a row of ``matrices/remedies.yaml``."""

    feature: str
    engine: Version
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """All rows about hosts, loaded and checked."""

    remedies: tuple[Remedy, ...]
    engine_features: tuple[EngineFeature, ...]
