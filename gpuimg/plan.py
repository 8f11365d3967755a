"""A resolved stack and the user's settings → `Plan`: all that the Dockerfile depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from gpuimg import settings
from gpuimg.errors import RequestError, UnknownStackError
from gpuimg.matrix.checks import check_wheel_set
from gpuimg.matrix.load import load_wheels
from gpuimg.model import (
    AllocatorSetting,
    Base,
    Flavor,
    Matrix,
    Plan,
    Resolution,
    Stack,
    StackPlatform,
    Toolkit,
    TrimRule,
    WheelSet,
)
from gpuimg.resolve import no_python
from gpuimg.text import did_you_mean, printable, shorten
from gpuimg.versions import Platform, PythonVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a user may set beside the spec. All None or empty: gpuimg's own choice."""

    flavor: str | None = None
    python: PythonVersion | None = None
    platform: Platform = Platform.AMD64
    base: str | None = None
    extras: Sequence[str] = ()
    index_url: str | None = None
    torch_index_url: str | None = None
    ca_bundle: bytes | None = None
    overlays: Sequence[Path] = ()


def make_plan(resolution: Resolution, matrix: Matrix, wanted: Settings | None = None) -> Plan:
    """Give the plan for one image.

    Raises:
        RequestError: a setting can't be met: unknown flavor, no wheel for the Python or platform, no nvcc for the CUDA,
            a malformed reference, URL or requirement.
    """
    wanted = wanted or Settings()
    stack = resolution.stack
    on_platform = _stack_platform(stack, wanted.platform)
    flavor = _flavor(wanted.flavor or resolution.spec.flavor or matrix.flavors[0].name, matrix)
    toolkit = _toolkit(stack, wanted.platform, matrix) if flavor.toolkit else None
    python = wanted.python or resolution.spec.python
    if python is not None and python not in on_platform.pythons:
        raise no_python(stack, python, on_platform.pythons)
    default_base = _base(matrix, on_platform, python=None, toolkit=toolkit, image=None)
    base = _base(matrix, on_platform, python=python, toolkit=toolkit, image=wanted.base)
    python = python or _default_python(base, on_platform)
    wheels = load_wheels(stack.name, wanted.platform, python, overlays=wanted.overlays)
    check_wheel_set(stack, wheels, python)
    if toolkit is None or toolkit.kind != "wheels":
        wheels = WheelSet(cuda=wheels.cuda, torch=wheels.torch, toolkit=())
    return Plan(
        resolution=resolution,
        python=python,
        python_is_default=python == _default_python(default_base, on_platform),
        platform=wanted.platform,
        flavor=flavor,
        base=base,
        base_image=settings.image_reference(wanted.base if wanted.base not in {None, base.name} else base.image),
        standalone_python=base.python != python,
        cuda=next(row for row in matrix.cudas if row.version == stack.cuda),
        toolkit=toolkit,
        wheels=wheels,
        allocator=_allocator(stack, matrix),
        trim=_trim(wheels, matrix),
        extras=_extras(wanted.extras, wheels),
        index_url=settings.index_url(wanted.index_url) if wanted.index_url else None,
        torch_index_url=settings.index_url(wanted.torch_index_url)
        if wanted.torch_index_url
        else matrix.pytorch_index.format(variant=stack.cuda.variant),
        ca_bundle=wanted.ca_bundle,
    )


def _stack_platform(stack: Stack, platform: Platform) -> StackPlatform:
    for entry in stack.platforms:
        if entry.platform is platform:
            return entry
    have = ", ".join(str(entry.platform) for entry in stack.platforms)
    raise UnknownStackError(
        f"torch {stack.local_version} has no CUDA wheels for {platform} (it has {have})",
        nearest=[stack.name],
        hints=[f"`gpuimg build {stack.name} --platform {stack.platforms[0].platform}`"],
    )


def _flavor(name: str, matrix: Matrix) -> Flavor:
    names = [flavor.name for flavor in matrix.flavors]
    if name not in names:
        raise RequestError(
            f"there is no flavor `{shorten(printable(name), 40)}`; there are {', '.join(names)}",
            hints=did_you_mean(name, names),
        )
    return matrix.flavors[names.index(name)]


def _toolkit(stack: Stack, platform: Platform, matrix: Matrix) -> Toolkit:
    for toolkit in matrix.toolkits:
        if toolkit.cuda == stack.cuda and platform in toolkit.platforms:
            return toolkit
    raise RequestError(
        f"no source of nvcc is known for CUDA {stack.cuda} on {platform}, so {stack.name} has no `devel` there",
        hints=[f"`gpuimg build {stack.name} --flavor runtime`"],
    )


def _base(
    matrix: Matrix, on: StackPlatform, *, python: PythonVersion | None, toolkit: Toolkit | None, image: str | None
) -> Base:
    """The row that tells how to set up the base: by the toolkit's need, by the image that was named, by Python.

    The order of ``bases.yaml`` is the order of preference. A base whose own Python fits beats one that needs a second.
    """
    fits = [base for base in matrix.bases if on.platform in base.platforms and base.glibc >= on.glibc]
    named = next((base for base in fits if image in {base.image, base.name}), None)
    if toolkit is not None and toolkit.base is not None:
        needed = next(base for base in matrix.bases if base.name == toolkit.base)
        if named is not None and named != needed:
            raise RequestError(
                f"nvcc for CUDA {toolkit.cuda} comes with {needed.image}; {named.image} can't have it",
                hints=[f"leave --base out, or name an image that was made from {needed.image}"],
            )
        return needed
    if named is not None:
        return named
    with_nvcc = {row.base for row in matrix.toolkits if row.kind == "image"}
    plain = [base for base in fits if base.name not in with_nvcc]
    usable = [base for base in plain if base.python in ({python} if python else set(on.pythons))]
    if not plain:
        raise RequestError(
            f"no base of the matrix has {on.platform} and glibc {on.glibc} or newer, which the wheels need"
        )
    return (usable or plain)[0]


def _default_python(base: Base, on: StackPlatform) -> PythonVersion:
    return base.python if base.python in on.pythons else max(on.pythons)


def _allocator(stack: Stack, matrix: Matrix) -> AllocatorSetting | None:
    return next((row for row in matrix.allocator if stack.torch in SpecifierSet(row.torch)), None)


def _trim(wheels: WheelSet, matrix: Matrix) -> tuple[TrimRule, ...]:
    names = {wheel.name for wheel in (*wheels.cuda, *wheels.torch)}
    return tuple(rule for rule in matrix.trim if rule.package in names)


def _extras(texts: Sequence[str], wheels: WheelSet) -> tuple[str, ...]:
    """Normalised, sorted, and none that would touch what the stack fixes."""
    fixed = {wheel.name: wheel.version for wheel in (*wheels.cuda, *wheels.torch)}
    extras = sorted({settings.requirement(text) for text in texts})
    for extra in map(Requirement, extras):
        version = fixed.get(canonicalize_name(extra.name))
        if version is not None and not extra.specifier.contains(version, prereleases=True):
            raise RequestError(
                f"`{extra}` contradicts the stack, which has {extra.name} {version} in its locked wheel set",
                hints=[f"leave {extra.name} out, or choose another stack: `gpuimg matrix list`"],
            )
    return tuple(extras)
