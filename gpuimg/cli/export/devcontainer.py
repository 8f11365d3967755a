"""``gpuimg export --format devcontainer``: a devcontainer.json. Neither an editor nor an engine is asked."""

from __future__ import annotations

from typing import Annotated

import typer

from gpuimg.cli import options
from gpuimg.cli.export import container
from gpuimg.cli.export.common import PlatformName, PythonProgram, Repository, TargetName, find_image
from gpuimg.cli.textfile import Output, TextFile


def devcontainer(
    target: TargetName = None,
    output: Output = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="What the editor calls it.  [default: the image's name]"),
    ] = None,
    gpus: Annotated[
        str,
        typer.Option("--gpus", metavar="GPUS", help="auto (all that the engine can give), none, all, or indexes."),
    ] = "auto",
    cdi: container.Cdi = False,
    shm_size: container.ShmSize = None,
    memory: options.Memory = None,
    cpus: options.Cpus = None,
    mount: container.MountOption = None,
    no_caches: container.NoHome = False,
    env: container.Env = None,
    forward: Annotated[
        list[int] | None,
        typer.Option(
            "--forward", min=1, max=65535, metavar="PORT", help="A port that the editor brings to you; repeatable."
        ),
    ] = None,
    repository: Repository = None,
    platform: PlatformName = None,
    python: PythonProgram = None,
    matrix_dir: options.MatrixDir = None,
) -> None:
    """A devcontainer.json, by which editors work in it.

    The project's folder is /workspace, and files that are made there are yours.
    """
    from gpuimg.cli.console import Console
    from gpuimg.export import container as values
    from gpuimg.export.devcontainer import IDLE, DevContainer, render_devcontainer
    from gpuimg.launch.elsewhere import decide_elsewhere
    from gpuimg.launch.launch import Target

    console = Console()
    file = TextFile(console, output, what="devcontainer.json", folder=".devcontainer")
    image = find_image(
        target, console, repository=repository, platform=platform, python=python, matrix_dir=tuple(matrix_dir or ())
    )
    wishes = container.read_wishes(
        command=IDLE,
        gpus="all" if gpus == "auto" else gpus,
        shm_size=shm_size,
        memory=memory,
        cpus=cpus,
        mount=mount or (),
        no_caches=no_caches,
        env=env or (),
        publish=[str(port) for port in dict.fromkeys(forward or ())],
    )
    found = Target(reference=image.reference, labels=image.labels, here=False)
    decision = decide_elsewhere(wishes, found, cdi=cdi, keeps_home=image.is_ours, image_user=True)
    text = render_devcontainer(
        DevContainer(
            image=image,
            launch=decision.launch,
            name=values.title(name) if name is not None else image.reference.rpartition("/")[2],
            gpus_if_any=gpus == "auto" and not cdi,
            checks_health=bool(image.label("ports")),
            platform=str(image.platform) if platform is not None else None,
        )
    )
    for notice in decision.notices:
        console.notice(notice)
    file.write(text)
    maker = container.made_by(
        image, target, repository=repository, platform=platform, matrix_dir=tuple(matrix_dir or ())
    )
    if maker is not None:
        console.info(f"`{maker}` makes the image; an editor with Dev Containers then opens the folder in it")
