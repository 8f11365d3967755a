"""Every fact has its source: a row that states one without saying where it comes from does not load."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from gpuimg import facts
from gpuimg.errors import MatrixError

_SECTIONS: Final[Mapping[str, tuple[str, str, Sequence[str]]]] = {
    "stacks": ("torch", "name", ("name", "platforms", "last_seen")),
    "compatible": ("local", "name", ("name",)),
    "source_builds": ("local", "name", ("name",)),
    "cudas": ("cuda", "version", ("version",)),
    "chips": ("gpus", "compute_capability", ("compute_capability",)),
    "gpus": ("gpus", "name", ("name",)),
    "datasheets": ("datasheets", "name", ("name", "devices")),
    "bases": ("bases", "name", ("name", "distribution", "release", "platforms")),
    "toolkits": ("bases", "cuda", ("cuda",)),
    "allocator": ("allocator", "torch", ("torch",)),
    "trim": ("trim", "package", ("package", "action")),
}
"""Section of the matrix: its file, the field that names a row, and the fields that say what a row is about."""

_OF_HOSTS: Final[Mapping[str, Sequence[str]]] = {
    "remedies": ("problem", "distribution"),
    "engine_features": ("feature",),
}
"""Section of ``remedies.yaml``: the fields that say what a row is about."""

_OF_PLATFORM: Final = ("platform", "left_out")


def check_sources(matrix: facts.Matrix) -> None:
    """Raise MatrixError for the first fact that no entry in its row's `sources` covers. What is absent needs none."""
    for section, (file, name, about) in _SECTIONS.items():
        for row in getattr(matrix, section):
            _check_row(row, about, file=file, where=f"{section}.{getattr(row, name)}")


def check_host_sources(hosts: facts.HostFacts) -> None:
    """The same for the rows about hosts."""
    for section, about in _OF_HOSTS.items():
        for row in getattr(hosts, section):
            where = " on ".join(getattr(row, field) for field in about)
            _check_row(row, about, file="remedies", where=f"{section}.{where}")


def _check_row(row: Any, about: Iterable[str], *, file: str, where: str) -> None:
    sourced = {field for source in row.sources for field in source.fields}
    for fact in _facts(row, about):
        if fact not in sourced:
            problem = "has no source; add its field to one in `sources`"
            raise MatrixError(f"matrices/{file}.yaml", f"{where}.{fact}", problem)


def _facts(row: Any, about: Iterable[str]) -> Iterator[str]:
    absent_is_a_fact = isinstance(row, facts.Stack)  # that a torch has no torchaudio is one
    for field in dataclasses.fields(row):
        value = getattr(row, field.name)
        if field.name not in {"sources", *about} and (absent_is_a_fact or value not in (None, ())):
            yield field.name
    if isinstance(row, facts.Stack):
        yield from (f.name for f in dataclasses.fields(facts.StackPlatform) if f.name not in _OF_PLATFORM)
