#!/usr/bin/env python3
"""Derive ``matrices/wheels/<stack>.yaml``: the closed wheel set of each stack, with version, size and SHA-256.

For each stack of ``torch.yaml``, platform and Python, uv resolves torch, its companions and what every image carries
beside them (`ROOTS`) under the constraints of ``local.yaml``, wheels only, from uv's default index. Of each package the
one wheel file that an installer would take is recorded, in the layer of the image that it goes into:

cuda
    NVIDIA's libraries, which don't depend on Python;
torch
    torch and everything else;
toolkit
    what `devel` needs beyond them for nvcc, where wheels have it: CUDA 13 and later.

Wheels that only PyTorch's own index has (torch and its companions of a stack with ``index: pytorch``) are recorded by
version alone. NVIDIA's libraries of such a stack come from ``index_only_pins`` of ``local.yaml``; what else it needs is
what the same torch release on PyPI needs.

A file whose wheels didn't change keeps its date: a second run changes nothing. Needs Python 3.11, uv and the network.

Usage: ``python scripts/derive_wheels.py [--stack NAME]...``
"""

from __future__ import annotations

import argparse
import importlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from gpuimg.paths import MATRICES
from gpuimg.versions import CudaVersion, Platform, PythonVersion

ROOTS: Final = ("numpy", "pip", "setuptools", "uv")
"""What every image carries beside torch and its companions."""

COMPANIONS: Final = ("torchvision", "torchaudio")

TOOLKIT_EXTRAS: Final = (
    "cccl", "crt", "cublas", "cudart", "cufft", "curand", "cusolver", "cusparse", "nvcc", "nvrtc", "nvtx", "nvvm",
    "profiler",
)  # fmt: skip
"""Extras of the cuda-toolkit package that a torch extension may compile against."""

GLIBC: Final = "2.28"
"""Every base has at least this glibc, so wheels may ask for it."""

HEADER: Final = (
    "# Derived: the closed wheel set of {stack}. Don't edit; run `python scripts/derive_wheels.py --stack {stack}`.\n"
)


# --- the file format -------------------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """Block style in the given order; in quotes what YAML could misread, versions first; plain lists on one line."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 (PyYAML's signature)
        return True


def _represent_str(dumper: _Dumper, value: str) -> yaml.Node:
    plain = re.fullmatch(r"(?![0-9a-f]{64}$)[A-Za-z/][\w ./@=+-]*", value) and isinstance(yaml.safe_load(value), str)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


def _represent_list(dumper: _Dumper, value: list[object]) -> yaml.Node:
    scalars = not any(isinstance(item, (dict, list)) for item in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=scalars)


def _represent_dict(dumper: _Dumper, value: dict[str, object]) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style="layer" in value)


_Dumper.add_representer(str, _represent_str)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(dict, _represent_dict)


def dump(document: Mapping[str, object], *, header: str) -> str:
    """The canonical text of a derived file: `header`, then YAML with one wheel a line."""
    text = yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, width=sys.maxsize, allow_unicode=True)
    return header + text


def dump_wheels(document: Mapping[str, object]) -> str:
    """The canonical text of ``wheels/<stack>.yaml``."""
    return dump(document, header=HEADER.format(stack=document["stack"]))


# --- resolving -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One package of a resolution and the wheel file that an installer takes for it."""

    name: str
    version: Version
    index: str = "pypi"
    size_bytes: int | None = None
    sha256: str | None = None
    any_python: bool = False
    """Whether the file serves every Python 3 (``py3-none-…``)."""

    def row(self, layer: str) -> dict[str, object]:
        row: dict[str, object] = {"name": self.name, "version": str(self.version), "layer": layer, "index": self.index}
        if self.sha256 is not None:
            row |= {"size_bytes": self.size_bytes, "sha256": self.sha256}
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a resolution is for."""

    python: PythonVersion
    platform: Platform


def tags(target: Target) -> Iterator[Tag]:
    """The wheel tags that `target` accepts, best first."""
    machine, version = target.platform.machine, (target.python.major, target.python.minor)
    aliases = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    platforms: list[str] = []
    for minor in range(Version(GLIBC).minor, 4, -1):
        platforms.append(f"manylinux_2_{minor}_{machine}")
        if minor in aliases:
            platforms.append(f"{aliases[minor]}_{machine}")
    platforms.append(f"linux_{machine}")
    interpreter = f"cp{version[0]}{version[1]}"
    yield from cpython_tags(version, platforms=platforms)
    yield from compatible_tags(version, interpreter=interpreter, platforms=platforms)


def find_uv() -> tuple[str, ...]:
    """The command that runs uv: from PATH, else as a module of this Python."""
    path = shutil.which("uv")
    return (path,) if path else (sys.executable, "-m", "uv")


def resolve(requirements: Iterable[str], *, constraints: Iterable[str], target: Target) -> dict[str, Found]:
    """Resolve `requirements` for `target`, wheels only. Raises `subprocess.CalledProcessError` with uv's reason."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "requirements.in").write_text("\n".join(requirements), encoding="utf-8")
        Path(folder, "constraints.in").write_text("\n".join(constraints), encoding="utf-8")
        floor = GLIBC.replace(".", "_")
        command = [
            *find_uv(), "pip", "compile", "--quiet", "--no-config", "--only-binary", ":all:", "--format", "pylock.toml",
            "--python-version", str(target.python), "--python-platform", f"{target.platform.machine}-manylinux_{floor}",
            "--constraints", "constraints.in", "--output-file", "pylock.toml", "requirements.in",
        ]  # fmt: skip
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        lock = Path(folder, "pylock.toml").read_text(encoding="utf-8")
    loads = importlib.import_module("tomllib").loads  # not in Python 3.10, where the tests import this module too
    ranks = {tag: rank for rank, tag in enumerate(tags(target))}
    found = (_found(package, ranks) for package in loads(lock)["packages"])
    return {package.name: package for package in found}


