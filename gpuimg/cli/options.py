"""Options that several commands share, and what they set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpuimg.cli import complete
from gpuimg.errors import RequestError
from gpuimg.versions import Platform

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.pipeline.plan import Settings

Flavor = Annotated[
    str | None,
    typer.Option(
        "--flavor",
        "-f",
        autocompletion=complete.flavors,
        metavar="NAME",
        help="What the image is for: runtime, devel, jupyter or serve.",
    ),
]
Python = Annotated[
    str | None,
    typer.Option(
        "--python", autocompletion=complete.pythons, metavar="VERSION", help="Python of the image, such as 3.11."
    ),
]
PlatformName = Annotated[
    str | None,
    typer.Option(
        "--platform",
        autocompletion=complete.platforms,
        metavar="PLATFORM",
        help="linux/amd64 or linux/arm64.  [default: linux/amd64]",
        show_default=False,
    ),
]
ProjectFile = Annotated[
    Path | None,
    typer.Option(
        "--file",
        metavar="FILE",
        help="Project file.  [default: gpuimg.yaml of this folder or above it]",
        show_default=False,
    ),
]
Base = Annotated[str | None, typer.Option("--base", metavar="IMAGE", help="Debian or Ubuntu image to start from.")]
Extra = Annotated[
    list[str] | None,
    typer.Option(
        "--extra", "-e", metavar="REQUIREMENT", help="A package to add, such as transformers==4.40.0; repeatable."
    ),
]
Requirements = Annotated[
    list[Path] | None,
    typer.Option("--requirements", metavar="FILE", help="A file of packages to add, one a line; repeatable."),
]
UnlockedExtras = Annotated[
    bool,
    typer.Option(
        "--unlocked-extras", help="Leave extras to the build, which resolves them without hashes; reads no index here."
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
BuildNetwork = Annotated[
    str | None, typer.Option("--build-network", metavar="NETWORK", help="Network of the build steps, such as host.")
]
Gpus = Annotated[
    str | None,
    typer.Option(
        "--gpus",
        metavar="GPUS",
        help="GPUs for the smoke step: auto, none, all, or indexes such as 0,1.  [default: auto]",
        show_default=False,
    ),
]
Memory = Annotated[
    str | None, typer.Option("--memory", metavar="SIZE", help="Limit of the host's memory (not the GPU's).")
]
Cpus = Annotated[str | None, typer.Option("--cpus", metavar="NUMBER", help="Limit of CPUs.")]
Publish = Annotated[
    list[str] | None,
    typer.Option("--publish", "-p", metavar="[[ADDRESS:]PORT:]PORT", help="A port to publish; repeatable."),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        autocompletion=complete.checks,
        metavar="CHECK",
        help="Run only these checks or groups, such as stack; repeatable.",
    ),
]
Skip = Annotated[
    list[str] | None,
    typer.Option(
        "--skip", autocompletion=complete.checks, metavar="CHECK", help="Leave these checks or groups out; repeatable."
    ),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the reports as JSON to this file (- is stdout).")
]
JunitFile = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write the reports as JUnit XML to this file.")
]
HtmlFile = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write the reports as one HTML page to this file.")
]
MarkdownFile = Annotated[
    Path | None,
    typer.Option(
        "--markdown",
        metavar="FILE",
        help="Write a summary as Markdown to this file.  [default: appended to $GITHUB_STEP_SUMMARY]",
        show_default=False,
    ),
]
MatrixDir = Annotated[
    list[Path] | None,
    typer.Option("--matrix-dir", metavar="DIR", help="Folder whose matrix files add or replace rows; repeatable."),
]
Exact = Annotated[
    bool, typer.Option("--exact", help="Compile torch where nobody published what SPEC names, such as 2.6-cu121.")
]
Arch = Annotated[
    list[str] | None,
    typer.Option(
        "--arch", metavar="CAPABILITY", help="With --exact: compile only for this GPU, such as 8.0; repeatable."
    ),
]
SourceUrl = Annotated[
    str | None,
    typer.Option("--source-url", metavar="URL", help="With --exact: git repository in place of PyTorch's own."),
]
TorchWheel = Annotated[
    str | None,
    typer.Option(
        "--torch-wheel",
        metavar="FILE|URL",
        help="With --exact: take this wheel, compiled before. A URL ends in #sha256=HASH.",
    ),
]
MaxJobs = Annotated[
    int | None,
    typer.Option("--max-jobs", min=1, metavar="N", help="With --exact: compilers at once.  [default: by memory]"),
]
TemplateDir = Annotated[
    list[Path] | None,
    typer.Option("--template-dir", metavar="DIR", help="Folder whose templates replace gpuimg's; repeatable."),
]


def plan_settings(
    *,
    flavor: str | None,
    python: str | None,
    platform: str | None,
    base: str | None,
    extra: Sequence[str] | None,
    index_url: str | None,
    torch_index_url: str | None,
    ca_bundle: Path | None,
    requirements: Sequence[Path] | None = None,
    source_url: str | None = None,
    torch_wheel: str | None = None,
) -> Settings:
    """Give the settings that the options say. Raises RequestError for a value that is none."""
    from gpuimg import settings
    from gpuimg.extras.requirements import read_requirements
    from gpuimg.pipeline.plan import Settings
    from gpuimg.source.wheel import read_wheel

    given = {"--flavor": flavor, "--python": python, "--index-url": index_url, "--torch-index-url": torch_index_url}
    refuse_empty({**given, "--source-url": source_url, "--torch-wheel": torch_wheel})
    return Settings(
        flavor=flavor,
        python=settings.python_version(python) if python is not None else None,
        platform=settings.platform(platform) if platform is not None else Platform.AMD64,
        base=base,
        extras=(*(extra or ()), *(text for path in requirements or () for text in read_requirements(path))),
        index_url=index_url,
        torch_index_url=torch_index_url,
        ca_bundle=settings.ca_bundle(ca_bundle) if ca_bundle else None,
        source_url=source_url,
        torch_wheel=read_wheel(torch_wheel) if torch_wheel else None,
    )


def bare_settings(*, flavor: str | None, python: str | None, platform: str | None) -> Settings:
    """Give the settings of a plan that asks for nothing beside what a spec can say, and a platform."""
    return plan_settings(
        flavor=flavor,
        python=python,
        platform=platform,
        base=None,
        extra=None,
        index_url=None,
        torch_index_url=None,
        ca_bundle=None,
    )


def given_for_project(wanted: Settings, *, platform: str | None, ca_bundle: Path | None) -> dict[str, Any]:
    """What options say of an image of a project, by the names of its fields; None: nothing."""
    return {
        "flavor": wanted.flavor,
        "python": wanted.python,
        "platform": wanted.platform if platform is not None else None,
        "base": wanted.base,
        "index_url": wanted.index_url,
        "torch_index_url": wanted.torch_index_url,
        "ca_bundle": ca_bundle,
    }


def refuse_empty(values: Mapping[str, str | None]) -> None:
    """Raise RequestError for an option that was given as nothing: a variable of a CI that isn't set, mostly."""
    for option, value in values.items():
        if value is not None and not value.strip():
            raise RequestError(f"{option} is empty", hints=["leave it out, or set the variable that it comes from"])


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
