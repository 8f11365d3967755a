"""A server of the user's own on Kubernetes: it is asked whether it is up, and a new one needs no GPU more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from gpuimg import __version__
from gpuimg.errors import RequestError
from gpuimg.export.k8s.pod import Pod
from gpuimg.export.k8s.server import Server, render_server
from tests.golden_file import Golden
from tests.unit.export.kubelet import expand

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "k8s"
SERVER: Final = Server(
    pod=Pod(
        image="registry.example.com/team/gpuimg:2.6.0-cu124-py311-serve",
        non_root=True,
        arch="amd64",
        name="llama",
        namespace="serving",
        environment=(("WORKERS", "$(nproc)"),),
    ),
    python="/opt/venv/bin/python",
    command=("uvicorn", "app:app", "--host", "0.0.0.0", "--name", "$(WORKERS)"),
    health=("/health", 8000),
)


def manifests(server: Server) -> Mapping[str, Any]:
    """By kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(render_server(server))}


def container(server: Server) -> Any:
    (only,) = manifests(server)["Deployment"]["spec"]["template"]["spec"]["containers"]
    return only


def test_manifest_is_the_golden_one(golden: Golden) -> None:
    golden(render_server(SERVER).replace(__version__, "VERSION"), GOLDEN / "server.yaml")


@pytest.mark.parametrize("version", [f"1.{minor}" for minor in range(29, 38)])
def test_the_api_server_knows_every_field(version: str) -> None:
    for document in manifests(SERVER).values():
        kubernetes_validate.validate(document, version, strict=True)


def test_the_service_reaches_what_the_probes_ask() -> None:
    found = manifests(SERVER)
    spec = found["Deployment"]["spec"]
    (port,) = found["Service"]["spec"]["ports"]
    labels = spec["template"]["metadata"]["labels"]
    assert found["Service"]["spec"]["selector"] == spec["selector"]["matchLabels"] == labels
    assert container(SERVER)["ports"] == [{"name": port["targetPort"], "containerPort": 8000}]
    assert container(SERVER)["readinessProbe"]["httpGet"] == {"path": "/health", "port": 8000}


def test_a_new_pod_waits_for_the_gpus_of_the_old_one() -> None:
    """With the default, which starts it first, it would wait for a GPU as long as all are taken."""
    assert manifests(SERVER)["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0


def test_the_server_is_started_with_what_the_user_typed() -> None:
    own = container(SERVER)
    variables = {each["name"]: expand(each["value"], {}) for each in own["env"]}
    assert variables["WORKERS"] == "$(nproc)"
    assert tuple(expand(word, variables) for word in own["command"]) == SERVER.command
    assert container(replace(SERVER, command=("serve.py",)))["command"] == ["/opt/venv/bin/python", "serve.py"]


def test_a_server_needs_a_command() -> None:
    with pytest.raises(RequestError, match="a server needs a command"):
        render_server(replace(SERVER, command=()))
