"""A resolved stack and the user's settings → `Plan`: all that the Dockerfile depends on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpuimg import settings
from gpuimg.errors import RequestError
from gpuimg.extras.checks import checked_extras
from gpuimg.facts import (
    UNKNOWN,
    AllocatorSetting,
    Base,
    Cuda,
    Flavor,
    Matrix,
    Stack,
    StackPlatform,
    Toolkit,
    TrimRule,
    WheelSet,
)
from gpuimg.matrix.checks import check_wheel_set
from gpuimg.matrix.flavors import locked_wheels
from gpuimg.matrix.load import load_wheels
from gpuimg.model import WORKSPACE, CodeCopy, Plan, Resolution, TorchWheel
from gpuimg.pipeline.resolve import no_platform, no_python, unknown_flavor
from gpuimg.smoke.guest.known import why_compile_cannot_work
from gpuimg.source.stage import plan_stage
from gpuimg.source.wheel import check_fits
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
    source_url: str | None = None
    """In place of the repository that a source build's row names."""
    torch_wheel: TorchWheel | None = None
    """A wheel of a source build, in place of compiling it."""
    packages: Sequence[str] = ()
    """System packages."""
    environment: Mapping[str, str] = field(default_factory=dict)
    workdir: str | None = None
    command: Sequence[str] = ()
    """Of the image; empty: the flavor's own."""
    code: Sequence[CodeCopy] = ()


def make_plan(resolution: Resolution, matrix: Matrix, wanted: Settings | None = None) -> Plan:
    """Give the plan for one image.

    Raises:
        RequestError: a setting can't be met: unknown flavor, no wheel for the Python or platform, no nvcc for the CUDA,
            a malformed reference, URL or requirement.
    """
    wanted = wanted or Settings()
    stack = resolution.stack
    on_platform = _stack_platform(stack, wanted.platform, matrix)
    flavor = _flavor(wanted.flavor or resolution.spec.flavor or matrix.flavors[0].name, matrix)
    toolkit = _toolkit(stack, wanted.platform, matrix) if flavor.toolkit else None
    _refuse_two_wishes(resolution, wanted)
    python = wanted.python or resolution.spec.python
    if python is not None and python not in on_platform.pythons:
        raise no_python(stack, python, matrix, platform=wanted.platform)
    compiled = resolution.source
    default = compiled.python if compiled is not None else None
    default_base = _base(matrix, on_platform, stack.torch, python=default, toolkit=toolkit, image=None)
    base = _base(matrix, on_platform, stack.torch, python=python or default, toolkit=toolkit, image=wanted.base)
    base_image = settings.image_reference(
        wanted.base if wanted.base is not None and wanted.base != base.name else base.image
    )
    cuda = next(row for row in matrix.cudas if row.version == stack.cuda)
    if toolkit is not None:
        _refuse_newer_gcc(base, toolkit, cuda)
    python = python or default or _default_python(base, on_platform, stack.torch)
    kind = "wheels" if compiled is None else "source"
    wheels = load_wheels(stack.name, wanted.platform, python, overlays=matrix.overlays, kind=kind)
    check_wheel_set(stack, wheels, python)
    source = None
    if wanted.torch_wheel is not None:
        check_fits(wanted.torch_wheel, stack, python=python, platform=wanted.platform, base=base)
    elif compiled is not None:
        source = plan_stage(
            compiled,
            matrix,
            platform=wanted.platform,
            python=python,
            wheels=wheels,
            base=base,
            base_image=base_image,
            source_url=wanted.source_url,
        )
    if toolkit is None or toolkit.kind != "wheels":
        wheels = dataclasses.replace(wheels, toolkit=())
    elif not wheels.toolkit:
        raise _no_nvcc(f"for {stack.name} on {wanted.platform}: of which release its libraries are is unknown", stack)
    flavored = locked_wheels(flavor, stack, wheels, platform=wanted.platform, python=python, overlays=matrix.overlays)
    extras = (*wanted.extras, *(flavor.requirements if flavored is None else ()))
    return Plan(
        resolution=resolution,
        python=python,
        python_is_default=python == (default or _default_python(default_base, on_platform, stack.torch)),
        platform=wanted.platform,
        flavor=flavor,
        base=base,
        base_image=base_image,
        standalone_python=base.python != python,
        cuda=cuda,
        toolkit=toolkit,
        wheels=dataclasses.replace(wheels, flavor=flavored or ()),
        allocator=_allocator(stack, matrix),
        trim=_trim(wheels, matrix),
        extras=checked_extras(extras, wheels, stack=stack, matrix=matrix, nvcc=toolkit is not None),
        index_url=settings.index_url(wanted.index_url) if wanted.index_url else None,
        torch_index_url=settings.index_url(wanted.torch_index_url)
        if wanted.torch_index_url
        else matrix.pytorch_index.format(variant=stack.cuda.variant),
        ca_bundle=wanted.ca_bundle,
        source=source,
        torch_wheel=wanted.torch_wheel,
        packages=tuple(sorted({settings.system_package(name) for name in wanted.packages})),
        environment=dict(settings.variable(name, value) for name, value in wanted.environment.items()),
        workdir=settings.container_path(wanted.workdir) if wanted.workdir is not None else WORKSPACE,
        command=tuple(wanted.command),
        code=tuple(wanted.code),
    )


