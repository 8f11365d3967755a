"""``gpuimg build``: plan, render, build, smoke and tag, for specs or the images of a project; then a table."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gpuimg.cli import complete, options, outcome, planning
from gpuimg.errors import RequestError
from gpuimg.facts import Matrix


def build(
    specs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SPEC|IMAGE",
            autocompletion=complete.specs,
            help="What to build, such as 2.6-cu124 2.9-cu128-devel, or images of the project file.",
        ),
    ] = None,
    file: options.ProjectFile = None,
    every: Annotated[bool, typer.Option("--all", help="Build every stack of the matrix.")] = False,
    flavor: options.Flavor = None,
    python: options.Python = None,
    platform: options.PlatformName = None,
    base: options.Base = None,
    extra: options.Extra = None,
    requirements: options.Requirements = None,
    unlocked_extras: options.UnlockedExtras = False,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", "-t", metavar="NAME", help="One more name for the image; repeatable.")
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option(
            "--repository",
            metavar="NAME",
            help="What tags begin with, such as registry.example.com/team/gpuimg.  [default: gpuimg]",
            show_default=False,
        ),
    ] = None,
    index_url: options.IndexUrl = None,
    torch_index_url: options.TorchIndexUrl = None,
    ca_bundle: options.CaBundle = None,
    exact: options.Exact = False,
    arch: options.Arch = None,
    source_url: options.SourceUrl = None,
    torch_wheel: options.TorchWheel = None,
    max_jobs: options.MaxJobs = None,
    build_network: options.BuildNetwork = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Take the distribution's newest packages; the big layers stay.")
    ] = False,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="One more label, NAME=VALUE; repeatable.")
    ] = None,
    verify: Annotated[
        bool | None,
        typer.Option(
            "--verify/--no-verify", help="Run the smoke step in each image.  [default: verify]", show_default=False
        ),
    ] = None,
    gpus: options.Gpus = None,
    json_file: options.JsonFile = None,
    junit_file: options.JunitFile = None,
    html_file: options.HtmlFile = None,
    markdown_file: options.MarkdownFile = None,
    matrix_dir: options.MatrixDir = None,
    template_dir: options.TemplateDir = None,
) -> int:
    """Build images, check each from inside, and tag it.

    Without a SPEC: the images of the project file, gpuimg.yaml, of this folder or above it. An image that is not what
    its tags would say gets none, and is removed.
    """
    from gpuimg import settings
    from gpuimg.cli.console import Console
    from gpuimg.cli.orders import How, Job, build_order, project_orders, spec_orders
    from gpuimg.cli.project import select_images
    from gpuimg.engine.client import Engine, proxy_arguments
    from gpuimg.matrix import load_matrix
    from gpuimg.smoke.host import SmokeOptions

    console = Console()
    files = outcome.report_files(
        json=json_file, junit=junit_file, html=html_file, markdown=markdown_file, environ=os.environ
    )
    matrix = load_matrix(tuple(matrix_dir or ()))
    selected = None if every else select_images(specs or (), console, file=file)
    wanted_specs = () if selected is not None else _wanted(specs or (), matrix, every=every, file=file)
    if tag and len(selected.images if selected is not None else wanted_specs) > 1:
        raise RequestError("--tag names one image, but several are to be built", hints=["build them one at a time"])
    compiled = planning.compilation(
        exact=exact, arch=arch, source_url=source_url, torch_wheel=torch_wheel, max_jobs=max_jobs
    )
    job = Job(
        network=settings.network(build_network) if build_network else None,
        build_args={
            **proxy_arguments(os.environ),
            **({"REFRESHED_AT": _now()} if refresh else {}),
            **({"MAX_JOBS": str(max_jobs)} if max_jobs else {}),
        },
        labels=dict(settings.label(text) for text in label or ()),
        smoke=None if verify is False else SmokeOptions(gpus=settings.gpus(gpus or "auto"), mode="quick"),
        tags=tuple(settings.image_tag(text) for text in tag or ()),
    )
    wanted = options.plan_settings(
        flavor=flavor,
        python=python,
        platform=platform,
        base=base,
        extra=extra,
        requirements=requirements,
        index_url=index_url,
        torch_index_url=torch_index_url,
        ca_bundle=options.trusted_bundle(ca_bundle),
        source_url=source_url,
        torch_wheel=torch_wheel,
    )
    how = How(
        matrix=matrix,
        wanted=wanted,
        compiled=compiled,
        unlocked_extras=unlocked_extras,
        template_dirs=tuple(template_dir or ()),
        repository=settings.repository(repository) if repository is not None else None,
    )
    if selected is not None:
        given = options.given_for_project(wanted, platform=platform, ca_bundle=ca_bundle)
        orders = project_orders(selected, how, job, console, given=given, gpus=gpus, verify=verify)
    else:
        orders = spec_orders(wanted_specs, how, job, console, skip_impossible=every)
    results = outcome.Results(console, files)
    with results, Engine(environ=os.environ) as engine:
        for order in orders:
            with results.one_of(len(orders)):
                build_order(engine, order, console, results)
    return results.exit_code


def _wanted(specs: Sequence[str], matrix: Matrix, *, every: bool, file: Path | None) -> Sequence[str]:
    if every and (specs or file is not None):
        beside = "spec" if specs else "project file"
        raise RequestError(
            f"--all builds every stack: name no {beside} beside it", hints=[f"leave --all out, or the {beside}"]
        )
    if not every and not specs:
        raise RequestError(
            "nothing to build: no spec was named, and there is no project file here",
            hints=["`gpuimg build 2.6-cu124`", "`gpuimg init` writes a project file", "or `--all`"],
        )
    return [stack.name for stack in matrix.stacks] if every else specs


def _now() -> str:
    """UTC to the second: a value that the engine's cache has not seen."""
    return dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
