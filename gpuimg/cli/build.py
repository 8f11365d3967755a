"""``gpuimg build``: plan, render, build, smoke and tag, for one or several specs; then a table."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gpuimg.cli import options, outcome
from gpuimg.errors import RequestError
from gpuimg.facts import Matrix
from gpuimg.model import Context, Plan, Report, Status

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.engine.client import Engine
    from gpuimg.smoke.host import SmokeOptions


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
    requirements: options.Requirements = None,
    unlocked_extras: options.UnlockedExtras = False,
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
    exact: options.Exact = False,
    arch: options.Arch = None,
    source_url: options.SourceUrl = None,
    torch_wheel: options.TorchWheel = None,
    max_jobs: options.MaxJobs = None,
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
    html_file: options.HtmlFile = None,
    markdown_file: options.MarkdownFile = None,
    matrix_dir: options.MatrixDir = None,
    template_dir: options.TemplateDir = None,
) -> int:
    """Build images, check each from inside, and tag it.

    An image that is not what its tags would say gets none, and is removed.
    """
    from gpuimg import settings
    from gpuimg.cli.console import Console
    from gpuimg.engine.client import Engine, proxy_arguments
    from gpuimg.matrix import load_matrix
    from gpuimg.render import render
    from gpuimg.smoke.host import SmokeOptions

    console = Console()
    files = outcome.report_files(
        json=json_file, junit=junit_file, html=html_file, markdown=markdown_file, environ=os.environ
    )
    overlays = tuple(matrix_dir or ())
    matrix = load_matrix(overlays)
    wanted_specs = _wanted(specs or (), matrix, every=every)
    if tag and len(wanted_specs) > 1:
        raise RequestError("--tag names one image, but several are to be built", hints=["build them one at a time"])
    tags = [settings.image_tag(text) for text in tag or ()]
    compiled = options.compilation(
        exact=exact, arch=arch, source_url=source_url, torch_wheel=torch_wheel, max_jobs=max_jobs
    )
    job = _Job(
        network=settings.network(build_network) if build_network else None,
        build_args={
            **proxy_arguments(os.environ),
            **({"REFRESHED_AT": _now()} if refresh else {}),
            **({"MAX_JOBS": str(max_jobs)} if max_jobs else {}),
        },
        labels=dict(settings.label(text) for text in label or ()),
        smoke=SmokeOptions(gpus=settings.gpus(gpus)) if verify else None,
        tags=tuple(tags),
    )
    repository = settings.repository(repository)
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
        matrix_dir=matrix_dir,
        source_url=source_url,
        torch_wheel=torch_wheel,
    )
    plans = options.make_plans(
        wanted_specs,
        matrix,
        wanted,
        console,
        skip_impossible=every,
        compiled=compiled,
        unlocked_extras=unlocked_extras,
    )
    for text in tags:
        _refuse_lie(text, plans[0])
    contexts = [
        (plan, render(plan, matrix, template_dirs=tuple(template_dir or ()), repository=repository)) for plan in plans
    ]
    results = outcome.Results(console, files)
    with results, Engine(environ=os.environ) as engine:
        for plan, context in contexts:
            with results.one_of(len(contexts)):
                _build_one(engine, plan, context, job, console, results)
    return results.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What holds for all images of one command."""

    network: str | None
    build_args: Mapping[str, str]
    labels: Mapping[str, str]
    smoke: SmokeOptions | None
    """None: not verified."""
    tags: tuple[str, ...]


def _build_one(
    engine: Engine, plan: Plan, context: Context, job: _Job, console: Console, results: outcome.Results
) -> None:
    """Build, verify and tag one image; one that is not what its tags say is removed again."""
    from gpuimg.cli.live import BuildView
    from gpuimg.cli.view import verify_with_view
    from gpuimg.engine.build import build_image
    from gpuimg.engine.images import discard_untagged, tag_image

    title = context.tags[0]
    with BuildView(console, title) as view:
        image = build_image(
            engine,
            context,
            platform=plan.platform,
            network=job.network,
            build_args=job.build_args,
            labels=job.labels,
            on_progress=view.update,
        )
    with discard_untagged(engine, image):
        if job.smoke is not None:
            named = dataclasses.replace(image, reference=title)
            report = verify_with_view(engine, named, console, job.smoke, title=title)
            results.add(report)
            if not _is_what_it_says(report):
                console.warning(
                    f"{title} is not tagged but removed, since its stack is not what its tags would say; "
                    "build it with --no-verify to look inside"
                )
                return
        image = tag_image(engine, image, [*context.tags, *job.tags])
    console.info(f"built {', '.join(image.tags)} ({image.size_bytes / 1e9:.2f} GB)")


def _is_what_it_says(report: Report) -> bool:
    """Whether the checks that tags rest on ran and held: a guest that died has shown nothing."""
    statuses = {check.name: check.status for check in report.checks}
    fatal = [check for check in report.failed if check.group in {"stack", "guest"}]
    return statuses.get("stack.torch") is Status.PASS and not fatal


def _wanted(specs: Sequence[str], matrix: Matrix, *, every: bool) -> Sequence[str]:
    if every and specs:
        raise RequestError("--all builds every stack: name no spec beside it")
    if not every and not specs:
        raise RequestError("nothing to build: no spec was named", hints=["`gpuimg build 2.6-cu124`", "or `--all`"])
    return [stack.name for stack in matrix.stacks] if every else specs


def _refuse_lie(tag: str, plan: Plan) -> None:
    """A name that the user chose may say anything, but nothing false of torch, CUDA or Python."""
    from gpuimg.naming import tag_contradictions

    text = tag.rpartition(":")[2]
    wrong = tag_contradictions(text, torch=str(plan.stack.torch), cuda=plan.stack.cuda.variant, python=str(plan.python))
    if wrong and "-compat" not in text:
        raise RequestError(
            f"the tag `{text}` would lie: inside is {'; '.join(wrong)}", hints=["choose another name with --tag"]
        )


def _now() -> str:
    """UTC to the second: a value that the engine's cache has not seen."""
    return dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
