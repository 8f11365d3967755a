"""Which wheel files fit: a CPython on a platform, the tags that it takes, and the best of several files."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Final, TypeVar

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from gpuimg.versions import Platform, PythonVersion

GLIBC: Final = Version("2.28")
"""Every base has at least this glibc, so wheels may ask for it."""

_ALIASES: Final[Mapping[int, str]] = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
"""The older names of manylinux_2_17, _12 and _5, by PEP 600."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What wheels must fit."""

    python: PythonVersion
    platform: Platform
    glibc: Version = GLIBC

    def takes(self, tags: Set[Tag]) -> bool:
        """Whether a wheel with these tags can be installed."""
        return not tags.isdisjoint(_ranks(self))


def best_wheel(files: Iterable[tuple[str, Item]], target: Target) -> tuple[str, Item] | None:
    """Give the file that fits `target` best, of equals the one that was built last; None where none fits.

    Args:
        files: file names of wheels, each with what belongs to it.
    """
    order = _ranks(target)
    candidates = []
    for filename, item in files:
        _, _, build, tags = parse_wheel_filename(filename)
        matching = [order[tag] for tag in tags if tag in order]
        if matching:
            candidates.append(((min(matching), -build[0] if build else 0, filename), item))
    if not candidates:
        return None
    (_, _, filename), item = min(candidates, key=lambda candidate: candidate[0])
    return filename, item


@functools.cache
def _ranks(target: Target) -> Mapping[Tag, int]:
    """The tags that `target` takes, the best with rank 0."""
    machine, python = target.platform.machine, target.python
    platforms: list[str] = []
    for minor in range(target.glibc.minor, 4, -1):
        platforms.append(f"manylinux_2_{minor}_{machine}")
        if minor in _ALIASES:
            platforms.append(f"{_ALIASES[minor]}_{machine}")
    platforms.append(f"linux_{machine}")
    version = (python.major, python.minor)
    interpreter = f"cp{python.major}{python.minor}"
    abis = [f"{interpreter}t"] if python.free_threaded else None
    tags = [
        *cpython_tags(version, abis=abis, platforms=platforms),
        *compatible_tags(version, interpreter=interpreter, platforms=platforms),
    ]
    if python.free_threaded:  # its ABI isn't the stable one
        tags = [tag for tag in tags if tag.abi != "abi3"]
    return {tag: rank for rank, tag in enumerate(tags)}
