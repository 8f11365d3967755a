"""Resolving with uv: the closed wheel set of one stack for one Python and platform."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import unquote, urlsplit

from packaging.version import Version

from gpuimg.errors import UpstreamError
from gpuimg.extras.uv import Question, UnsolvableError, ask_uv
from gpuimg.update.index import IndexFile
from gpuimg.wheels import Target, best_wheel

Listed: TypeAlias = Callable[[str], Sequence[IndexFile]]
"""A package's name → its files on the index."""

_ROUNDS: Final = 12
"""How many times releases without a fitting wheel are passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One package of a resolution and the wheel file that an installer takes for it."""

    name: str
    version: Version
    index: str
    size_bytes: int | None = None
    sha256: str | None = None
    any_python: bool = False
    """Whether the file serves every Python 3 (``py3-none-…``)."""


def close(
    requirements: Sequence[str],
    *,
    constraints: Iterable[str],
    target: Target,
    index_url: str | None = None,
    listed: Listed | None = None,
) -> dict[str, Found]:
    """Give every wheel that `requirements` come to on `target`, by name. `index_url` None: from uv's default index.

    uv resolves versions. Which file of one is meant, `listed` tells: uv knows no free-threaded build, and passes over
    re-uploads (a higher build tag). Where a version has no wheel that fits, an older one is looked for.

    Raises:
        CommandNotFoundError: there is no uv.
        UpstreamError: nothing fits, or the index doesn't answer: with uv's reason.
    """
    subject = f"{', '.join(sorted(requirements)[:3])}, … for Python {target.python} on {target.platform}"
    passed_over: list[str] = []
    for _ in range(_ROUNDS):
        packages = _lock(requirements, [*constraints, *passed_over], target, index_url, subject)
        found = {package["name"]: _best(package, target, listed) for package in packages}
        without = [package for package in packages if found[package["name"]] is None]
        if not without:
            return {name: item for name, item in found.items() if item is not None}
        passed_over += [f"{package['name']}!={package['version']}" for package in without]
    raise UpstreamError("PyPI", subject, f"these have no wheel that fits: {', '.join(passed_over)}")


def _lock(
    requirements: Sequence[str], constraints: Sequence[str], target: Target, index_url: str | None, subject: str
) -> Sequence[Mapping[str, Any]]:
    """The packages of uv's lock file."""
    question = Question(
        requirements=tuple(requirements),
        constraints=tuple(constraints),
        target=target,
        sdists={},
        index_url=index_url,
    )
    try:
        return ask_uv(question, environ=os.environ)
    except UnsolvableError as error:
        raise UpstreamError("uv", subject, f"no solution found: {error.reason}") from error


def _best(package: Mapping[str, Any], target: Target, listed: Listed | None) -> Found | None:
    """The file of a locked package that fits; None where none does."""
    version = Version(package["version"])
    if listed is not None:
        files = [file for file in listed(package["name"]) if file.version == version and file.yanked is None]
        wheels = [(file.filename, (file.size_bytes, file.sha256)) for file in files]
    else:
        wheels = [(_filename(wheel), (wheel["size"], wheel["hashes"]["sha256"])) for wheel in package["wheels"]]
    best = best_wheel(wheels, target)
    if best is None:
        return None
    filename, (size_bytes, sha256) = best
    return Found(
        name=package["name"],
        version=version,
        index="pypi",
        size_bytes=size_bytes,
        sha256=sha256,
        any_python="-py3-none-" in filename or "-py2.py3-none-" in filename,
    )


def _filename(wheel: Mapping[str, Any]) -> str:
    return unquote(urlsplit(wheel["url"]).path.rpartition("/")[2])
