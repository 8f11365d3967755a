"""``gpuimg build``: plan, render, build, smoke and tag, for one or several specs; then a table."""

from __future__ import annotations

from typing import Annotated

import typer

from gpuimg.cli import options


def build(
    specs: Annotated[
        list[str] | None, typer.Argument(metavar="SPEC", help="What to build, such as 2.6-cu124 2.9-cu128-devel.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Build every stack of the matrix.")] = False,
    flavor: options.Flavor = None,
    python: options.Python = None,
    platform: options.PlatformName = "linux/amd64",
    base: options.Base = None,
    extra: options.Extra = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", "-t", metavar="NAME", help="One more name for the image; repeatable.")
    ] = None,
    repository: Annotated[
        str,
        typer.Option(
            "--repository", metavar="NAME", help="What tags begin with, such as registry.example.com/team/gpuimg."
        ),
    ] = "gpuimg",
    index_url: options.IndexUrl = None,
    torch_index_url: options.TorchIndexUrl = None,
    ca_bundle: options.CaBundle = None,
    build_network: Annotated[
        str | None, typer.Option("--build-network", metavar="NETWORK", help="Network of the build steps, such as host.")
    ] = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Take the distribution's newest packages; the big layers stay.")
    ] = False,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="One more label, NAME=VALUE; repeatable.")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Run the smoke step in each image.")] = True,
    gpus: options.Gpus = "auto",
    json_file: options.JsonFile = None,
    junit_file: options.JunitFile = None,
    matrix_dir: options.MatrixDir = None,
    template_dir: options.TemplateDir = None,
) -> int:
    """Build images, check each from inside, and tag it.

    An image that is not what its tags would say gets none, and is removed.
    """
    import dataclasses
    import os

    from gpuimg import settings
    from gpuimg.cli.console import Console
    from gpuimg.cli.live import BuildView
    from gpuimg.cli.outcome import report_results
    from gpuimg.cli.view import verify_with_view
    from gpuimg.engine.build import build_image
    from gpuimg.engine.client import Engine
    from gpuimg.engine.images import discard_untagged, tag_image
    from gpuimg.errors import RequestError
    from gpuimg.matrix import load_matrix
    from gpuimg.render import render
    from gpuimg.smoke.host import SmokeOptions

    console = Console()
    matrix = load_matrix(tuple(matrix_dir or ()))
    wanted_specs = [stack.name for stack in matrix.stacks] if every else list(specs or ())
    if not wanted_specs:
        raise RequestError("nothing to build: no spec was named", hints=["`gpuimg build 2.6-cu124`", "or `--all`"])
    if tag and len(wanted_specs) > 1:
        raise RequestError("--tag names one image, but several are to be built", hints=["build them one at a time"])
    tags = [settings.image_tag(text) for text in tag or ()]
    repository = settings.repository(repository)
    network = settings.network(build_network) if build_network else None
    build_args = {"REFRESHED_AT": _now()} if refresh else {}
    labels = dict(settings.label(text) for text in label or ())
    wanted = options.plan_settings(
        flavor=flavor,
        python=python,
        platform=platform,
        base=base,
        extra=extra,
        index_url=index_url,
        torch_index_url=torch_index_url,
        ca_bundle=options.trusted_bundle(ca_bundle),
        matrix_dir=matrix_dir,
    )
    smoke = SmokeOptions(gpus=settings.gpus(gpus))
    plans = options.make_plans(wanted_specs, matrix, wanted, console)
    reports = []
    with Engine(environ=os.environ) as engine:
        for plan in plans:
            context = render(plan, matrix, template_dirs=tuple(template_dir or ()), repository=repository)
            with BuildView(console, context.tags[0]) as view:
                image = build_image(
                    engine,
                    context,
                    platform=plan.platform,
                    network=network,
                    build_args=build_args,
                    labels=labels,
                    on_progress=view.update,
                )
            with discard_untagged(engine, image):
                if verify:
                    named = dataclasses.replace(image, reference=context.tags[0])
                    report = verify_with_view(engine, named, console, smoke, title=context.tags[0])
                    reports.append(report)
                    lies = [check.name for check in report.failed if check.group == "stack"]
                    if lies:
                        console.warning(f"{context.tags[0]} is not tagged: {', '.join(lies)} failed inside it")
                        continue
                image = tag_image(engine, image, [*context.tags, *tags])
            console.info(f"built {', '.join(image.tags)} ({image.size_bytes / 1e9:.2f} GB)")
    return report_results(reports, console, json_file=json_file, junit_file=junit_file)


def _now() -> str:
    """UTC to the second: a value that the engine's cache has not seen."""
    import datetime as dt

    return dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
