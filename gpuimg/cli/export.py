"""``gpuimg export``: what runs an image elsewhere, written for other programs. No engine, no cluster is asked."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpuimg.cli import options, planning
from gpuimg.cli.textfile import Output, TextFile
from gpuimg.errors import RequestError, SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gpuimg.cli.console import Console


class Format(str, enum.Enum):
    """What an image can be exported as; each is a module of `gpuimg.export`."""

    K8S = "k8s"


def export(
    target: Annotated[
        str, typer.Argument(metavar="SPEC|IMAGE", help="What gpuimg builds, such as 2.6-cu124, or any image.")
    ],
    form: Annotated[Format, typer.Option("--format", help="What to write.")],
    smoke: Annotated[bool, typer.Option("--smoke", help="A Job that runs the smoke step on GPU nodes.")] = False,
    output: Output = None,
    nodes: Annotated[int, typer.Option("--nodes", min=1, max=100_000, help="How many nodes: a pod on each.")] = 1,
    gpus_per_node: Annotated[int, typer.Option("--gpus-per-node", min=1, max=1024, help="GPUs of each pod.")] = 1,
    multi_node: Annotated[
        bool, typer.Option("--multi-node", help="The pods also meet, and run NCCL over all GPUs together.")
    ] = False,
    repository: Annotated[
        str | None,
        typer.Option(
            "--repository",
            metavar="NAME",
            help="With a SPEC: the repository that has the image.  [default: gpuimg]",
            show_default=False,
        ),
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            metavar="PLATFORM",
            help="Only nodes of this platform.  [default: any; with a SPEC, linux/amd64]",
            show_default=False,
        ),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            metavar="PROGRAM",
            help="Python in the image.  [default: python3; with a SPEC, its own]",
            show_default=False,
        ),
    ] = None,
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
    """Write what runs an image elsewhere: on Kubernetes.

    With --smoke a Job that runs the smoke step; the file's head has the commands that start it and merge what its pods
    report.
    """
    from gpuimg import settings
    from gpuimg.cli.console import Console
    from gpuimg.export import values
    from gpuimg.export.k8s import SmokeJob, render_smoke_job
    from gpuimg.smoke.request import refuse_unknown_checks

    console = Console()
    file = TextFile(console, output, what="the manifest")
    if not smoke:
        raise RequestError(
            f"--format {form.value} has one kind of export so far, the smoke step",
            hints=[f"`gpuimg export {target} --format {form.value} --smoke`"],
        )
    refuse_unknown_checks(only or (), skip or ())
    found = _find(target, console, repository=repository, platform=platform, matrix_dir=tuple(matrix_dir or ()))
    job = SmokeJob(
        image=found.reference,
        python=values.program(python) if python is not None else found.python,
        non_root=found.expect is not None,
        expect=found.expect,
        arch=found.arch,
        name=values.job_name(name, pods=nodes),
        namespace=values.namespace(namespace) if namespace is not None else None,
        nodes=nodes,
        gpus=gpus_per_node,
        multi_node=multi_node,
        only=tuple(only or ()),
        skip=tuple(skip or ()),
        shm_bytes=settings.size_bytes(shm_size),
        memory_bytes=settings.size_bytes(memory) if memory is not None else None,
        cpus=values.cpus(cpus) if cpus is not None else None,
        timeout_minutes=timeout,
        image_pull_secret=_name(image_pull_secret, option="--image-pull-secret"),
        node_labels=tuple(values.node_label(text) for text in node_selector or ()),
        tolerations=tuple(values.toleration(text) for text in toleration or ()),
        rdma=values.device(rdma) if rdma is not None else None,
        runtime_class=_name(runtime_class, option="--runtime-class"),
        environment=tuple(values.environment(text) for text in env or ()),
    )
    if found.expect is not None and "/" not in found.reference:
        console.warning(
            f"a cluster can pull `{found.reference}` only where its nodes have it: name the registry that it was pushed"
            " to with --repository registry.example.com/team/gpuimg"
        )
    file.write(render_smoke_job(job, template_dirs=tuple(template_dir or ())))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is known of the image that was named."""

    reference: str
    python: str
    expect: Mapping[str, Any] | None = None
    """What it promises: known of what gpuimg builds, without looking."""
    arch: str | None = None


def _find(
    target: str, console: Console, *, repository: str | None, platform: str | None, matrix_dir: Sequence[Path]
) -> _Found:
    """The image that a spec's plan names, or the reference as it is: a name with a tag, a digest or a registry.

    Raises RequestError for what is neither.
    """
    from gpuimg import settings
    from gpuimg.matrix import load_matrix
    from gpuimg.model import Image
    from gpuimg.naming import REPOSITORY, image_tags, labels
    from gpuimg.pipeline.render import VENV
    from gpuimg.pipeline.spec import parse_spec
    from gpuimg.smoke.expect import expectation

    if set(target) & set("/:@"):
        reference = settings.image_reference(target)
        if repository is not None:
            raise RequestError(f"--repository is where a SPEC's image lies, and `{reference}` names an image itself")
        arch = options.read_platform(platform).arch if platform is not None else None
        return _Found(reference=reference, python="python3", arch=arch)
    try:
        parse_spec(target)
    except SpecError as error:
        raise SpecError(error.message, hints=[*error.hints, "an image is written with its tag: debian:12"]) from error
    repository = settings.repository(repository if repository is not None else REPOSITORY)
    matrix = load_matrix(matrix_dir)
    wanted = options.plan_settings(
        flavor=None,
        python=None,
        platform=platform,
        base=None,
        extra=None,
        index_url=None,
        torch_index_url=None,
        ca_bundle=None,
        matrix_dir=matrix_dir,
    )
    (plan,) = planning.make_plans([target], matrix, wanted, console)
    reference, *_ = image_tags(plan, matrix, repository=repository)
    image = Image(
        reference=reference,
        id="",
        tags=(reference,),
        size_bytes=0,
        platform=str(plan.platform),
        labels=labels(plan, digest=""),
    )
    return _Found(reference=reference, python=f"{VENV}/bin/python", expect=expectation(image), arch=plan.platform.arch)


def _name(text: str | None, *, option: str) -> str | None:
    from gpuimg.export import values

    return None if text is None else values.object_name(text, option=option)
