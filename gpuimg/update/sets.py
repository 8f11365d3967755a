"""The closed wheel sets of a stack → ``matrices/wheels/<stack>.yaml``.

Every wheel is recorded in the layer of the image that it goes into:

cuda
    NVIDIA's libraries, which don't depend on Python;
torch
    torch and everything else;
toolkit
    what `devel` needs beyond them for nvcc, where wheels have it: CUDA 13 and later.

Wheels that only PyTorch's own index has are recorded by version alone. What such a stack needs beside its libraries is
what the same torch release on PyPI needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpuimg.facts import Stack, StackPlatform
from gpuimg.update.closure import Found
from gpuimg.update.dump import dump
from gpuimg.update.pins import is_library
from gpuimg.update.record import Record, RecordedWheel
from gpuimg.versions import CudaVersion, Platform, PythonVersion
from gpuimg.wheels import Target, best_wheel

Close: TypeAlias = Callable[[tuple[str, ...], tuple[str, ...], Target], Mapping[str, Found]]
"""Requirements, constraints and target → the wheels that they come to."""

ROOTS: Final = ("numpy", "pip", "setuptools", "uv")
"""What every image carries beside torch and its companions."""

TOOLKIT_EXTRAS: Final = (
    "cccl", "crt", "cublas", "cudart", "cufft", "curand", "cusolver", "cusparse", "nvcc", "nvrtc", "nvtx", "nvvm",
    "profiler",
)  # fmt: skip
"""Extras of the cuda-toolkit package that a torch extension may compile against."""

_HEADER: Final = "# Derived: the closed wheel set of {stack}. Don't edit; `gpuimg matrix update` rewrites it.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What bounds a package that torch's metadata leaves open: a row of ``local.yaml``."""

    torch: str
    cuda: CudaVersion | None
    requirement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """All that the wheel sets of one stack are resolved from."""

    stack: Stack
    requirements: Mapping[str, tuple[str, ...]]
    """By platform: the library wheels that torch asks for, where PyPI's wheel of the release doesn't say."""
    constraints: tuple[str, ...]
    toolkit: bool
    """Whether wheels bring nvcc for its CUDA."""
    own: Mapping[tuple[str, PythonVersion, Platform], RecordedWheel]
    """By package: the stack's own wheels on PyTorch's index, where that was read."""

    @property
    def digest(self) -> str:
        """Changes when the sets must be resolved anew."""
        mains = [(name, str(version)) for name, version in _mains(self.stack).items()]
        parts: list[object] = [
            ROOTS,
            TOOLKIT_EXTRAS if self.toolkit else (),
            self.constraints,
            mains,
            str(self.stack.triton),
        ]
        for on in self.stack.platforms:
            pythons = [str(python) for python in on.pythons]
            own = sorted(str(wheel.sha256) for (_, _, platform), wheel in self.own.items() if platform is on.platform)
            parts.append(
                (str(on.platform), on.index, on.libraries, pythons, own, self.requirements.get(str(on.platform), ()))
            )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def inputs_of(
    stack: Stack,
    *,
    requirements: Mapping[str, tuple[str, ...]],
    bounds: Sequence[Bound],
    toolkit: bool,
    pytorch: Record | None,
) -> Inputs:
    """Give what a stack's sets are resolved from; of all `bounds` those that concern it."""
    constraints = [
        bound.requirement
        for bound in bounds
        if stack.torch in SpecifierSet(bound.torch) and bound.cuda in {None, stack.cuda}
    ]
    return Inputs(
        stack=stack,
        requirements=requirements,
        constraints=tuple(constraints),
        toolkit=toolkit,
        own=_own(stack, pytorch) if pytorch else {},
    )


def derive_sets(inputs: Inputs, *, on: StackPlatform, close: Close) -> dict[str, Any]:
    """Resolve the sets of all Pythons of one platform with `close`; what all of them share comes first and once.

    Raises:
        UpstreamError: uv finds no set, or the index doesn't answer.
    """
    targets = [Target(python=python, platform=on.platform) for python in on.pythons]
    sets = [_set(inputs, on, target, close) for target in targets]
    first = sets[0]
    shared = {name: item for name, item in first.items() if item.sha256 and all(s.get(name) == item for s in sets)}
    extra = _toolkit(inputs, sets[-1], targets[-1], close) if inputs.toolkit and on.libraries == "wheels" else {}
    common = [
        *(wheel_row(item, _layer(item)) for item in shared.values()),
        *(wheel_row(item, "toolkit") for item in extra.values()),
    ]
    return {
        "platform": str(on.platform),
        "closed": on.libraries != "unknown" and all(_has_triton(inputs.stack, items) for items in sets),
        "shared": sorted(common, key=lambda row: str(row["name"])),
        "pythons": [
            {
                "python": str(target.python),
                "wheels": [wheel_row(items[name], _layer(items[name])) for name in sorted(items) if name not in shared],
            }
            for target, items in zip(targets, sets, strict=True)
        ],
    }