def _found(package: Mapping[str, Any], ranks: Mapping[Tag, int]) -> Found:
    candidates = []
    for wheel in package["wheels"]:
        filename = unquote(urlsplit(wheel["url"]).path.rpartition("/")[2])
        _, _, build, file_tags = parse_wheel_filename(filename)
        matching = [ranks[tag] for tag in file_tags if tag in ranks]
        if matching:
            candidates.append((min(matching), [-number for number in build[:1]], filename, wheel, file_tags))
    if not candidates:
        raise LookupError(f"no wheel of {package['name']} {package['version']} fits")
    _, _, _, wheel, file_tags = min(candidates, key=lambda candidate: candidate[:3])
    return Found(
        name=package["name"],
        version=Version(package["version"]),
        size_bytes=wheel["size"],
        sha256=wheel["hashes"]["sha256"],
        any_python=any(tag.interpreter == "py3" and tag.abi == "none" for tag in file_tags),
    )


# --- the sets of a stack ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What ``local.yaml`` says about one stack."""

    constraints: tuple[str, ...]
    pins: tuple[str, ...]
    """NVIDIA's libraries of a stack that only PyTorch's index has."""

    @classmethod
    def of(cls, stack: Mapping[str, Any], local: Mapping[str, Any]) -> Local:
        constraints = [
            row["requirement"]
            for row in local["constraints"]
            if Version(stack["torch"]) in SpecifierSet(row["torch"]) and row["cuda"] in {None, stack["cuda"]}
        ]
        pins = [pin for row in local["index_only_pins"] if row["stack"] == stack["name"] for pin in row["requirements"]]
        return cls(constraints=tuple(constraints), pins=tuple(pins))


def closed_set(stack: Mapping[str, Any], local: Local, target: Target) -> dict[str, Found]:
    """Every wheel of `stack` for `target`, the toolkit's apart."""
    main = {name: stack[name] for name in ("torch", *COMPANIONS) if stack[name]}
    roots = [*(f"{name}=={version}" for name, version in main.items()), *ROOTS]
    if stack["index"] == "pypi":
        return resolve(roots, constraints=local.constraints, target=target)
    others = [text for text in local.constraints if not is_library(Requirement(text).name)]
    resolved = resolve(roots, constraints=others, target=target)
    libraries = resolve(local.pins, constraints=local.constraints, target=target)
    variant = CudaVersion.parse(stack["cuda"]).variant
    own = {name: Found(name=name, version=Version(f"{main[name]}+{variant}"), index=stack["index"]) for name in main}
    return {name: found for name, found in resolved.items() if not is_library(name)} | libraries | own


def toolkit(wheels: Mapping[str, Found], target: Target) -> dict[str, Found]:
    """What `devel` needs beyond `wheels`; nothing where the stack doesn't come with a cuda-toolkit release."""
    release = wheels.get("cuda-toolkit")
    if release is None:
        return {}
    requirement = Requirement(f"cuda-toolkit=={release.version}")
    requirement.extras = set(TOOLKIT_EXTRAS)
    pins = [f"{wheel.name}=={wheel.version}" for wheel in wheels.values()]
    resolved = resolve([str(requirement)], constraints=pins, target=target)
    return {name: found for name, found in resolved.items() if name not in wheels}


def is_library(name: str) -> bool:
    """Whether a package is one of NVIDIA's libraries."""
    return name.startswith("nvidia-")


