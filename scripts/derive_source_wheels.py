#!/usr/bin/env python3
"""Derive ``matrices/source/<stack>.yaml``: the closed wheel set of each stack that is compiled from torch's sources.

For each row of ``source_builds`` in ``local.yaml``, platform and Python, uv resolves the libraries that the row pins,
what the same torch release on PyPI needs beside its libraries, what every image carries and what compiles torch, from
uv's default index. torch itself is recorded as ``source``. With ``--matrix-dir`` it is the rows of a folder of yours.

Usage: ``python scripts/derive_source_wheels.py [--matrix-dir DIR] [STACK...]``
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpuimg.extras.uv import find_uv
from gpuimg.facts import Matrix, SourceBuild
from gpuimg.matrix import load_matrix
from gpuimg.matrix.files import read_document
from gpuimg.paths import MATRICES
from gpuimg.update.closure import Found, close
from gpuimg.update.dump import dump
from gpuimg.update.pins import is_library
from gpuimg.update.sets import ROOTS, TOOLKIT_EXTRAS, wheel_row
from gpuimg.versions import Platform
from gpuimg.wheels import Target

_HEADER: Final = (
    "# Derived: the closed wheel set of {stack}, whose torch is compiled. Don't edit; run\n"
    "# `python scripts/derive_source_wheels.py {stack}`.\n"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stacks", nargs="*", metavar="STACK", help="only these")
    parser.add_argument("--matrix-dir", type=Path, metavar="DIR", help="a folder with rows of yours")
    options = parser.parse_args()
    folder = options.matrix_dir or MATRICES
    matrix = load_matrix((options.matrix_dir,) if options.matrix_dir else ())
    own = {row["name"] for row in read_document(folder / "local.yaml", schema="local").get("source_builds", ())}
    for build in matrix.source_builds:
        if build.name in own and (not options.stacks or build.name in options.stacks):
            path = folder / "source" / f"{build.name}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(_document(build, matrix), encoding="utf-8")
            sys.stdout.write(f"{path}\n")
    return 0


def _document(build: SourceBuild, matrix: Matrix) -> str:
    uv = subprocess.run([*find_uv(), "--version"], check=True, capture_output=True, text=True).stdout.split()
    document = {
        "schema": 1,
        "stack": build.name,
        "resolved_with": " ".join(uv[:2]),
        "resolved_on": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "inputs": hashlib.sha256(repr(build).encode()).hexdigest()[:16],
        "platforms": [_platform(build, platform, matrix) for platform in build.platforms],
    }
    return dump(document, header=_HEADER.format(stack=build.name), one_line="layer")


def _platform(build: SourceBuild, platform: Platform, matrix: Matrix) -> Mapping[str, Any]:
    toolkit = next(row for row in matrix.toolkits if row.cuda == build.cuda)
    sets = [_set(build, Target(python=p, platform=platform), wheels=toolkit.kind == "wheels") for p in build.pythons]
    shared = [row for row in sets[0] if row["layer"] != "torch" or "sha256" in row]
    shared = [row for row in shared if all(row in rows for rows in sets)]
    return {
        "platform": str(platform),
        "closed": True,
        "shared": sorted(shared, key=_order),
        "pythons": [
            {"python": str(python), "wheels": sorted((r for r in rows if r not in shared), key=_order)}
            for python, rows in zip(build.pythons, sets, strict=True)
        ],
    }


def _same_cuda(build: SourceBuild) -> list[str]:
    """The bounds of ``local.yaml`` that hold for the build, such as nvJitLink's, which its siblings leave open."""
    rows = read_document(MATRICES / "local.yaml", schema="local")["constraints"]
    return [
        row["requirement"]
        for row in rows
        if row["cuda"] == str(build.cuda) and build.torch in SpecifierSet(row["torch"])
    ]


def _order(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["name"], row["layer"]


def _set(build: SourceBuild, target: Target, *, wheels: bool) -> list[dict[str, Any]]:
    """Every wheel for one Python, in its layer."""
    released = close([f"torch=={build.torch}", *ROOTS], constraints=(), target=target)
    others = {name: item for name, item in released.items() if not is_library(name) and name != "torch"}
    bounds = [f"{name}=={item.version}" for name, item in others.items() if name != "triton"]
    bounds += _same_cuda(build)
    found = {**others, **close(build.requirements, constraints=bounds, target=target)}
    torch = Found(name="torch", version=Version(build.local_version), index="source")
    rows = [wheel_row(item, "cuda" if is_library(name) else "torch") for name, item in found.items()]
    rows.append(wheel_row(torch, "torch"))
    rows += _tools(build.build_requirements, target)
    if wheels:
        extras = f"cuda-toolkit[{','.join(TOOLKIT_EXTRAS)}]=={build.cuda}.*"
        pins = [f"{item.name}=={item.version}" for item in found.values()]
        tools = close([extras], constraints=pins, target=target)
        rows += [wheel_row(item, "toolkit") for n, item in tools.items() if n.startswith("nvidia-") and n not in found]
    return rows


def _tools(pins: Sequence[str], target: Target) -> list[dict[str, Any]]:
    """The pinned wheels alone, without what they ask for."""
    names = {Requirement(pin).name for pin in pins}
    found = close(pins, constraints=(), target=target)
    return [wheel_row(item, "build") for name, item in found.items() if name in names]


if __name__ == "__main__":
    sys.exit(main())
