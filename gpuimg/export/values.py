"""Values that users give for Kubernetes, checked by the API server's own rules before a manifest is written.

The rules: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and .../labels/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gpuimg import settings
from gpuimg.errors import RequestError
from gpuimg.pipeline.render import CUDA_ROOT, PYTHON_ROOT, VENV
from gpuimg.text import printable, shown

LABEL: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
SUBDOMAIN: Final = rf"{LABEL}(?:\.{LABEL})*"
GPU: Final = "nvidia.com/gpu"
"""What NVIDIA's device plugin calls a GPU."""
_WORD: Final = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_VARIABLE: Final = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
_KEY: Final = re.compile(rf"(?:(?P<domain>{SUBDOMAIN})/)?(?P<name>{_WORD})", re.ASCII)
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OURS: Final = (
    "JOB_COMPLETION_INDEX",
    "GPUIMG_NODE",
    "JUPYTER_TOKEN",
    "RANK",
    "LOCAL_RANK",
    "GROUP_RANK",
    "WORLD_SIZE",
)
"""Variables that say which pod or process it is, or who may come in."""
_LAUNCHERS: Final = ("MASTER_", "PET_", "TORCHELASTIC_")
"""What the names of variables begin with that torchrun and Kubeflow's operator set."""
_ROOTS: Final = (VENV, CUDA_ROOT, PYTHON_ROOT, "/opt/conda")
"""Where gpuimg's images, and PyTorch's, have what makes a program run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """A taint that pods put up with. None: any value, any effect."""

    key: str
    value: str | None = None
    effect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretVariable:
    """A variable whose value is a key of a Secret of the cluster."""

    name: str
    secret: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A PersistentVolumeClaim of the cluster, and where pods have what it holds."""

    name: str
    path: str
    read_only: bool = False


def node_label(text: str) -> tuple[str, str]:
    """Key and value of ``KEY=VALUE``, a label of nodes. Raises RequestError."""
    key, separator, value = text.partition("=")
    if not separator or not _is_key(key) or not _is_label_value(value):
        raise RequestError(
            f"`{shown(text)}` is no label of a node",
            hints=["write it as --node-selector nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3"],
        )
    return key, value


def toleration(text: str) -> Toleration:
    """The toleration that ``KEY[=VALUE][:EFFECT]`` says, as `kubectl taint` writes taints. Raises RequestError."""
    taint, colon, effect = text.partition(":")
    key, separator, value = taint.partition("=")
    if not _is_key(key) or not _is_label_value(value) or (colon and effect not in _EFFECTS):
        raise RequestError(
            f"`{shown(text)}` is no toleration",
            hints=[f"write it as --toleration dedicated=training:NoSchedule; effects are {', '.join(_EFFECTS)}"],
        )
    return Toleration(key=key, value=value if separator else None, effect=effect or None)


def environment(text: str) -> tuple[str, str]:
    """Name and value of ``NAME=VALUE``, an environment variable. Raises RequestError."""
    name, separator, value = text.partition("=")
    if not separator or not re.fullmatch(_VARIABLE, name, re.ASCII) or printable(value) != value:
        raise RequestError(
            f"`{shown(text)}` is no environment variable", hints=["write it as --env NCCL_SOCKET_IFNAME=eth0"]
        )
    _refuse_ours(name)
    hint = f"--env-secret {name}=SECRET/KEY takes it from a Secret of the cluster"
    settings.refuse_secret(name, value, where="file", hint=hint)
    return name, value


def secret_variable(text: str) -> SecretVariable:
    """The variable that ``NAME=SECRET/KEY`` says. Raises RequestError."""
    match = re.fullmatch(rf"([A-Za-z]\w{{0,127}})=({SUBDOMAIN})/([A-Za-z0-9][-.\w]{{0,252}})", text, re.ASCII)
    if match is None or len(match[2]) > 253:
        raise RequestError(
            f"`{shown(text.partition('=')[0])}=…` names no variable and key of a Secret",  # it may hold a secret itself
            hints=["write it as --env-secret HF_TOKEN=huggingface/token: variable, Secret, key"],
        )
    _refuse_ours(match[1])
    return SecretVariable(name=match[1], secret=match[2], key=match[3])


