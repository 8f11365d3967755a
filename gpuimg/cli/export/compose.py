"""``gpuimg export --format compose``: a service of Docker Compose. No engine is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gpuimg.cli import options
from gpuimg.cli.export import container
from gpuimg.cli.export.common import PlatformName, Repository, TargetName, find_image
from gpuimg.cli.textfile import Output, TextFile

if TYPE_CHECKING:
    from gpuimg.export.image import ExportedImage


def compose(
    target: TargetName = None,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="What it runs, after a --.  [default: the image's own]"),
    ] = None,
    output: Output = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Of the service.  [default: train, notebook or server]"),
    ] = None,
    gpus: Annotated[str, typer.Option("--gpus", metavar="GPUS", help="all, none, or indexes such as 0,1.")] = "all",
    cdi: container.Cdi = False,
    shm_size: container.ShmSize = None,
    memory: options.Memory = None,
    cpus: options.Cpus = None,
    mount: container.MountOption = None,
    no_mount: Annotated[
        bool, typer.Option("--no-mount", help="Leave the file's folder out; else it is /workspace.")
    ] = False,
    no_caches: container.NoHome = False,
    env: container.Env = None,
    publish: options.Publish = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=1, max=65535, metavar="PORT", help="For the image's server.  [default: its own number]"
        ),
    ] = None,
    listen: Annotated[
        str, typer.Option("--listen", metavar="ADDRESS", help="Of the machine, for published ports.")
    ] = "127.0.0.1",
    user: Annotated[
        str | None, typer.Option("--user", metavar="USER", help="User to run as.  [default: who starts it, by .env]")
    ] = None,
    pull_policy: Annotated[
        str | None,
        typer.Option(
            "--pull-policy", metavar="WHEN", help="always, missing or never.  [default: never where no registry has it]"
        ),
    ] = None,
    repository: Repository = None,
    platform: PlatformName = None,
    matrix_dir: options.MatrixDir = None,
    template_dir: options.TemplateDir = None,
) -> None:
    """A compose.yaml, by which Docker Compose starts it.

    GPUs, shared memory, user and ports are as `gpuimg run` has them. The file's head has the commands that use it.
    """
    from gpuimg.cli.console import Console
    from gpuimg.export import container as values
    from gpuimg.export.compose import Service, render_compose
    from gpuimg.launch.elsewhere import decide_elsewhere
    from gpuimg.launch.launch import Target
    from gpuimg.launch.ports import exposure

    console = Console()
    file = TextFile(console, output, what="the compose file")
    container.refuse_auto(gpus)
    image = find_image(target, console, repository=repository, platform=platform, matrix_dir=tuple(matrix_dir or ()))
    found = Target(reference=image.reference, labels=image.labels, here=False)
    wishes = container.read_wishes(
        command=command or (),
        gpus=gpus,
        shm_size=shm_size,
        memory=memory,
        cpus=cpus,
        mount=mount or (),
        mount_cwd=not no_mount,
        no_caches=no_caches,
        env=env or (),
        publish=publish or (),
        port=port,
        listen=listen,
        user=user,
        name=name if name is not None else _name(image),
    )
    decision = decide_elsewhere(wishes, found, cdi=cdi, keeps_home=image.is_ours)
    service = Service(
        image=image,
        launch=decision.launch,
        server=decision.server,
        made_by=container.made_by(
            image, target, repository=repository, platform=platform, matrix_dir=tuple(matrix_dir or ())
        ),
        pull_policy=values.pull_policy(pull_policy) if pull_policy is not None else None,
        platform=str(image.platform) if platform is not None else None,
    )
    for notice in (*decision.notices, exposure(wishes, decision.server)):
        if notice:
            console.notice(notice)
    file.write(render_compose(service, template_dirs=tuple(template_dir or ())))


def _name(image: ExportedImage) -> str:
    """What the service is called, after what the image is for."""
    return {"jupyter": "notebook", "serve": "server"}.get(image.label("flavor"), "train")
