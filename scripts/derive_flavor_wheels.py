#!/usr/bin/env python3
"""Derive ``matrices/flavors/<flavor>.yaml``: the wheels that a flavor adds to the stacks, for each Python and platform.

uv resolves the flavor's requirements once for each Python and platform of the matrix, from uv's default index; what a
stack brings itself (NumPy, Jinja2 and the like) is bounded by what the stacks have. Each wheel's own metadata then
tells what is asked of those packages: it is recorded, and held against every stack. A Python that this fails for is
left out, with the reason.

Usage: ``python scripts/derive_flavor_wheels.py [--matrix-dir DIR] [FLAVOR...]``
"""

from __future__ import annotations

import argparse
import datetime as dt
import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuimg.errors import UpstreamError
from gpuimg.extras.uv import find_uv
from gpuimg.facts import Flavor, Matrix
from gpuimg.matrix import load_matrix, load_wheels
from gpuimg.matrix.files import read_document
from gpuimg.paths import MATRICES, cache_folder
from gpuimg.project.packages import applies
from gpuimg.update.builds import PYPI
from gpuimg.update.closure import Found, close
from gpuimg.update.dump import dump
from gpuimg.update.index import IndexFile, read_project
from gpuimg.update.run import default_index
from gpuimg.update.session import Session
from gpuimg.update.wheelfile import read_wheel
from gpuimg.versions import Platform, PythonVersion
from gpuimg.wheels import Target, best_wheel

_HEADER: Final = (
    "# Derived: what the flavor {flavor} adds to a stack. Don't edit; run\n"
    "# `python scripts/derive_flavor_wheels.py {flavor}`.\n"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("flavors", nargs="*", metavar="FLAVOR", help="only these")
    parser.add_argument("--matrix-dir", type=Path, metavar="DIR", help="a folder with rows of yours")
    options = parser.parse_args()
    folder = options.matrix_dir or MATRICES
    matrix = load_matrix((options.matrix_dir,) if options.matrix_dir else ())
    own = {row["name"] for row in read_document(folder / "flavors.yaml", schema="flavors")["flavors"]}
    with Session(cache_dir=cache_folder(os.environ)) as session:
        for flavor in matrix.flavors:
            if flavor.requirements and flavor.name in own and (not options.flavors or flavor.name in options.flavors):
                path = folder / "flavors" / f"{flavor.name}.yaml"
                path.parent.mkdir(exist_ok=True)
                path.write_text(_document(flavor, matrix, session), encoding="utf-8")
                sys.stdout.write(f"{path}\n")
    return 0


def _document(flavor: Flavor, matrix: Matrix, session: Session) -> str:
    uv = subprocess.run([*find_uv(), "--version"], check=True, capture_output=True, text=True).stdout.split()
    index_url = default_index()

    @functools.cache
    def listed(name: str) -> Sequence[IndexFile]:
        return read_project(index_url, project=name, index=PYPI, session=session)

    document = {
        "schema": 1,
        "flavor": flavor.name,
        "resolved_with": " ".join(uv[:2]),
        "resolved_on": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "requirements": list(flavor.requirements),
        "platforms": [_platform(flavor, platform, matrix, listed, session) for platform in Platform],
    }
    return dump(document, header=_HEADER.format(flavor=flavor.name), one_line="sha256")


def _platform(
    flavor: Flavor,
    platform: Platform,
    matrix: Matrix,
    listed: Callable[[str], Sequence[IndexFile]],
    session: Session,
) -> Mapping[str, Any]:
    sets: dict[PythonVersion, tuple[list[dict[str, Any]], list[str]]] = {}
    left_out = []
    for python, pins in _pins(matrix, platform).items():
        target = Target(python=python, platform=platform)
        try:
            found = close(flavor.requirements, constraints=_bounds(pins), target=target, listed=listed)
            asks = _asks(found.values(), pins, target, listed, session)
        except UpstreamError as error:
            if error.unreachable:
                raise
            left_out.append({"python": str(python), "reason": _short(error.problem)})
            continue
        # what every stack of this Python brings itself is never taken from here
        own = [_row(item) for name, item in sorted(found.items()) if not all(name in each for each in pins)]
        sets[python] = own, asks
        sys.stderr.write(f"{flavor.name}, Python {python} on {platform}: {len(own)} wheels\n")
    rows = [rows for rows, _ in sets.values()]
    shared = [row for row in rows[0] if all(row in others for others in rows)]
    return {
        "platform": str(platform),
        "shared": shared,
        "pythons": [
            {"python": str(python), "asks": asks, "wheels": [row for row in rows if row not in shared]}
            for python, (rows, asks) in sets.items()
        ],
        "left_out": left_out,
    }


def _pins(matrix: Matrix, platform: Platform) -> Mapping[PythonVersion, Sequence[Mapping[str, Version]]]:
    """Python → for each stack that has it there, what its set pins beside CUDA's libraries."""
    found: dict[PythonVersion, list[Mapping[str, Version]]] = {}
    for stack in matrix.stacks:
        for on in stack.platforms:
            for python in on.pythons if on.platform is platform else ():
                wheels = load_wheels(stack.name, platform, python).torch
                found.setdefault(python, []).append({canonicalize_name(wheel.name): wheel.version for wheel in wheels})
    return dict(sorted(found.items(), key=lambda item: (item[0].minor, item[0].free_threaded)))


def _bounds(pins: Sequence[Mapping[str, Version]]) -> Sequence[str]:
    """Of what several stacks have in several versions the oldest: what takes that mostly takes the newer ones."""
    names = sorted({name for each in pins for name in each if not name.startswith(("torch", "triton"))})
    oldest = {name: min(each[name] for each in pins if name in each) for name in names}
    return [f"{name}=={version}" for name, version in oldest.items()]


def _asks(
    found: Iterable[Found],
    pins: Sequence[Mapping[str, Version]],
    target: Target,
    listed: Callable[[str], Sequence[IndexFile]],
    session: Session,
) -> list[str]:
    """What the wheels ask of packages that stacks bring. Raises UpstreamError where a stack's doesn't do."""
    brought = {name for each in pins for name in each}
    asks = set()
    for item in found:
        files = [file for file in listed(item.name) if file.version == item.version and file.yanked is None]
        best = best_wheel([(file.filename, file) for file in files], target)
        if item.name in brought or best is None:
            continue
        for text in read_wheel(best[1], session, index=PYPI).requires_dist:
            asked = Requirement(text)
            name = canonicalize_name(asked.name)
            if name not in brought or not applies(asked, python=target.python, platform=target.platform):
                continue
            if str(asked.specifier):
                asks.add(f"{name}{asked.specifier}")
            for each in pins:
                if name in each and not asked.specifier.contains(each[name], prereleases=True):
                    raise UpstreamError(PYPI, item.name, f"{item.name} asks for {text}, a stack has {each[name]}")
    return sorted(asks)


def _row(item: Found) -> dict[str, Any]:
    return {
        "name": item.name,
        "version": str(item.version),
        "size_bytes": item.size_bytes,
        "sha256": item.sha256,
    }


def _short(problem: str) -> str:
    return " ".join(problem.split())[:300]


if __name__ == "__main__":
    sys.exit(main())
