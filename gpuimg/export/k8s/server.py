"""A server of the user's own, in an image of flavor serve: a Deployment and its Service. Pure: asks no cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import gpuimg
from gpuimg.errors import RequestError
from gpuimg.export.k8s.pod import Pod, pod_values
from gpuimg.export.values import literal
from gpuimg.templating import render_template, template_environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What runs where."""

    pod: Pod
    python: str
    command: tuple[str, ...]
    """As the user typed it."""
    health: tuple[str, int]
    """Path and port that answer when it can serve."""


def render_server(server: Server, *, template_dirs: Sequence[Path] = ()) -> str:
    """Give the manifests as one YAML stream. Raises RequestError for lack of a command."""
    if not server.command:
        raise RequestError(
            "a server needs a command: the image has none of its own",
            hints=["put it last, after --: -- uvicorn app:app --host 0.0.0.0"],
        )
    words = tuple(map(literal, server.command))
    pod = replace(
        server.pod,
        command=(server.python, *words) if words[0].endswith(".py") else words,
        own_environment=(("PYTHONUNBUFFERED", "1"),),
        ports=(("http", server.health[1]),),
        health=server.health,
    )
    values = {
        **pod_values(pod, app="gpuimg-server", container="server"),
        "version": gpuimg.__version__,
        "server": server,
        "port": server.health[1],
    }
    return render_template(template_environment(template_dirs), "k8s/server.yaml.j2", values)
