"""A notebook server whose folder outlives it: a StatefulSet of one pod, and its Service. Pure: asks no cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import gpuimg
from gpuimg.export.k8s.pod import Pod, VolumeMount, pod_values
from gpuimg.export.values import SecretVariable, quantity
from gpuimg.launch.server import TOKEN
from gpuimg.model import WORKSPACE
from gpuimg.templating import render_template, template_environment

_VOLUME: Final = "workspace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """What runs where."""

    pod: Pod
    health: tuple[str, int]
    """Path and port that answer without a token."""
    storage_bytes: int
    storage_class: str | None = None
    """None: the cluster's own."""


def render_notebook(notebook: Notebook, *, template_dirs: Sequence[Path] = ()) -> str:
    """Give the manifests as one YAML stream; the token is in a Secret that a command in its head makes."""
    name = notebook.pod.name
    secret = SecretVariable(name=TOKEN, secret=f"{name}-token", key="token")
    pod = replace(
        notebook.pod,
        own_secrets=(secret,),
        ports=(("http", notebook.health[1]),),
        health=notebook.health,
        mounts=(VolumeMount(volume=_VOLUME, path=WORKSPACE),),
        storage=True,
    )
    values = {
        **pod_values(pod, app="gpuimg-notebook", container="jupyter"),
        "version": gpuimg.__version__,
        "notebook": notebook,
        "token": secret,
        "volume": _VOLUME,
        "workspace": WORKSPACE,
        "port": notebook.health[1],
        "size": quantity(notebook.storage_bytes),
    }
    return render_template(template_environment(template_dirs), "k8s/notebook.yaml.j2", values)
