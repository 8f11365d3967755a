"""``gpuimg export --format k8s``: what runs on a Kubernetes cluster. No cluster is asked."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from gpuimg.cli import options
from gpuimg.cli.export.common import PlatformName, PythonProgram, Repository, TargetName, find_image, warn_unpullable
from gpuimg.cli.textfile import Output, TextFile

_SMOKE_MINUTES: Final = 120
_STORAGE: Final = "50g"


def k8s(
    target: TargetName = None,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND", help="What to run, after a --.  [default: the project's]", show_default=False
        ),
    ] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="A Job that runs the smoke step on GPU nodes.")] = False,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="job, jobset, pytorchjob (Kubeflow), notebook or server.  [default: by the image's flavor; jobset to"
            " train on several nodes]",
            show_default=False,
        ),
    ] = None,
    output: Output = None,
    nodes: Annotated[int, typer.Option("--nodes", min=1, max=100_000, help="How many nodes: a pod on each.")] = 1,
    gpus_per_node: Annotated[int, typer.Option("--gpus-per-node", min=1, max=1024, help="GPUs of each pod.")] = 1,
    torchrun: Annotated[
        bool,
        typer.Option(
            "--torchrun/--no-torchrun",
            help="Start a process for each GPU, or the command once a node.",
            show_default=True,
        ),
    ] = True,
    max_restarts: Annotated[
        int, typer.Option("--max-restarts", min=0, max=1000, help="How often all pods start again after one failed.")
    ] = 0,
    multi_node: Annotated[
        bool,
        typer.Option("--multi-node", help="With --smoke: the pods also meet, and run NCCL over all GPUs together."),
    ] = False,
    repository: Repository = None,
    platform: PlatformName = None,
    python: PythonProgram = None,
    only: options.Only = None,
    skip: options.Skip = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="What it is called.  [default: by its kind, such as train]",
            show_default=False,
        ),
    ] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", metavar="NAME", help="Where it runs.")] = None,
    shm_size: Annotated[str, typer.Option("--shm-size", metavar="SIZE", help="Shared memory of a pod.")] = "8g",
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="Memory of a pod, its shared memory included.")
    ] = None,
    cpus: Annotated[
        str | None,
        typer.Option(
            "--cpus",
            metavar="NUMBER",
            help="CPUs of a pod.  [default: 2 for each GPU, and what is free]",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        int | None,
        typer.Option(
            "--timeout",
            metavar="MINUTES",
            min=1,
            max=1_000_000,
            help="When it is ended.  [default: 120 with --smoke, else never]",
            show_default=False,
        ),
    ] = None,
    pvc: Annotated[
        list[str] | None,
        typer.Option("--pvc", metavar="CLAIM:PATH[:ro]", help="A PersistentVolumeClaim of the cluster; repeatable."),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="SIZE",
            help="Size of a notebook's /workspace, which outlives it.  [default: 50g]",
            show_default=False,
        ),
    ] = None,
    storage_class: Annotated[
        str | None,
        typer.Option(
            "--storage-class",
            metavar="NAME",
            help="StorageClass of a notebook's /workspace.  [default: the cluster's]",
            show_default=False,
        ),
    ] = None,
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
    ptrace: Annotated[
        bool, typer.Option("--ptrace", help="SYS_PTRACE, for processes that pass each other CUDA tensors.")
    ] = False,
    runtime_class: Annotated[
        str | None, typer.Option("--runtime-class", metavar="NAME", help="RuntimeClass of the pods, such as nvidia.")
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            "-e",
            metavar="NAME=VALUE",
            help="Variable for the pods, such as NCCL_SOCKET_IFNAME=eth0; repeatable.",
        ),
    ] = None,
    env_secret: Annotated[
        list[str] | None,
        typer.Option("--env-secret", metavar="NAME=SECRET/KEY", help="Variable from a Secret; repeatable."),
    ] = None,
    matrix_dir: options.MatrixDir = None,
    template_dir: options.TemplateDir = None,
) -> None:
    """A training run, a notebook, a server, or the smoke step, on GPU nodes.

    Where there are several GPUs, torchrun starts the command for each; over several nodes as a JobSet, which its
    controller must know, or with `--kind job` as a Job. The file's head has the commands that start it, and says what
    has to be there.
    """
    from gpuimg import settings
    from gpuimg.cli.console import Console
    from gpuimg.export import hpc, values
    from gpuimg.export.k8s import kinds, names
    from gpuimg.export.k8s.notebook import Notebook, render_notebook
    from gpuimg.export.k8s.pod import Pod
    from gpuimg.export.k8s.server import Server, render_server
    from gpuimg.export.k8s.smoke import SmokeJob, render_smoke_job
    from gpuimg.export.k8s.train import TrainJob, render_train_job
    from gpuimg.launch.ports import JUPYTER, SERVE
    from gpuimg.matrix import load_matrix
    from gpuimg.smoke.request import refuse_unknown_checks

    console = Console()
    file = TextFile(console, output, what="the manifest")
    matrices, templates = tuple(matrix_dir or ()), tuple(template_dir or ())
    image = find_image(target, console, repository=repository, platform=platform, python=python, matrix_dir=matrices)
    chosen = kinds.choose_kind(kind, image, smoke=smoke, nodes=nodes, command=command or ())
    kinds.refuse_strays(
        chosen,
        {
            "--multi-node": multi_node,
            "--only": bool(only),
            "--skip": bool(skip),
            "--nodes": nodes > 1,
            "--timeout": timeout is not None,
            "--no-torchrun": not torchrun,
            "--max-restarts": max_restarts > 0,
            "--storage": storage is not None,
            "--storage-class": storage_class is not None,
            "a command": bool(command),
        },
    )
    pod = Pod(
        image=image.reference,
        non_root=image.is_ours,
        arch=image.arch,
        local=image.is_local,
        name=kinds.read_name(chosen, name, nodes=nodes),
        namespace=names.namespace(namespace) if namespace is not None else None,
        gpus=gpus_per_node,
        shm_bytes=settings.size_bytes(shm_size),
        memory_bytes=settings.size_bytes(memory) if memory is not None else None,
        cpus=values.cpus(cpus) if cpus is not None else None,
        image_pull_secret=names.object_name(image_pull_secret, option="--image-pull-secret"),
        node_labels=tuple(map(values.node_label, node_selector or ())),
        tolerations=tuple(map(values.toleration, toleration or ())),
        rdma=values.device(rdma) if rdma is not None else None,
        ptrace=ptrace,
        runtime_class=names.object_name(runtime_class, option="--runtime-class"),
        environment=tuple(map(values.environment, env or ())),
        secrets=tuple(map(values.secret_variable, env_secret or ())),
        claims=tuple(map(values.claim, pvc or ())),
    )
    words = tuple(command or image.command)
    match chosen:
        case kinds.SMOKE:
            refuse_unknown_checks(only or (), skip or ())
            smoke_job = SmokeJob(
                pod=pod,
                python=image.python,
                expect=image.expect,
                nodes=nodes,
                multi_node=multi_node,
                only=tuple(only or ()),
                skip=tuple(skip or ()),
                timeout_minutes=timeout if timeout is not None else _SMOKE_MINUTES,
            )
            text = render_smoke_job(smoke_job, template_dirs=templates)
        case kinds.NOTEBOOK:
            notebook = Notebook(
                pod=pod,
                health=kinds.health(load_matrix(matrices).flavors, image.label("flavor") or JUPYTER),
                storage_bytes=settings.size_bytes(storage if storage is not None else _STORAGE),
                storage_class=names.object_name(storage_class, option="--storage-class"),
            )
            text = render_notebook(notebook, template_dirs=templates)
        case kinds.SERVER:
            flavor, own = image.label("flavor") or SERVE, dict(pod.environment).get("HEALTH_URL")
            server = Server(
                pod=pod,
                python=image.python,
                command=hpc.command(words, torchrun=False, what="the manifest"),
                health=kinds.health(load_matrix(matrices).flavors, flavor, own=own),
            )
            text = render_server(server, template_dirs=templates)
        case _:
            train_job = TrainJob(
                pod=pod,
                python=image.python,
                command=hpc.command(words, torchrun=torchrun and nodes * gpus_per_node > 1, what="the manifest"),
                kind=chosen,
                nodes=nodes,
                torchrun=torchrun,
                max_restarts=max_restarts,
                timeout_minutes=timeout,
            )
            text = render_train_job(train_job, template_dirs=templates)
    warn_unpullable(image, console)
    file.write(text)
