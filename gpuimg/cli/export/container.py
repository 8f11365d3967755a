"""Options that compose and devcontainer share, and what they say of a start."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpuimg.cli.target import is_image
from gpuimg.errors import RequestError
from gpuimg.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuimg.export.image import ExportedImage
    from gpuimg.launch.wishes import Wishes

Cdi = Annotated[
    bool, typer.Option("--cdi", help="Name GPUs as CDI does, which Podman and newer engines take (nvidia.com/gpu=all).")
]
ShmSize = Annotated[
    str | None,
    typer.Option("--shm-size", metavar="SIZE", help="Shared memory.  [default: 8g, at most half of --memory]"),
]
MountOption = Annotated[
    list[str] | None,
    typer.Option(
        "--mount",
        "-v",
        metavar="SOURCE:TARGET[:ro]",
        help="A volume, or a folder: ./data lies in the project's; repeatable.",
    ),
]
NoHome = Annotated[
    bool, typer.Option("--no-caches", help="Keep nothing of the container's home: no volume with caches and settings.")
]
Env = Annotated[
    list[str] | None,
    typer.Option(
        "--env", "-e", metavar="NAME[=VALUE]", help="A variable; without a value, that of who starts it; repeatable."
    ),
]


def read_wishes(
    *,
    command: Sequence[str] = (),
    gpus: str,
    shm_size: str | None,
    memory: str | None,
    cpus: str | None,
    mount: Sequence[str],
    mount_cwd: bool = True,
    no_caches: bool,
    env: Sequence[str],
    publish: Sequence[str] = (),
    port: int | None = None,
    listen: str = "127.0.0.1",
    user: str | None = None,
    name: str | None = None,
) -> Wishes:
    """What the user wants, checked. Raises RequestError."""
    from gpuimg import settings
    from gpuimg.export import container
    from gpuimg.launch import values
    from gpuimg.launch.wishes import Wishes

    address = values.address(listen, option="--listen")
    return Wishes(
        command=container.command(tuple(command)),
        gpus=settings.gpus(gpus),
        shm_bytes=settings.size_bytes(shm_size) if shm_size is not None else None,
        memory_bytes=settings.size_bytes(memory) if memory is not None else None,
        cpus=values.cpus(cpus) if cpus is not None else None,
        cwd=Path(),
        mount_cwd=mount_cwd,
        mounts=tuple(container.mount(text) for text in mount),
        caches=not no_caches,
        environment=container.variables(env, container.variable),
        ports=tuple(values.port(text, listen=address) for text in publish),
        port=port,
        listen=address,
        user=settings.user(user) if user is not None else None,
        name=container.service_name(name) if name is not None else None,
    )


def made_by(
    image: ExportedImage,
    target: str | None,
    *,
    repository: str | None,
    platform: str | None,
    matrix_dir: Sequence[Path],
) -> str | None:
    """The command that makes the image, on one line; None: it is somebody else's, or was named by its name."""
    if not image.is_ours or (target is not None and is_image(target)):
        return None
    words = ["gpuimg", "build", *([target] if target else [])]
    for option, value in (
        ("--repository", repository),
        ("--platform", platform),
        *(("--matrix-dir", path) for path in matrix_dir),
    ):
        words += [option, str(value)] if value is not None else []
    return printable(shlex.join(words))


def refuse_auto(gpus: str) -> None:
    """Raise RequestError for ``auto``: what the machine can give isn't known before somebody starts it there."""
    if gpus == "auto":
        raise RequestError(
            "--gpus auto is what a machine can give, and the file is for others",
            hints=["use --gpus all, none, or indexes such as 0,1"],
        )
