"""``gpuimg verify``: the smoke step on images that exist, ours or not, and on this machine's own Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gpuimg.cli import complete, options, outcome


def verify(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE",
            autocompletion=complete.specs,
            help="Images, specs, or images of the project file. Without one: all of the project file, or, where there"
            " is none, all that gpuimg built here.",
        ),
    ] = None,
    file: options.ProjectFile = None,
    every: Annotated[
        bool, typer.Option("--all", help="Check the images of all stacks of the matrix, and say which have none here.")
    ] = False,
    host: Annotated[bool, typer.Option("--host", help="Check this machine's Python instead of an image.")] = False,
    python: Annotated[
        str, typer.Option("--python", metavar="PROGRAM", help="With --host: the Python to check.")
    ] = "python3",
    only: options.Only = None,
    skip: options.Skip = None,
    gpus: options.Gpus = None,
    gpus_per_image: Annotated[
        str | None,
        typer.Option(
            "--gpus-per-image",
            metavar="N",
            help="GPUs that each image gets at a time, or all.  [default: 1; all for a single image]",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Images at once.  [default: by GPUs, CPUs and memory; 1 without GPUs]",
        ),
    ] = None,
    shm_size: Annotated[str, typer.Option("--shm-size", metavar="SIZE", help="Shared memory of the container.")] = "8g",
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="Memory limit of the container.")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="USER", help="User to run as, such as 12345 or 1000:0.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Compare the allocator's settings on two workloads and two seeds only.")
    ] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="Also search the least memory and the largest batch that fit. Takes hours."),
    ] = False,
    require_saving: Annotated[
        float | None,
        typer.Option(
            "--require-saving",
            metavar="PERCENT",
            help="Fail where the allocator's setting saves less of peak reserved memory than this.",
        ),
    ] = None,
    candidates: Annotated[
        list[str] | None,
        typer.Option("--candidate", metavar="SETTING", help="Another allocator setting to measure; repeatable."),
    ] = None,
    json_file: options.JsonFile = None,
    junit_file: options.JunitFile = None,
    html_file: options.HtmlFile = None,
    markdown_file: options.MarkdownFile = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="FILE", help="Say what got worse since this report, written by --json."),
    ] = None,
) -> int:
    """Check images, ours or not, from inside.

    The smoke step: what a GPU engineer would check, measured. Exit code 1 if a check fails, or if something got worse
    since the report in --baseline.
    """
    import os

    from gpuimg import settings
    from gpuimg.cli.baseline import read_baseline
    from gpuimg.cli.console import Console
    from gpuimg.cli.found import built_images, matrix_images, named_images, not_built
    from gpuimg.cli.project import select_among
    from gpuimg.cli.project_verify import Wish, built_wishes, wishes_of
    from gpuimg.cli.view import host_with_view, verify_several, verify_with_view
    from gpuimg.engine.client import Engine
    from gpuimg.smoke import values
    from gpuimg.smoke.gpus import Sharing
    from gpuimg.smoke.host import SmokeOptions

    console = Console()
    wanted = SmokeOptions(
        only=tuple(only or ()),
        skip=tuple(skip or ()),
        gpus=settings.gpus(gpus if gpus is not None else "auto"),
        shm_bytes=settings.size_bytes(shm_size),
        memory_bytes=settings.size_bytes(memory) if memory else None,
        user=settings.user(user) if user else None,
        mode=values.smoke_mode(quick=quick, full=full),
        require_saving=values.percent(require_saving, option="--require-saving"),
        candidates=values.allocator_settings(candidates or ()),
    )
    sharing = Sharing(per_image=values.gpus_per_image(gpus_per_image) if gpus_per_image else 1, jobs=jobs)
    _refuse_two_ways(images=images or (), every=every, host=host, file=file, shares=bool(gpus_per_image or jobs))
    files = outcome.report_files(
        json=json_file, junit=junit_file, html=html_file, markdown=markdown_file, environ=os.environ
    )
    selected = None if host or every else select_among(images or (), console, file=file)
    wishes: Sequence[Wish] = ()
    if selected is not None:
        wishes = wishes_of(selected, wanted, gpus=gpus, quick_or_full=quick or full)
        wanted = wishes[0].options
    earlier = read_baseline(baseline, only=wanted.only, skip=wanted.skip) if baseline else None
    results = outcome.Results(console, files, baseline=earlier)
    if host:
        with results:
            results.add(host_with_view(python, console, wanted))
        return results.exit_code
    missing: Sequence[str] = ()
    with results, Engine(environ=os.environ) as engine:
        if selected is not None:
            groups = built_wishes(engine, selected, wishes, console)
        elif every:
            found, missing = matrix_images(engine)
            groups = [(wanted, found)]
        else:
            groups = [(wanted, named_images(engine, images) if images else built_images(engine))]
        for smoke, found in groups:
            if len(found) == 1 and not gpus_per_image:
                results.add(verify_with_view(engine, found[0], console, smoke, title=found[0].reference))
            else:
                verify_several(engine, found, console, smoke, results, sharing=sharing, environ=os.environ)
    if missing:
        console.notice(not_built(missing))
    return results.exit_code


def _refuse_two_ways(*, images: Sequence[str], every: bool, host: bool, file: Path | None, shares: bool) -> None:
    """Options that say different things of what is to be checked."""
    from gpuimg.errors import RequestError

    if every and images:
        raise RequestError("--all checks every stack of the matrix: name no image beside it")
    if host and (images or every):
        raise RequestError("--host checks this machine's Python: it takes no image")
    if file is not None and (host or every):
        raise RequestError("--file names a project, and --host and --all are about other images")
    if host and shares:
        raise RequestError("--gpus-per-image and --jobs share out images, and --host checks none")
