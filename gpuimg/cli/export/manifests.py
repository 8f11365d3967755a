"""From the options of ``gpuimg export --format k8s`` to the text of each kind of manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gpuimg.export.image import ExportedImage
    from gpuimg.export.k8s.pod import Pod

_SMOKE_MINUTES: Final = 120
_STORAGE: Final = "50g"
_NAMES: Final = {"smoke": "gpuimg-smoke", "notebook": "notebook", "server": "server"}


def read_name(kind: str, text: str | None, *, nodes: int) -> str:
    """`text` if it can name that kind, or what it is called by itself. Raises RequestError."""
    from gpuimg.export.k8s import kinds, names, train

    named = text if text is not None else _NAMES.get(kind, "train")
    if kind in {kinds.NOTEBOOK, kinds.SERVER}:
        return names.server_name(named)
    if kind == train.JOB_SET:
        return names.job_set_name(named, group=train.GROUP, pods=nodes)
    if kind == train.PYTORCH_JOB:
        return names.pytorch_job_name(named, pods=nodes)
    return names.job_name(named, pods=nodes)


def read_pod(
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
    ptrace: bool,
    runtime_class: str | None,
    env: Sequence[str],
    env_secret: Sequence[str],
    pvc: Sequence[str],
) -> Pod:
    """What the options say of the pod. Raises RequestError for what Kubernetes would refuse."""
    from gpuimg import settings
    from gpuimg.export import values
    from gpuimg.export.k8s import names
    from gpuimg.export.k8s.pod import Pod

    return Pod(
        image=image.reference,
        non_root=image.is_ours,
        arch=image.arch,
        local=image.is_local,
        name=name,
        namespace=names.namespace(namespace) if namespace is not None else None,
        gpus=gpus,
        shm_bytes=settings.size_bytes(shm_size),
        memory_bytes=settings.size_bytes(memory) if memory is not None else None,
        cpus=values.cpus(cpus) if cpus is not None else None,
        image_pull_secret=_object_name(image_pull_secret, option="--image-pull-secret"),
        node_labels=tuple(values.node_label(text) for text in node_selector),
        tolerations=tuple(values.toleration(text) for text in toleration),
        rdma=values.device(rdma) if rdma is not None else None,
        ptrace=ptrace,
        runtime_class=_object_name(runtime_class, option="--runtime-class"),
        environment=tuple(values.environment(text) for text in env),
        secrets=tuple(values.secret_variable(text) for text in env_secret),
        claims=tuple(values.claim(text) for text in pvc),
    )


def smoke(
    image: ExportedImage,
    pod: Pod,
    *,
    nodes: int,
    multi_node: bool,
    only: Sequence[str] | None,
    skip: Sequence[str] | None,
    timeout: int | None,
    templates: Sequence[Path],
) -> str:
    """The smoke step as a Job."""
    from gpuimg.export.k8s.smoke import SmokeJob, render_smoke_job
    from gpuimg.smoke.request import refuse_unknown_checks

    refuse_unknown_checks(only or (), skip or ())
    job = SmokeJob(
        pod=pod,
        python=image.python,
        expect=image.expect,
        nodes=nodes,
        multi_node=multi_node,
        only=tuple(only or ()),
        skip=tuple(skip or ()),
        timeout_minutes=timeout if timeout is not None else _SMOKE_MINUTES,
    )
    return render_smoke_job(job, template_dirs=templates)


def train(
    image: ExportedImage,
    pod: Pod,
    *,
    kind: str,
    command: Sequence[str],
    nodes: int,
    torchrun: bool,
    max_restarts: int,
    timeout: int | None,
    templates: Sequence[Path],
) -> str:
    """A training run."""
    from gpuimg.export import hpc
    from gpuimg.export.k8s.train import TrainJob, render_train_job

    words = tuple(command or image.command)
    job = TrainJob(
        pod=pod,
        python=image.python,
        command=hpc.command(words, torchrun=torchrun and nodes * pod.gpus > 1, what="the manifest"),
        kind=kind,
        nodes=nodes,
        torchrun=torchrun,
        max_restarts=max_restarts,
        timeout_minutes=timeout,
    )
    return render_train_job(job, template_dirs=templates)


def notebook(
    image: ExportedImage,
    pod: Pod,
    *,
    storage: str | None,
    storage_class: str | None,
    matrix_dir: Sequence[Path],
    templates: Sequence[Path],
) -> str:
    """A notebook server."""
    from gpuimg import settings
    from gpuimg.export.k8s.kinds import health
    from gpuimg.export.k8s.notebook import Notebook, render_notebook
    from gpuimg.launch.ports import JUPYTER
    from gpuimg.matrix import load_matrix

    server = Notebook(
        pod=pod,
        health=health(load_matrix(tuple(matrix_dir)).flavors, image.label("flavor") or JUPYTER),
        storage_bytes=settings.size_bytes(storage if storage is not None else _STORAGE),
        storage_class=_object_name(storage_class, option="--storage-class"),
    )
    return render_notebook(server, template_dirs=templates)


def server(
    image: ExportedImage, pod: Pod, *, command: Sequence[str], matrix_dir: Sequence[Path], templates: Sequence[Path]
) -> str:
    """A server of the user's own."""
    from gpuimg.export import hpc
    from gpuimg.export.k8s.kinds import SERVE, health
    from gpuimg.export.k8s.server import Server, render_server
    from gpuimg.matrix import load_matrix

    flavors = load_matrix(tuple(matrix_dir)).flavors
    own = Server(
        pod=pod,
        python=image.python,
        command=hpc.command(tuple(command or image.command), torchrun=False, what="the manifest"),
        health=health(flavors, image.label("flavor") or SERVE, own=dict(pod.environment).get("HEALTH_URL")),
    )
    return render_server(own, template_dirs=templates)


def _object_name(text: str | None, *, option: str) -> str | None:
    from gpuimg.export.k8s import names

    return None if text is None else names.object_name(text, option=option)
