"""``gpuimg export --format bake``: a file for `docker buildx bake`, with the contexts. Extras need an index."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from gpuimg.cli import options, planning
from gpuimg.cli.export.several import CacheTo, CudaVersions, Every, Targets, TorchVersions, refuse_idle, wanted_specs
from gpuimg.errors import RequestError
from gpuimg.text import shown_path

Folder = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="DIR", help="Folder for docker-bake.json and the contexts.", file_okay=False
    ),
]


def bake(
    targets: Targets = None,
    every: Every = False,
    torch: TorchVersions = None,
    cuda: CudaVersions = None,
    file: options.ProjectFile = None,
    output: Folder = None,
    repository: Annotated[
        str | None,
        typer.Option(
            "--repository", metavar="NAME", help="What tags begin with.  [default: gpuimg]", show_default=False
        ),
    ] = None,
    cache_to: CacheTo = None,
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
        typer.Option("--ca-bundle", metavar="FILE", help="PEM file that builds trust; goes into the contexts."),
    ] = None,
    build_network: options.BuildNetwork = None,
    matrix_dir: options.MatrixDir = None,
    template_dir: options.TemplateDir = None,
) -> None:
    """A file for `docker buildx bake`, and the contexts that it builds.

    The folder holds all that plain buildx needs: on remote builders, on Kubernetes, in any CI.
    """
    from gpuimg import settings
    from gpuimg.cli.console import Console
    from gpuimg.cli.orders import How, Job, project_orders, spec_orders
    from gpuimg.cli.project import select_images
    from gpuimg.export.bake import BakeImage, bake_context, read_cache
    from gpuimg.matrix import load_matrix
    from gpuimg.report import figures
    from gpuimg.write import require_folder, write_context

    console = Console()
    if output is None:
        raise RequestError("the contexts need a folder", hints=["name a new or empty one: -o bake"])
    require_folder(output)
    refuse_idle(targets or (), every=every, torch=torch, cuda=cuda, file=file)
    matrix = load_matrix(tuple(matrix_dir or ()))
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
    )
    how = How(
        matrix=matrix,
        wanted=wanted,
        compiled=planning.compilation(exact=False, arch=None),
        unlocked_extras=unlocked_extras,
        template_dirs=tuple(template_dir or ()),
        repository=settings.repository(repository) if repository is not None else None,
    )
    job = Job(
        network=settings.network(build_network) if build_network is not None else None,
        build_args={},
        labels={},
        smoke=None,
        tags=(),
    )
    selected = None if every else select_images(targets or (), console, file=file)
    if selected is not None:
        given = options.given_for_project(wanted, platform=platform, ca_bundle=ca_bundle)
        orders = project_orders(selected, how, job, console, given=given, gpus=None, verify=False)
        names = [image.name for image in selected.images]
    else:
        specs = wanted_specs(
            targets or (), matrix, every=every, torch=torch, cuda=cuda, python=python, platform=platform
        )
        orders = spec_orders(specs, how, job, console, skip_impossible=every)
        names = [order.context.tags[0].rpartition(":")[2] for order in orders]
    images = [
        BakeImage(
            name=name,
            context=order.context,
            platform=order.plan.platform,
            network=order.job.network,
            labels=order.job.labels,
        )
        for name, order in zip(names, orders, strict=True)
    ]
    write_context(bake_context(images, registry_cache=read_cache(cache_to)), output)
    console.info(f"wrote docker-bake.json and {figures.number(len(images), 'context')} to {shown_path(output)}")
    allow = " --allow network.host" if any(image.network == "host" for image in images) else ""
    console.info(f"build: (cd {shlex.quote(str(output))} && docker buildx bake{allow} --load)")
    if cache_to is not None:
        console.info("the cache needs a builder that can write one: docker buildx create --use")
