"""``gpuimg run``: start an image the right way, or show the command that does."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpuimg.cli import complete, options
from gpuimg.errors import ImageNotFoundError, RequestError

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.project.model import ProjectImage


def run(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="SPEC|IMAGE",
            autocompletion=complete.specs,
            help="What gpuimg built, such as 2.6-cu124, or any image.  [default: the project's]",
            show_default=False,
        ),
    ] = None,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="What to run in it, after a --.  [default: the image's own]"),
    ] = None,
    gpus: Annotated[
        str,
        typer.Option(
            "--gpus", metavar="GPUS", help="auto (all that the engine can give), none, all, or indexes such as 0,1."
        ),
    ] = "auto",
    shm_size: Annotated[
        str | None,
        typer.Option("--shm-size", metavar="SIZE", help="Shared memory.  [default: 8g, at most half of the memory]"),
    ] = None,
    ipc: Annotated[str, typer.Option("--ipc", metavar="MODE", help="Shared memory: private, or the host's own.")] = (
        "private"
    ),
    memory: options.Memory = None,
    cpus: options.Cpus = None,
    mount: Annotated[
        list[str] | None,
        typer.Option("--mount", "-v", metavar="SOURCE:TARGET[:ro]", help="A folder or volume; repeatable."),
    ] = None,
    no_mount: Annotated[
        bool, typer.Option("--no-mount", help="Leave the current folder out; else it is /workspace.")
    ] = False,
    no_caches: Annotated[
        bool, typer.Option("--no-caches", help="Leave the caches of Hugging Face and torch out.")
    ] = False,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", "-e", metavar="NAME[=VALUE]", help="A variable; without a value, yours; repeatable."),
    ] = None,
    publish: options.Publish = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=1, max=65535, metavar="PORT", help="For the image's server.  [default: its own, or the next]"
        ),
    ] = None,
    listen: Annotated[
        str, typer.Option("--listen", metavar="ADDRESS", help="Of this machine, for published ports.")
    ] = "127.0.0.1",
    network: Annotated[str | None, typer.Option("--network", metavar="NAME", help="Such as host or none.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Of the container.")] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="USER", help="User to run as.  [default: you, with group 0]")
    ] = None,
    root: Annotated[bool, typer.Option("--root", help="Run as root.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Run in the background; of a server, wait until it answers.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the container when it ends.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Start also what this machine's driver or GPU can't run.")
    ] = False,
    show: Annotated[bool, typer.Option("--print", help="Show the docker command and start nothing.")] = False,
    matrix_dir: options.MatrixDir = None,
) -> None:
    """Start an image with GPUs, your folder and your user.

    The container sees the current folder as /workspace, and files that it makes there are yours. The exit code is the
    command's.
    """
    import os

    from gpuimg import settings
    from gpuimg.cli.console import Console
    from gpuimg.cli.running import look, show_command, start
    from gpuimg.launch import values
    from gpuimg.launch.place import find_person
    from gpuimg.launch.prepare import prepare
    from gpuimg.launch.wishes import Wishes
    from gpuimg.machine import Nvidia, read_nvidia, this_machine
    from gpuimg.model import WORKSPACE

    console = Console()
    if ipc not in {"private", "host"}:
        raise RequestError(f"--ipc is private or host, not `{ipc}`")
    if root and user is not None:
        raise RequestError("--root runs as root, and --user as somebody else: leave one out")
    address = values.address(listen, option="--listen")
    wishes = Wishes(
        command=tuple(command or ()),
        gpus=settings.gpus(gpus),
        shm_bytes=settings.size_bytes(shm_size) if shm_size is not None else None,
        ipc=ipc,
        memory_bytes=settings.size_bytes(memory) if memory is not None else None,
        cpus=values.cpus(cpus) if cpus is not None else None,
        cwd=Path.cwd(),
        mount_cwd=not no_mount,
        mounts=tuple(values.mount(text) for text in mount or ()),
        caches=not no_caches,
        environment=tuple(dict(values.variable(text) for text in env or ()).items()),
        ports=tuple(values.port(text, listen=address) for text in publish or ()),
        port=port,
        listen=address,
        network=settings.network(network, option="--network") if network is not None else None,
        user="0:0" if root else settings.user(user) if user is not None else None,
        name=values.container_name(name) if name is not None else None,
        tty=_at_terminal(printing=show),
        detach=detach,
        remove=not keep,
    )
    machine = this_machine(os.environ)
    nvidia = read_nvidia(machine) if wishes.gpus != "none" else Nvidia()
    folders = tuple(matrix_dir or ())
    image = _project_image(target, console)
    reference = image.references[0] if image is not None else target
    if reference is None:
        raise RequestError(
            "nothing to run: no image was named, and there is no project file here",
            hints=["`gpuimg run 2.6-cu124`", "or `gpuimg init`, which writes a project file"],
        )
    place, found = look(reference, machine, console, nvidia=nvidia, printing=show, matrix_dir=folders)
    if image is not None:
        if not (found.here or show or settings.names_registry(reference)):
            raise ImageNotFoundError(f"{reference} was not built on this engine", hints=["`gpuimg build`"])
        if image.workdir not in {None, WORKSPACE}:  # also of an image that isn't here, whose labels nobody can read
            found = dataclasses.replace(found, labels={**found.labels, "io.gpuimg.workdir": image.workdir})
    person = find_person(os.environ, uid=os.getuid(), gid=os.getgid(), groups=os.getgroups())
    decision = prepare(
        wishes,
        found,
        place=place,
        person=person,
        machine=machine,
        nvidia=nvidia,
        force=force,
        matrix_dir=folders,
    )
    for text in decision.notices:
        console.notice(text)
    if show:
        show_command(decision, place, console)
    else:
        start(decision, place, person, console, environ=os.environ)


def _project_image(target: str | None, console: Console) -> ProjectImage | None:
    """The image of the project here, where none or one of its own is named."""
    from gpuimg.cli.project import select_among, the_only_one

    selection = select_among([target] if target else [], console, file=None)
    return the_only_one(selection) if selection is not None else None


def _at_terminal(*, printing: bool) -> bool:
    """Whether the command will have a terminal: the output of --print is not the command's."""
    streams = [sys.stdin] if printing else [sys.stdin, sys.stdout]
    return all(stream is not None and stream.isatty() for stream in streams)
