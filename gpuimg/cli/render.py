"""``gpuimg render``: the Dockerfile on stdout, or the whole context in a folder. No engine; extras need an index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpuimg.cli import complete, options, planning
from gpuimg.errors import RequestError


def render(
    spec: Annotated[
        str | None,
        typer.Argument(
            metavar="SPEC|IMAGE",
            autocompletion=complete.specs,
            help="What to render, such as 2.6-cu124, or an image of the project file.",
        ),
    ] = None,
    file: options.ProjectFile = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the whole build context.", file_okay=False),
    ] = None,
    flavor: options.Flavor = None,
    python: options.Python = None,
    platform: options.PlatformName = None,
    base: options.Base = None,
    extra: options.Extra = None,
    requirements: options.Requirements = None,
    unlocked_extras: options.UnlockedExtras = False,
    index_url: options.IndexUrl = None,
    torch_index_url: options.TorchIndexUrl = None,
    ca_bundle: Annotated[
        Path | None,
        typer.Option("--ca-bundle", metavar="FILE", help="PEM file that the build trusts; goes into the context."),
    ] = None,
    exact: options.Exact = False,
    arch: options.Arch = None,
    source_url: options.SourceUrl = None,
    torch_wheel: options.TorchWheel = None,
    matrix_dir: options.MatrixDir = None,
    template_dir: options.TemplateDir = None,
) -> None:
    """Write the Dockerfile, or a whole build context.

    Without a SPEC: of the project file, gpuimg.yaml, of this folder or above it. The folder holds all that plain
    `docker build` needs.
    """
    from gpuimg.cli.console import Console
    from gpuimg.cli.orders import How, project_context, spec_context
    from gpuimg.cli.project import select_images, the_only_one
    from gpuimg.matrix import load_matrix
    from gpuimg.write import write_context

    console = Console()
    selected = select_images([spec] if spec is not None else (), console, file=file)
    if selected is None and spec is None:
        raise RequestError(
            "nothing to render: no spec was named, and there is no project file here",
            hints=["`gpuimg render 2.6-cu124`", "`gpuimg init` writes a project file"],
        )
    compiled = planning.compilation(exact=exact, arch=arch, source_url=source_url, torch_wheel=torch_wheel)
    wanted = options.plan_settings(
        flavor=flavor,
        python=python,
        platform=platform,
        base=base,
        extra=extra,
        requirements=requirements,
        index_url=index_url,
        torch_index_url=torch_index_url,
        ca_bundle=ca_bundle,
        source_url=source_url,
        torch_wheel=torch_wheel,
    )
    how = How(
        matrix=load_matrix(tuple(matrix_dir or ())),
        wanted=wanted,
        compiled=compiled,
        unlocked_extras=unlocked_extras,
        template_dirs=tuple(template_dir or ()),
    )
    if selected is not None:
        given = options.given_for_project(wanted, platform=platform, ca_bundle=ca_bundle)
        _, plan, context = project_context(the_only_one(selected), selected, how, console, given=given)
    else:
        plan, context = spec_context(str(spec), how, console)
    if output is None:
        console.data(context.files["Dockerfile"].decode())
        return
    write_context(context, output)
    console.info(f"wrote {len(context.files) + len(context.large)} files to {output}")
    console.info(f"build it: docker build --platform {plan.platform} --tag {context.tags[0]} {output}")