def claim(text: str) -> Claim:
    """The claim that ``CLAIM:PATH[:ro]`` says. Raises RequestError."""
    name, _, rest = text.partition(":")
    path, colon, mode = rest.partition(":")
    if not re.fullmatch(SUBDOMAIN, name, re.ASCII) or len(name) > 253 or not path or (colon and mode != "ro"):
        raise RequestError(
            f"`{shown(text)}` is no claim and path",
            hints=["write it as --pvc data:/data or --pvc data:/data:ro; `kubectl get pvc` lists claims"],
        )
    place = settings.container_path(path)
    if any(f"{root}/".startswith(f"{place}/") or place.startswith(f"{root}/") for root in _ROOTS):
        raise RequestError(
            f"a claim at `{shown(place)}` would hide what the image has there, its Python or its CUDA",
            hints=[f"use a folder such as /data: --pvc {name}:/data"],
        )
    return Claim(name=name, path=place, read_only=mode == "ro")


def literal(text: str) -> str:
    """`text` as Kubernetes hands it on unchanged in commands and variables, where it expands ``$(NAME)``.

    Every ``$`` is doubled, which is read as one: https://kubernetes.io/docs/tasks/inject-data-application/

    >>> literal("$(id) $$ 5")
    '$$(id) $$$$ 5'
    """
    return text.replace("$", "$$")


def cpus(text: str) -> str:
    """`text` if it is a number of CPUs as Kubernetes writes it. Raises RequestError."""
    if not re.fullmatch(r"[0-9]{1,5}(?:\.[0-9]{1,3}|m)?", text) or not float(text.removesuffix("m")):
        raise RequestError(f"`{shown(text)}` is no number of CPUs", hints=["write it as --cpus 16 or --cpus 7500m"])
    return text


def device(text: str) -> tuple[str, int]:
    """Resource and count of ``RESOURCE[=COUNT]``, such as ``rdma/hca=1``. Raises RequestError."""
    resource, separator, count = text.partition("=")
    match = _KEY.fullmatch(resource)
    number = int(count) if re.fullmatch(r"[1-9][0-9]{0,2}", count) else 0 if separator else 1
    if match is None or not match["domain"] or not _is_key(resource) or not number:
        raise RequestError(
            f"`{shown(text)}` is no resource of nodes",
            hints=["write it as --rdma rdma/hca=1; `kubectl describe node` lists what a node has"],
        )
    if resource == GPU:
        raise RequestError(f"{GPU} is the GPUs, not network cards", hints=["--gpus-per-node says how many a pod gets"])
    return resource, number


def program(text: str) -> str:
    """`text` if it is the plain name or path of a program. Raises RequestError."""
    if not re.fullmatch(r"[A-Za-z0-9_/][A-Za-z0-9_./+-]{0,255}", text):
        raise RequestError(
            f"`{shown(text)}` is no program's name or path", hints=["write it as --python /opt/conda/bin/python"]
        )
    return text


def quantity(size_bytes: int) -> str:
    """A number of bytes as Kubernetes writes it.

    >>> quantity(8 * 2**30), quantity(64 * 2**20), quantity(1000)
    ('8Gi', '64Mi', '1000')
    """
    for unit, power in (("Gi", 30), ("Mi", 20), ("Ki", 10)):
        if size_bytes % 2**power == 0:
            return f"{size_bytes >> power}{unit}"
    return str(size_bytes)


def _refuse_ours(name: str) -> None:
    if name in _OURS or name.startswith(_LAUNCHERS):
        raise RequestError(
            f"{name} is told to pods and processes by what starts them: it can't be set by hand",
            hints=["leave it out"],
        )


def _is_key(text: str) -> bool:
    """Whether it can be the key of a label, a taint, or an extended resource."""
    match = _KEY.fullmatch(text)
    return match is not None and len(match["name"]) <= 63 and len(match["domain"] or "") <= 253


def _is_label_value(text: str) -> bool:
    return len(text) <= 63 and (not text or re.fullmatch(_WORD, text, re.ASCII) is not None)
