"""From a spec, or an image of a project, to a plan with its extras; what must not be missed is said."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gpuimg.errors import RequestError
from gpuimg.text import printable
from gpuimg.versions import ComputeCapability

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.facts import Matrix
    from gpuimg.model import CodeCopy, Plan, Resolution
    from gpuimg.pipeline.plan import Settings
    from gpuimg.project.model import Project, ProjectImage

_MUCH_CODE_BYTES: Final = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """``--exact`` and what goes with it."""

    exact: bool
    compute_capabilities: tuple[ComputeCapability, ...]


def compilation(
    *,
    exact: bool,
    arch: Sequence[str] | None,
    source_url: str | None = None,
    torch_wheel: str | None = None,
    max_jobs: int | None = None,
) -> Compilation:
    """Give what the options of source builds say. Raises RequestError for one that would mean nothing."""
    given = {"--arch": arch, "--source-url": source_url, "--torch-wheel": torch_wheel, "--max-jobs": max_jobs}
    names = [name for name, value in given.items() if value]
    if names and not exact:
        raise RequestError(f"{names[0]} is for source builds", hints=["say --exact too"])
    useless = [name for name in names if name in {"--source-url", "--max-jobs"}]
    if torch_wheel and useless:
        raise RequestError(f"{useless[0]} is for compiling, and --torch-wheel leaves nothing to compile")
    return Compilation(exact=exact, compute_capabilities=tuple(_capability(text) for text in arch or ()))


def make_plans(
    specs: Sequence[str],
    matrix: Matrix,
    wanted: Settings,
    console: Console,
    *,
    skip_impossible: bool = False,
    compiled: Compilation | None = None,
    unlocked_extras: bool = False,
) -> list[Plan]:
    """Resolve and plan each spec, with its extras; a substitution is said once, plainly.

    With `skip_impossible` what can't be had under `wanted` is left out, and said. With `unlocked_extras` the build
    resolves them.
    """
    from gpuimg.cli.extras import with_extras
    from gpuimg.pipeline.plan import make_plan

    plans = []
    for spec in specs:
        with _left_out(console) if skip_impossible else contextlib.nullcontext():
            plan = make_plan(_resolved(spec, matrix, compiled), matrix, wanted)
            plans.append(with_extras(plan, matrix, wanted.extras, console, unlocked=unlocked_extras))
    for plan in plans:
        _say_limits(plan, console)
    return plans


def plan_image(
    image: ProjectImage,
    project: Project,
    matrix: Matrix,
    wanted: Settings,
    console: Console,
    *,
    compiled: Compilation | None = None,
    unlocked_extras: bool = False,
) -> Plan:
    """Plan an image of a project, with the packages that its files ask for and those of `wanted`, which options say.

    All else of `wanted` is in `image` already.
    """
    from gpuimg.cli.extras import with_extras
    from gpuimg.pipeline.plan import make_plan
    from gpuimg.project.apply import image_settings
    from gpuimg.project.packages import project_packages

    resolution = _resolved(image.spec, matrix, compiled)
    settings = image_settings(image, wanted)
    _say_size(settings.code, console)
    bare = make_plan(resolution, matrix, settings)
    packages = project_packages(image, bare, matrix, label=project.label, environ=os.environ)
    if packages.left:
        console.notice(
            f"{bare.stack.name} keeps its own release of what a lock has another of: {', '.join(packages.left)}"
        )
    extras = (*packages.extras, *wanted.extras)
    plan = make_plan(resolution, matrix, dataclasses.replace(settings, extras=extras))
    plan = with_extras(plan, matrix, extras, console, unlocked=unlocked_extras)
    _say_limits(plan, console)
    return plan


def _say_size(code: Sequence[CodeCopy], console: Console) -> None:
    """Data and checkpoints come along unless they are named, and every build sends them to the engine."""
    size_bytes = sum(copy.size_bytes for copy in code)
    if size_bytes > _MUCH_CODE_BYTES:
        console.notice(f"{size_bytes / 1e6:.0f} MB of files come into the image; .dockerignore names what shall not")


def _resolved(text: str, matrix: Matrix, compiled: Compilation | None) -> Resolution:
    from gpuimg.pipeline.resolve import resolve
    from gpuimg.pipeline.spec import parse_spec
    from gpuimg.source.resolve import resolve_exact

    spec = parse_spec(text)
    if compiled is None or not compiled.exact:
        return resolve(spec, matrix)
    return resolve_exact(spec, matrix, compute_capabilities=compiled.compute_capabilities)


def _say_limits(plan: Plan, console: Console) -> None:
    """What an image is not, though its spec may have sounded like it."""
    build, substitution = plan.resolution.source, plan.resolution.substitution
    if build is not None and plan.source is not None:
        console.notice(
            f"{build.name} was never published: torch is compiled from its sources, which takes hours."
            f"\nLimits: {build.limits}"
        )
    if substitution is not None:
        console.notice(
            f"{substitution.name} was never published; this is {plan.stack.name} instead. {substitution.reason}"
            f"\nLimits: {substitution.limits}"
        )
    if plan.flavor.compiles and not plan.compiles:
        console.notice(f"torch.compile of torch {plan.stack.torch} doesn't work on Python {plan.python}")
    if not plan.wheels.closed:
        console.notice(
            f"{plan.stack.name} comes from PyTorch's own index, and what its wheel asks for is not known here:"
            " torch is pinned by version, the build resolves the CUDA libraries."
        )
    elif not plan.wheels.locked:
        console.notice(
            f"{plan.stack.name} comes from PyTorch's own index: its torch is pinned by version, not by hash."
        )


@contextlib.contextmanager
def _left_out(console: Console) -> Iterator[None]:
    """A request that can't be met is said and passed over."""
    try:
        yield
    except RequestError as error:
        console.notice(f"left out: {error.message}")


def _capability(text: str) -> ComputeCapability:
    try:
        return ComputeCapability.parse(text)
    except ValueError as error:
        raise RequestError(printable(str(error)), hints=["write it as --arch 8.0 --arch 9.0+PTX"]) from error
