"""``gpuimg export --format k8s``: what runs on a Kubernetes cluster. No cluster is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gpuimg.cli import options
from gpuimg.cli.export.common import PlatformName, PythonProgram, Repository, TargetName, find_image, warn_unpullable
from gpuimg.cli.textfile import Output, TextFile
from gpuimg.errors import RequestError

if TYPE_CHECKING:
    from gpuimg.export.image import ExportedImage
    from gpuimg.export.k8s.pod import Pod


def k8s(
    target: TargetName = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="A Job that runs the smoke step on GPU nodes.")] = False,
    output: Output = None,
    nodes: Annotated[int, typer.Option("--nodes", min=1, max=100_000, help="How many nodes: a pod on each.")] = 1,
    gpus_per_node: Annotated[int, typer.Option("--gpus-per-node", min=1, max=1024, help="GPUs of each pod.")] = 1,
    multi_node: Annotated[
        bool, typer.Option("--multi-node", help="The pods also meet, and run NCCL over all GPUs together.")
    ] = False,
    repository: Repository = None,
    platform: PlatformName = None,
    python: PythonProgram = None,
    only: options.Only = None,
    skip: options.Skip = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the Job is called.")] = "gpuimg-smoke",
    namespace: Annotated[str | None, typer.Option("--namespace", metavar="NAME", help="Where the Job runs.")] = None,
    shm_size: Annotated[str, typer.Option("--shm-size", metavar="SIZE", help="Shared memory of a pod.")] = "8g",
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="Memory of a pod, its shared memory included.")
    ] = None,
    cpus: Annotated[str | None, typer.Option("--cpus", metavar="NUMBER", help="CPUs of a pod.")] = None,
    timeout: Annotated[
        int, typer.Option("--timeout", metavar="MINUTES", min=1, max=10_000, help="When a pod is ended.")
    ] = 120,
    image_pull_secret: Annotated[
        str | None, typer.Option("--image-pull-secret", metavar="NAME", help="Secret that opens the registry.")
    ] = None,
    node_selector: Annotated[
        list[str] | None,
        typer.Option("--node-selector", metavar="KEY=VALUE", help="Only nodes with this label; repeatable."),
    ] = None,
    toleration: Annotated[
        list[str] | None,
        typer.Option(
            "--toleration",
            metavar="KEY[=VALUE][:EFFECT]",
            help="Nodes with this taint too; nvidia.com/gpu needs none; repeatable.",
        ),
    ] = None,
    rdma: Annotated[
        str | None, typer.Option("--rdma", metavar="RESOURCE", help="Network cards for each pod, such as rdma/hca=1.")
    ] = None,
    runtime_class: Annotated[
        str | None, typer.Option("--runtime-class", metavar="NAME", help="RuntimeClass of the pods, such as nvidia.")
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env", metavar="NAME=VALUE", help="Variable for the pods, such as NCCL_SOCKET_IFNAME=eth0; repeatable."
        ),
    ] = None,
    matrix_dir: options.MatrixDir = None,
    template_dir: options.TemplateDir = None,
) -> None:
    """A Kubernetes Job that runs the smoke step on GPU nodes.

    The file's head has the commands that start it and merge what its pods report.
    """
    from gpuimg.cli.console import Console
    from gpuimg.export import values
    from gpuimg.export.k8s.smoke import SmokeJob, render_smoke_job
    from gpuimg.smoke.request import refuse_unknown_checks

    console = Console()
    file = TextFile(console, output, what="the manifest")
    if not smoke:
        raise RequestError(
            "--format k8s has one kind of export so far, the smoke step",
            hints=["say --smoke"],
        )
    refuse_unknown_checks(only or (), skip or ())
    image = find_image(
        target, console, repository=repository, platform=platform, python=python, matrix_dir=tuple(matrix_dir or ())
    )
    job = SmokeJob(
        pod=_pod(
            image,
            name=values.job_name(name, pods=nodes),
            namespace=namespace,
            gpus=gpus_per_node,
            shm_size=shm_size,
            memory=memory,
            cpus=cpus,
            image_pull_secret=image_pull_secret,
            node_selector=node_selector or (),
            toleration=toleration or (),
            rdma=rdma,
            runtime_class=runtime_class,
            env=env or (),
        ),
        python=image.python,
        expect=image.expect,
        nodes=nodes,
        multi_node=multi_node,
        only=tuple(only or ()),
        skip=tuple(skip or ()),
        timeout_minutes=timeout,
    )
    warn_unpullable(image, console)
    file.write(render_smoke_job(job, template_dirs=tuple(template_dir or ())))


def _pod(
    image: ExportedImage,
    *,
    name: str,
    namespace: str | None,
    gpus: int,
    shm_size: str,
    memory: str | None,
    cpus: str | None,
    image_pull_secret: str | None,
    node_selector: Sequence[str],
    toleration: Sequence[str],
    rdma: str | None,
    runtime_class: str | None,
    env: Sequence[str],
) -> Pod:
    """What the options say of it. Raises RequestError for what Kubernetes would refuse."""
    from gpuimg import settings
    from gpuimg.export import values
    from gpuimg.export.k8s.pod import Pod

    return Pod(
        image=image.reference,
        non_root=image.is_ours,
        arch=image.arch,
        name=name,
        namespace=values.namespace(namespace) if namespace is not None else None,
        gpus=gpus,
        shm_bytes=settings.size_bytes(shm_size),
        memory_bytes=settings.size_bytes(memory) if memory is not None else None,
        cpus=values.cpus(cpus) if cpus is not None else None,
        image_pull_secret=_name(image_pull_secret, option="--image-pull-secret"),
        node_labels=tuple(values.node_label(text) for text in node_selector),
        tolerations=tuple(values.toleration(text) for text in toleration),
        rdma=values.device(rdma) if rdma is not None else None,
        runtime_class=_name(runtime_class, option="--runtime-class"),
        environment=tuple(values.environment(text) for text in env),
    )


def _name(text: str | None, *, option: str) -> str | None:
    from gpuimg.export import values

    return None if text is None else values.object_name(text, option=option)
