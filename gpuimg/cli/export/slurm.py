"""``gpuimg export --format slurm``: a batch script. No cluster is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gpuimg.cli import options
from gpuimg.cli.export.common import WHERE_PUSHED, PlatformName, PythonProgram, Repository, TargetName, find_image
from gpuimg.cli.textfile import Output, TextFile
from gpuimg.errors import RequestError

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.export.slurm import Job


def slurm(
    target: TargetName = None,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND", help="What to run, after a --.  [default: the project's]", show_default=False
        ),
    ] = None,
    output: Output = None,
    nodes: Annotated[int, typer.Option("--nodes", min=1, max=100_000, help="How many nodes.")] = 1,
    gpus_per_node: Annotated[int, typer.Option("--gpus-per-node", min=0, max=1024, help="GPUs of each node.")] = 1,
    gpu_type: Annotated[
        str | None, typer.Option("--gpu-type", metavar="NAME", help="Their type, as the cluster calls it.")
    ] = None,
    cpus: Annotated[
        int | None,
        typer.Option(
            "--cpus", metavar="NUMBER", min=1, max=100_000, help="CPUs of each node.  [default: 8 for each GPU]"
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option("--memory", metavar="SIZE", help="Memory of each node.  [default: what the partition gives]"),
    ] = None,
    time: Annotated[
        str, typer.Option("--time", metavar="TIME", help="Time limit: minutes, or D-HH:MM:SS.")
    ] = "24:00:00",
    partition: Annotated[str | None, typer.Option("--partition", metavar="NAME[,NAME]", help="Where to run.")] = None,
    account: Annotated[str | None, typer.Option("--account", metavar="NAME", help="Who pays.")] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the job is called.")] = "train",
    log: Annotated[
        str, typer.Option("--log", metavar="FILE", help="What the job says goes there; %x is its name, %j its number.")
    ] = "%x-%j.out",
    signal: Annotated[
        str | None,
        typer.Option("--signal", metavar="[NAME@]SECONDS", help="A signal before the time is up, such as TERM@120."),
    ] = None,
    container: Annotated[
        str, typer.Option("--container", metavar="PROGRAM", help="What runs the image: apptainer or pyxis.")
    ] = "apptainer",
    sif: Annotated[
        str | None,
        typer.Option("--sif", metavar="PATH", help="With apptainer: the image's file.  [default: NAME_TAG.sif]"),
    ] = None,
    sqsh: Annotated[
        str | None,
        typer.Option("--sqsh", metavar="PATH", help="With pyxis: the image's file.  [default: the registry]"),
    ] = None,
    torchrun: Annotated[
        bool,
        typer.Option(
            "--torchrun/--no-torchrun",
            help="Start a process for each GPU, or the command once a node.",
            show_default=True,
        ),
    ] = True,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env", "-e", metavar="NAME[=VALUE]", help="A variable; without a value, yours at the start; repeatable."
        ),
    ] = None,
    mount: Annotated[
        list[str] | None,
        typer.Option("--mount", "-v", metavar="SOURCE:TARGET[:ro]", help="A folder of the nodes; repeatable."),
    ] = None,
    no_caches: Annotated[
        bool, typer.Option("--no-caches", help="Leave the caches of Hugging Face and torch out.")
    ] = False,
    repository: Repository = None,
    platform: PlatformName = None,
    python: PythonProgram = None,
    matrix_dir: options.MatrixDir = None,
    template_dir: options.TemplateDir = None,
) -> None:
    """A batch script that trains on one node or several.

    Where there are several GPUs, torchrun starts the command for each. The file's head has the command that sends it,
    and says what has to be there.
    """
    from gpuimg import settings
    from gpuimg.cli.console import Console
    from gpuimg.export import container as values
    from gpuimg.export import hpc
    from gpuimg.export.slurm import CPUS_PER_GPU, Job, render_job

    console = Console()
    file = TextFile(console, output, what="the batch script")
    image_file = _image_file(container, sif=sif, sqsh=sqsh)
    image = find_image(
        target, console, repository=repository, platform=platform, python=python, matrix_dir=tuple(matrix_dir or ())
    )
    job = Job(
        image=image,
        command=hpc.command(tuple(command or image.command), torchrun=torchrun and nodes * gpus_per_node > 1),
        container=container,
        image_file=image_file,
        torchrun=torchrun,
        name=hpc.name(name, option="--name"),
        nodes=nodes,
        gpus=gpus_per_node,
        gpu_type=hpc.name(gpu_type, option="--gpu-type") if gpu_type is not None else None,
        cpus=cpus if cpus is not None else CPUS_PER_GPU * max(gpus_per_node, 1),
        memory_bytes=settings.size_bytes(memory) if memory is not None else None,
        time=hpc.time_limit(time),
        partition=hpc.partitions(partition) if partition is not None else None,
        account=hpc.name(account, option="--account") if account is not None else None,
        signal=hpc.signal(signal) if signal is not None else None,
        log=hpc.log(log),
        environment=values.variables(env or (), hpc.variable),
        mounts=tuple(hpc.mount(text) for text in mount or ()),
        caches=not no_caches,
    )
    text = render_job(job, template_dirs=tuple(template_dir or ()))
    _warn(job, console)
    file.write(text)


def _image_file(container: str, *, sif: str | None, sqsh: str | None) -> str | None:
    from gpuimg.export import hpc
    from gpuimg.export.slurm import CONTAINERS
    from gpuimg.text import shown

    if container not in CONTAINERS:
        raise RequestError(
            f"--container is {' or '.join(CONTAINERS)}, not `{shown(container)}`",
            hints=["leave it out for apptainer"],
        )
    if container == "apptainer" and sqsh is not None:
        raise RequestError("--sqsh is a file for pyxis", hints=["--container pyxis", "or --sif FILE for apptainer"])
    if container == "pyxis" and sif is not None:
        raise RequestError("--sif is a file for apptainer", hints=["leave --container out", "or --sqsh FILE for pyxis"])
    given = sif if sif is not None else sqsh
    return hpc.image_file(given, option="--sif" if sif is not None else "--sqsh") if given is not None else None


def _warn(job: Job, console: Console) -> None:
    """Say where the nodes can't pull the image."""
    if job.image.is_local and job.image_file is None and job.container == "pyxis":
        console.warning(
            f"no registry has `{job.image.reference}`: name the one that it was pushed to, {WHERE_PUSHED}, or a file"
            " with --sqsh"
        )
