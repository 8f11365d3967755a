"""Options that several commands share, and the way from them to plans."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpuimg.errors import RequestError
from gpuimg.text import printable
from gpuimg.versions import Platform, PythonVersion

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.model import Matrix, Plan
    from gpuimg.plan import Settings

Flavor = Annotated[
    str | None, typer.Option("--flavor", "-f", metavar="NAME", help="What the image is for: runtime, devel.")
]
Python = Annotated[str | None, typer.Option("--python", metavar="VERSION", help="Python of the image, such as 3.11.")]
PlatformName = Annotated[str, typer.Option("--platform", metavar="PLATFORM", help="linux/amd64 or linux/arm64.")]
Base = Annotated[str | None, typer.Option("--base", metavar="IMAGE", help="Debian or Ubuntu image to start from.")]
Extra = Annotated[
    list[str] | None,
    typer.Option(
        "--extra", "-e", metavar="REQUIREMENT", help="A package to add, such as transformers==4.40.0; repeatable."
    ),
]
IndexUrl = Annotated[
    str | None, typer.Option("--index-url", metavar="URL", help="Package index that the build reads instead of PyPI.")
]
TorchIndexUrl = Annotated[
    str | None,
    typer.Option("--torch-index-url", metavar="URL", help="Index that the build reads instead of PyTorch's own."),
]
CaBundle = Annotated[
    Path | None,
    typer.Option(
        "--ca-bundle",
        metavar="FILE",
        help="PEM file that the build trusts.  [default: SSL_CERT_FILE]",
        show_default=False,
    ),
]
Gpus = Annotated[
    str,
    typer.Option("--gpus", metavar="GPUS", help="GPUs for the smoke step: auto, none, all, or indexes such as 0,1."),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the reports as JSON to this file (- is stdout).")
]
JunitFile = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write the reports as JUnit XML to this file.")
]
MatrixDir = Annotated[
    list[Path] | None,
    typer.Option("--matrix-dir", metavar="DIR", help="Folder whose matrix files add or replace rows; repeatable."),
]
TemplateDir = Annotated[
    list[Path] | None,
    typer.Option("--template-dir", metavar="DIR", help="Folder whose templates replace gpuimg's; repeatable."),
]


def plan_settings(
    *,
    flavor: str | None,
    python: str | None,
    platform: str,
    base: str | None,
    extra: Sequence[str] | None,
    index_url: str | None,
    torch_index_url: str | None,
    ca_bundle: Path | None,
    matrix_dir: Sequence[Path] | None,
) -> Settings:
    """Give the settings that the options say. Raises RequestError for a value that is none."""
    from gpuimg import settings
    from gpuimg.plan import Settings

    return Settings(
        flavor=flavor,
        python=_python(python) if python else None,
        platform=_platform(platform),
        base=base,
        extras=tuple(extra or ()),
        index_url=index_url,
        torch_index_url=torch_index_url,
        ca_bundle=settings.ca_bundle(ca_bundle) if ca_bundle else None,
        overlays=tuple(matrix_dir or ()),
    )


def text_width(console: Console) -> int:
    """Columns for a text on stdout: those of a terminal, but no more than are good to read."""
    from gpuimg.explain import WIDTH

    return min(console.out.width, WIDTH) if console.out.tty else WIDTH


def trusted_bundle(named: Path | None) -> Path | None:
    """The CA bundle that builds get: the named one, else the one that this host's own programs use."""
    if named is not None:
        return named
    found = os.environ.get("SSL_CERT_FILE")
    return Path(found) if found else None


def make_plans(
    specs: Sequence[str], matrix: Matrix, wanted: Settings, console: Console, *, skip_impossible: bool = False
) -> list[Plan]:
    """Resolve and plan each spec; a substitution is said once, plainly.

    With `skip_impossible` what can't be had under `wanted` is left out, and said.
    """
    from gpuimg.plan import make_plan
    from gpuimg.resolve import resolve
    from gpuimg.spec import parse_spec

    plans = []
    for spec in specs:
        with _left_out(console) if skip_impossible else contextlib.nullcontext():
            plans.append(make_plan(resolve(parse_spec(spec), matrix), matrix, wanted))
    for plan in plans:
        substitution = plan.resolution.substitution
        if substitution is not None:
            console.notice(
                f"{substitution.name} was never published; this is {plan.stack.name} instead. {substitution.reason}"
                f"\nLimits: {substitution.limits}"
            )
        if not plan.wheels.locked:
            console.notice(
                f"{plan.stack.name} comes from PyTorch's own index: its torch is pinned by version, not by hash."
            )
    return plans


@contextlib.contextmanager
def _left_out(console: Console) -> Iterator[None]:
    """A request that can't be met is said and passed over."""
    try:
        yield
    except RequestError as error:
        console.notice(f"left out: {error.message}")


def _python(text: str) -> PythonVersion:
    try:
        return PythonVersion.parse(text)
    except ValueError as error:
        raise RequestError(printable(str(error)), hints=["write it as --python 3.11"]) from error


def _platform(text: str) -> Platform:
    try:
        return Platform(text)
    except ValueError as error:
        known = " or ".join(str(platform) for platform in Platform)
        raise RequestError(f"`{printable(text)}` is no platform that gpuimg builds for: use {known}") from error
