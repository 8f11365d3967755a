"""A notebook server on Kubernetes: its folder outlives it, its token stands in no file, it tells when it is up."""

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
from gpuimg.export.k8s.notebook import Notebook, render_notebook
from gpuimg.export.k8s.pod import GIB, Pod
from gpuimg.export.values import Claim, SecretVariable
from tests.golden_file import Golden

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "k8s"
NOTEBOOK: Final = Notebook(
    pod=Pod(
        image="registry.example.com/team/gpuimg:2.6.0-cu124-py311-jupyter",
        non_root=True,
        arch="amd64",
        name="notebook",
        environment=(("HF_HOME", "/data/hf"),),
        secrets=(SecretVariable(name="HF_TOKEN", secret="hf", key="token"),),
        claims=(Claim(name="data", path="/data"),),
    ),
    health=("/api", 8888),
    storage_bytes=50 * GIB,
)
NAMED: Final = replace(
    NOTEBOOK, pod=replace(NOTEBOOK.pod, name="lab", namespace="team", secrets=(), claims=()), storage_class="fast-ssd"
)


def manifests(notebook: Notebook) -> Mapping[str, Any]:
    """By kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(render_notebook(notebook))}


def pod(notebook: Notebook) -> Any:
    return manifests(notebook)["StatefulSet"]["spec"]["template"]["spec"]


@pytest.mark.parametrize(("name", "notebook"), [("notebook", NOTEBOOK), ("notebook-named", NAMED)])
def test_manifest_is_the_golden_one(name: str, notebook: Notebook, golden: Golden) -> None:
    golden(render_notebook(notebook).replace(__version__, "VERSION"), GOLDEN / f"{name}.yaml")


@pytest.mark.parametrize("version", [f"1.{minor}" for minor in range(29, 38)])
def test_the_api_server_knows_every_field(version: str) -> None:
    for notebook in (NOTEBOOK, NAMED):
        for document in manifests(notebook).values():
            kubernetes_validate.validate(document, version, strict=True)


def test_the_folder_outlives_pod_and_manifest() -> None:
    """`kubectl delete -f` deletes what the file has: a claim of its own would be gone with all that is in it."""
    found = manifests(NOTEBOOK)
    assert set(found) == {"Service", "StatefulSet"}
    spec = found["StatefulSet"]["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert {"name": claim["metadata"]["name"], "mountPath": "/workspace"} in pod(NOTEBOOK)["containers"][0][
        "volumeMounts"
    ]
    assert "persistentVolumeClaimRetentionPolicy" not in spec  # whose default is to retain
    assert "storageClassName" not in claim["spec"]
    assert manifests(NAMED)["StatefulSet"]["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast-ssd"
    assert pod(NOTEBOOK)["securityContext"]["fsGroup"] == 1000


def test_the_token_is_in_a_secret_that_the_head_makes() -> None:
    (token,) = (each for each in pod(NAMED)["containers"][0]["env"] if each["name"] == "JUPYTER_TOKEN")
    assert token["valueFrom"] == {"secretKeyRef": {"name": "lab-token", "key": "token"}}
    head = render_notebook(NAMED).partition("\n---\n")[0]
    assert 'kubectl -n team create secret generic lab-token --from-literal=token="$(openssl rand -hex 24)"\n' in head


def test_the_service_reaches_the_server_inside_the_cluster_alone() -> None:
    found = manifests(NOTEBOOK)
    service, spec = found["Service"]["spec"], found["StatefulSet"]["spec"]
    assert service["clusterIP"] == "None"
    assert found["StatefulSet"]["spec"]["serviceName"] == found["Service"]["metadata"]["name"]
    assert "Pods of the cluster reach port 8888 too" in render_notebook(NOTEBOOK)
    assert service["selector"] == spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    (port,) = service["ports"]
    (container,) = pod(NOTEBOOK)["containers"]
    assert container["ports"] == [{"name": port["targetPort"], "containerPort": port["port"]}]
    assert (
        container["startupProbe"]["httpGet"] == container["readinessProbe"]["httpGet"] == {"path": "/api", "port": 8888}
    )
    assert "livenessProbe" not in container


def test_the_image_starts_by_its_own_command_and_again_whenever_it_ends() -> None:
    assert "command" not in pod(NOTEBOOK)["containers"][0]
    assert "restartPolicy" not in pod(NOTEBOOK)  # whose default is Always


def test_no_setting_of_jupyters_comes_from_a_service() -> None:
    """A Service that is called jupyter would set JUPYTER_PORT=tcp://10.0.0.1:8888."""
    assert pod(NOTEBOOK)["enableServiceLinks"] is False


def test_the_workspace_is_mounted_once() -> None:
    with pytest.raises(RequestError, match="two volumes share the place /workspace"):
        render_notebook(replace(NOTEBOOK, pod=replace(NOTEBOOK.pod, claims=(Claim(name="data", path="/workspace"),))))