def layer(found: Found) -> str:
    return "cuda" if is_library(found.name) and found.any_python else "torch"


def derive_platform(stack: Mapping[str, Any], local: Local, row: Mapping[str, Any]) -> dict[str, object]:
    """The sets of all Pythons of one platform; what all of them share comes first and once."""
    platform = Platform(row["platform"])
    targets = [Target(python=PythonVersion.parse(python), platform=platform) for python in row["pythons"]]
    with ThreadPoolExecutor(len(targets)) as pool:  # uv mostly waits for the index
        sets = list(pool.map(lambda target: closed_set(stack, local, target), targets))
    shared = {
        name: found for name, found in sets[0].items() if found.sha256 and all(s.get(name) == found for s in sets)
    }
    extra = toolkit(sets[-1], targets[-1])
    common = [
        *(found.row(layer(found)) for found in shared.values()),
        *(found.row("toolkit") for found in extra.values()),
    ]
    return {
        "platform": str(platform),
        "shared": sorted(common, key=lambda wheel: str(wheel["name"])),
        "pythons": [
            {
                "python": str(target.python),
                "wheels": [wheels[name].row(layer(wheels[name])) for name in sorted(wheels) if name not in shared],
            }
            for target, wheels in zip(targets, sets, strict=True)
        ],
    }


def derive(stack: Mapping[str, Any], local: Mapping[str, Any]) -> dict[str, object]:
    """The document of ``wheels/<stack>.yaml``, dated today."""
    version = subprocess.run([*find_uv(), "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    return {
        "schema": 1,
        "stack": stack["name"],
        "resolved_with": f"uv {version}",
        "resolved_on": datetime.now(timezone.utc).date().isoformat(),
        "platforms": [derive_platform(stack, Local.of(stack, local), row) for row in stack["platforms"]],
    }


def write(document: Mapping[str, object], folder: Path) -> bool:
    """Write the file unless its wheels are the same already. Returns whether they changed."""
    path = folder / f"{document['stack']}.yaml"
    if path.is_file():
        old = yaml.safe_load(path.read_text(encoding="utf-8"))
        same = old["schema"] == document["schema"] and old["platforms"] == document["platforms"]
        if same and path.read_text(encoding="utf-8") == dump_wheels(old):
            return False
    path.write_text(dump_wheels(document), encoding="utf-8")
    return True


def summary(document: Mapping[str, Any]) -> str:
    """One line a platform: wheels and bytes of its newest Python's set."""
    lines = []
    for row in document["platforms"]:
        wheels = [*row["shared"], *row["pythons"][-1]["wheels"]]
        gigabytes = sum(wheel.get("size_bytes", 0) for wheel in wheels) / 1e9
        unhashed = sum("sha256" not in wheel for wheel in wheels)
        note = f", {unhashed} without hash" if unhashed else ""
        pythons = " ".join(python["python"] for python in row["pythons"])
        lines.append(f"  {row['platform']}: {len(wheels)} wheels, {gigabytes:.2f} GB{note}; Python {pythons}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stack", action="append", metavar="NAME", help="only this stack (may be repeated)")
    parser.add_argument("--matrix-dir", type=Path, default=MATRICES, metavar="DIR", help="default: %(default)s")
    options = parser.parse_args(arguments)

    stacks = yaml.safe_load((options.matrix_dir / "torch.yaml").read_text(encoding="utf-8"))["stacks"]
    local = yaml.safe_load((options.matrix_dir / "local.yaml").read_text(encoding="utf-8"))
    unknown = set(options.stack or ()) - {stack["name"] for stack in stacks}
    if unknown:
        parser.error(f"not in torch.yaml: {', '.join(sorted(unknown))}")
    chosen = [stack for stack in stacks if not options.stack or stack["name"] in options.stack]
    folder = options.matrix_dir / "wheels"
    folder.mkdir(exist_ok=True)

    failed = False
    with ThreadPoolExecutor(4) as pool:
        for stack, job in [(stack, pool.submit(derive, stack, local)) for stack in chosen]:
            try:
                document = job.result()
            except subprocess.CalledProcessError as error:
                failed = True
                print(f"{stack['name']}: uv failed\n{error.stderr}", file=sys.stderr)
                continue
            changed = write(document, folder)
            print(f"{stack['name']}: {'written' if changed else 'unchanged'}\n{summary(document)}")
    if not options.stack:
        for stale in sorted(
            path for path in folder.glob("*.yaml") if path.stem not in {stack["name"] for stack in stacks}
        ):
            stale.unlink()
            print(f"{stale.stem}: removed, torch.yaml no longer has it")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
