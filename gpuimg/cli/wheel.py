"""``gpuimg wheel``: compile torch for a stack that nobody published, and give the wheel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gpuimg.cli import complete, options, planning
from gpuimg.errors import RequestError


def wheel(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC", autocompletion=complete.source_builds, help="What to compile, such as 2.6-cu121."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder that the wheel goes into.", file_okay=False)
    ],
    exact: options.Exact = False,
    python: options.Python = None,
    platform: options.PlatformName = None,
    base: options.Base = None,
    arch: options.Arch = None,
    source_url: options.SourceUrl = None,
    max_jobs: options.MaxJobs = None,
    index_url: options.IndexUrl = None,
    ca_bundle: options.CaBundle = None,
    build_network: options.BuildNetwork = None,
    matrix_dir: options.MatrixDir = None,
    template_dir: options.TemplateDir = None,
) -> None:
    """Compile the torch wheel of a stack that nobody published.

    Its hash and path go to stdout, as `sha256sum` prints them; `gpuimg build --torch-wheel` takes both.
    """
    from gpuimg import settings
    from gpuimg.cli.console import Console
    from gpuimg.cli.live import BuildView
    from gpuimg.engine.build import build_image
    from gpuimg.engine.client import Engine, proxy_arguments
    from gpuimg.engine.images import discard_untagged
    from gpuimg.engine.wheels import copy_wheel
    from gpuimg.matrix import load_matrix
    from gpuimg.pipeline.render import render
    from gpuimg.write import require_folder

    if not exact:
        raise RequestError(
            "official wheels of torch are on the package indexes; what is compiled here is what they don't have",
            hints=[f"`gpuimg wheel {spec} --exact -o {output}`"],
        )
    console = Console()
    require_folder(output)
    matrix = load_matrix(tuple(matrix_dir or ()))
    compiled = planning.compilation(exact=exact, arch=arch, source_url=source_url, max_jobs=max_jobs)
    wanted = options.plan_settings(
        flavor=matrix.flavors[0].name,
        python=python,
        platform=platform,
        base=base,
        extra=None,
        index_url=index_url,
        torch_index_url=None,
        ca_bundle=options.trusted_bundle(ca_bundle),
        source_url=source_url,
    )
    (plan,) = planning.make_plans([spec], matrix, wanted, console, compiled=compiled)
    context = render(plan, matrix, template_dirs=tuple(template_dir or ()))
    jobs = {"MAX_JOBS": str(max_jobs)} if max_jobs else {}
    title = f"torch {plan.stack.local_version}, Python {plan.python}"
    with Engine(environ=os.environ) as engine:
        with BuildView(console, title) as view:
            image = build_image(
                engine,
                context,
                platform=plan.platform,
                network=settings.network(build_network) if build_network else None,
                target="wheel",
                build_args={**proxy_arguments(os.environ), **jobs},
                on_progress=view.update,
            )
        with discard_untagged(engine, image):
            path, sha256 = copy_wheel(engine, image, output)
    console.data(f"{sha256}  {path}")
    console.info(f"use it: gpuimg build {plan.stack.name} --exact --torch-wheel {path}#sha256={sha256}")