def _refuse_two_wishes(resolution: Resolution, wanted: Settings) -> None:
    """A spec and an option that ask for different things: nothing is overridden in silence."""
    spec = resolution.spec
    for option, named, said in (
        ("--python", spec.python, wanted.python),
        ("--flavor", spec.flavor, wanted.flavor),
    ):
        if None not in {named, said} and named != said:
            raise RequestError(
                f"`{spec.text}` asks for {named}, and {option} for {said}",
                hints=["say it once, in the spec or by option"],
            )


def _stack_platform(stack: Stack, platform: Platform, matrix: Matrix) -> StackPlatform:
    for entry in stack.platforms:
        if entry.platform is platform:
            return entry
    raise no_platform(stack, platform, matrix)


def _flavor(name: str, matrix: Matrix) -> Flavor:
    found = next((flavor for flavor in matrix.flavors if flavor.name == name), None)
    if found is None:
        raise unknown_flavor(name, matrix)
    return found


def _toolkit(stack: Stack, platform: Platform, matrix: Matrix) -> Toolkit:
    for toolkit in matrix.toolkits:
        if toolkit.cuda == stack.cuda and platform in toolkit.platforms:
            return toolkit
    raise _no_nvcc(f"for CUDA {stack.cuda} on {platform}, so {stack.name} has no `devel` there", stack)


def _no_nvcc(why: str, stack: Stack) -> RequestError:
    return RequestError(
        f"no source of nvcc is known {why}", hints=[f"`gpuimg build {stack.name} --flavor runtime` needs none"]
    )


def _base(
    matrix: Matrix,
    on: StackPlatform,
    torch: Version,
    *,
    python: PythonVersion | None,
    toolkit: Toolkit | None,
    image: str | None,
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
    usable = [base for base in plain if base.python in ({python} if python else _compiling(on, torch))]
    if not plain:
        raise RequestError(
            f"no base of the matrix has {on.platform} and glibc {on.glibc} or newer, which the wheels need"
        )
    return (usable or plain)[0]


def _refuse_newer_gcc(base: Base, toolkit: Toolkit, cuda: Cuda) -> None:
    """nvcc stops at a host compiler that it doesn't know; `toolkit` may bring an older one than the base's own."""
    gcc = toolkit.host_compiler or base.gcc
    if cuda.gcc_max is not UNKNOWN and gcc > cuda.gcc_max:
        raise RequestError(
            f"{base.image} has gcc {gcc}; nvcc of CUDA {cuda.version} takes gcc {cuda.gcc_max} at most",
            hints=[
                "leave --base out: gpuimg takes one that fits",
                "`--flavor runtime` has no nvcc and needs no such gcc",
            ],
        )


def _default_python(base: Base, on: StackPlatform, torch: Version) -> PythonVersion:
    """The base's own where torch.compile works on it, else the newest of those."""
    pythons = _compiling(on, torch)
    return base.python if base.python in pythons else max(pythons)


def _compiling(on: StackPlatform, torch: Version) -> Sequence[PythonVersion]:
    """The Pythons that are chosen unasked: torch.compile works on them, and they have the global interpreter lock."""
    usual = [python for python in on.pythons if not python.free_threaded]
    release = torch.release
    return [p for p in usual if why_compile_cannot_work(release, (p.major, p.minor)) is None] or usual


def _allocator(stack: Stack, matrix: Matrix) -> AllocatorSetting | None:
    return next((row for row in matrix.allocator if stack.torch in SpecifierSet(row.torch)), None)


def _trim(wheels: WheelSet, matrix: Matrix) -> tuple[TrimRule, ...]:
    names = {wheel.name for wheel in (*wheels.cuda, *wheels.torch)}
    return tuple(rule for rule in matrix.trim if rule.package in names)