def dump_sets(document: Mapping[str, Any]) -> str:
    """The canonical text of ``wheels/<stack>.yaml``: one wheel a line."""
    return dump(document, header=_HEADER.format(stack=document["stack"]), one_line="layer")


def _has_triton(stack: Stack, items: Mapping[str, Found]) -> bool:
    """Some builds for arm64 have a triton that no index tells of."""
    return stack.triton is None or "triton" in items


def _mains(stack: Stack) -> dict[str, Version]:
    mains = {"torch": stack.torch, "torchvision": stack.torchvision, "torchaudio": stack.torchaudio}
    return {name: version for name, version in mains.items() if version is not None}


def _set(inputs: Inputs, on: StackPlatform, target: Target, close: Close) -> Mapping[str, Found]:
    """Every wheel of a stack for `target`, the toolkit's apart."""
    stack = inputs.stack
    mains = _mains(stack)
    roots = (*(f"{name}=={version}" for name, version in mains.items()), *ROOTS)
    if on.index == "pypi":
        return close(roots, inputs.constraints, target)
    # PyPI's build of the release says what torch needs beside its libraries
    others = tuple(text for text in inputs.constraints if not is_library(Requirement(text).name))
    needed = {k: v for k, v in close(_on_pypi(roots, stack), others, target).items() if not is_library(k)}
    requirements = inputs.requirements.get(str(on.platform), ())
    libraries = close(requirements, inputs.constraints, target) if requirements else {}
    own = {}
    for name, version in mains.items():
        wheel = inputs.own.get((name, target.python, target.platform))
        own[name] = Found(
            name=name,
            version=Version(f"{version}+{stack.cuda.variant}"),
            index=on.index,
            size_bytes=wheel.size_bytes if wheel else None,
            sha256=wheel.sha256 if wheel else None,
        )
    return {**needed, **libraries, **own}


def _own(stack: Stack, pytorch: Record) -> dict[tuple[str, PythonVersion, Platform], RecordedWheel]:
    """The stack's own wheels as PyTorch's index lists them: of several that fit the one that was built last."""
    found = {}
    targets = [
        Target(python=p, platform=on.platform) for on in stack.platforms if on.index != "pypi" for p in on.pythons
    ]
    for name, version in _mains(stack).items():
        project = pytorch.find(name, variant=stack.cuda.variant)
        wanted = Version(f"{version}+{stack.cuda.variant}")
        files = [w for r in (project.releases if project else ()) if r.version == wanted for w in r.files]
        for target in targets:
            best = best_wheel(((wheel.file, wheel) for wheel in files if wheel.yanked is None), target)
            if best is not None:
                found[name, target.python, target.platform] = best[1]
    return found


def _on_pypi(roots: Sequence[str], stack: Stack) -> tuple[str, ...]:
    """Without the companions: on PyPI they may go with the release's other CUDA alone, and bring nothing that torch
    and the roots don't, but Pillow and NumPy."""
    extra = ("pillow",) if stack.torchvision is not None else ()
    return (*(root for root in roots if not root.startswith(("torchvision", "torchaudio"))), *extra)


def _toolkit(inputs: Inputs, wheels: Mapping[str, Found], target: Target, close: Close) -> Mapping[str, Found]:
    """What `devel` needs beyond `wheels`, of the toolkit release that they are of."""
    cuda = inputs.stack.cuda
    release = wheels.get("cuda-toolkit")
    wanted = f"=={release.version}" if release else f"=={cuda}.*"
    pins = tuple(f"{item.name}=={item.version}" for item in wheels.values() if item.index == "pypi")
    # torch may pin a library apart from the release, which then must not be asked for by its extra
    extras = [name for name in TOOLKIT_EXTRAS if not wheels.keys() & {f"nvidia-{name}", f"nvidia-cuda-{name}"}]
    found = close((f"cuda-toolkit[{','.join(extras)}]{wanted}",), (*inputs.constraints, *pins), target)
    return {name: item for name, item in found.items() if name not in wheels and name.startswith("nvidia-")}


def _layer(item: Found) -> str:
    return "cuda" if item.name.startswith("nvidia-") and item.any_python else "torch"


def wheel_row(item: Found, layer: str) -> dict[str, Any]:
    """A wheel as its file has it; what isn't known is left out."""
    row = {
        "name": item.name,
        "version": str(item.version),
        "layer": layer,
        "index": item.index,
        "size_bytes": item.size_bytes,
        "sha256": item.sha256,
    }
    return {key: value for key, value in row.items() if value is not None}
