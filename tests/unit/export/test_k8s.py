"""The manifests: valid for the API server, whole whatever the values, and small enough for a ConfigMap."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuimg import __version__
from gpuimg.errors import RequestError
from gpuimg.export import values
from gpuimg.export.k8s.pod import GIB, Pod
from gpuimg.export.k8s.smoke import SmokeJob, render_smoke_job
from gpuimg.smoke.guest.config import parse_config
from gpuimg.smoke.zipapp import build_guest
from gpuimg.templating import yaml_scalar
from tests.golden_file import Golden
from tests.unit.export.kubelet import expand

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "k8s"
VERSIONS: Final = ("1.29", "1.33", "1.37")
"""The first that has all fields on by default, the one where they are stable, and the newest whose schemas are here."""
ONE_NODE: Final = SmokeJob(
    pod=Pod(image="pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime", non_root=False, name="gpuimg-smoke"),
    python="python3",
)
ALL_OPTIONS: Final = SmokeJob(
    pod=Pod(
        image="registry.example.com:5000/team/gpuimg:2.6.0-cu124-py311-runtime",
        non_root=True,
        arch="amd64",
        name="smoke-h100",
        namespace="training",
        gpus=8,
        shm_bytes=16 * GIB,
        memory_bytes=512 * GIB,
        cpus="64",
        image_pull_secret="registry",
        node_labels=(("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3"), ("empty", "")),
        tolerations=(
            values.Toleration(key="dedicated", value="training", effect="NoExecute"),
            values.Toleration(key="spot"),
        ),
        rdma=("rdma/hca", 8),
        runtime_class="nvidia",
        environment=(("NCCL_SOCKET_IFNAME", "eth0"), ("NCCL_DEBUG", "INFO")),
    ),
    python="/opt/venv/bin/python",
    expect={"torch": "2.6.0+cu124", "non_root": True},
    nodes=4,
    multi_node=True,
    only=("stack", "distributed"),
    skip=("stack.nvrtc",),
    timeout_minutes=30,
)
SEVERAL_NODES: Final = replace(ONE_NODE, pod=replace(ONE_NODE.pod, gpus=8), nodes=2)
JOBS: Final = {"one-node": ONE_NODE, "several-nodes": SEVERAL_NODES, "all-options": ALL_OPTIONS}
YAML_TRAPS: Final = [
    "no",
    "~",
    "1e3",
    "0o17",
    "# c",
    ": x",
    "- x",
    "{a: b}",
    "*a",
    "&a",
    "!!int 1",
    '"',
    "'",
    "\\",
    "%",
]


def manifests(job: SmokeJob) -> Mapping[str, Any]:
    """By kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(render_smoke_job(job))}


def changed(**change: Any) -> SmokeJob:
    """One node, with other values of its pod."""
    return replace(ONE_NODE, pod=replace(ONE_NODE.pod, **change))


def pod(job: SmokeJob) -> Any:
    return manifests(job)["Job"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", JOBS)
def test_the_api_server_knows_every_field(name: str, version: str) -> None:
    for document in manifests(JOBS[name]).values():
        kubernetes_validate.validate(document, version, strict=True)


def test_what_validates_is_not_just_anything() -> None:
    """A misspelt field, such as the one that would leave a pod with 64 MiB of shared memory, is found."""
    job = manifests(ONE_NODE)["Job"]
    shm = next(volume for volume in job["spec"]["template"]["spec"]["volumes"] if volume["name"] == "shm")
    shm["emptyDir"]["sizelimit"] = shm["emptyDir"].pop("sizeLimit")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, VERSIONS[0], strict=True)


@pytest.mark.parametrize("name", ["several-nodes", "all-options"])
def test_manifest_is_the_golden_one(name: str, golden: Golden) -> None:
    """But for the guest, which changes with every check."""
    text = re.sub(r'smoke\.pyz: "\\\n(?: +[A-Za-z0-9+/=]+\\\n)+ +"', 'smoke.pyz: "GUEST"', render_smoke_job(JOBS[name]))
    text = text.replace(__version__, "VERSION")
    golden(text, GOLDEN / f"{name}.yaml")


def test_the_config_map_holds_the_guest_and_is_small_enough() -> None:
    """1 MiB is the API's limit; 256 KiB that of the copy which `kubectl apply` keeps in an annotation."""
    config_map = manifests(ALL_OPTIONS)["ConfigMap"]
    guest = base64.b64decode(config_map["binaryData"]["smoke.pyz"], validate=True)
    with zipfile.ZipFile(io.BytesIO(guest)) as packed, zipfile.ZipFile(io.BytesIO(build_guest())) as stored:
        assert {name: packed.read(name) for name in packed.namelist()} == {
            name: stored.read(name) for name in stored.namelist()
        }
    assert len(guest) + len(config_map["data"]["config.json"]) < 2**20
    assert len(json.dumps(config_map)) < 2**18


@pytest.mark.parametrize("job", [ONE_NODE, replace(ALL_OPTIONS, multi_node=False, only=("stack",))])
def test_the_guest_reads_its_config(job: SmokeJob) -> None:
    config = parse_config(json.loads(manifests(job)["ConfigMap"]["data"]["config.json"]))
    assert config.gpus_requested
    assert (config.only, config.skip) == (job.only, job.skip)
    assert config.expect.torch == (job.expect or {}).get("torch")


def test_pods_that_meet_have_names_and_know_the_first() -> None:
    found = manifests(ALL_OPTIONS)
    config = json.loads(found["ConfigMap"]["data"]["config.json"])
    service, job = found["Service"], found["Job"]
    assert config["world"] == {"nodes": 4, "address": "smoke-h100-0.smoke-h100", "port": 29500}
    assert service["metadata"]["name"] == job["spec"]["template"]["spec"]["subdomain"] == "smoke-h100"
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"] == job["spec"]["template"]["metadata"]["labels"]
    assert {document["metadata"]["namespace"] for document in found.values()} == {"training"}


def test_pods_that_do_not_meet_need_no_service() -> None:
    found = manifests(SEVERAL_NODES)
    assert set(found) == {"Job", "ConfigMap"}
    assert "world" not in json.loads(found["ConfigMap"]["data"]["config.json"])


def test_every_pod_runs_once_and_on_a_node_of_its_own() -> None:
    job = manifests(SEVERAL_NODES)["Job"]["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 2, 2)
    assert job["backoffLimitPerIndex"] == 0
    assert "maxFailedIndexes" not in job  # one pod that fails must not end the others
    (apart,) = pod(SEVERAL_NODES)["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    assert "affinity" not in pod(ONE_NODE)


def test_a_pod_ends_before_the_job_does_since_its_log_is_the_report() -> None:
    job = manifests(ALL_OPTIONS)["Job"]["spec"]
    assert job["template"]["spec"]["activeDeadlineSeconds"] == 1800
    assert job["activeDeadlineSeconds"] == 3600


def test_shared_memory_is_there_and_the_memory_limit_counts_it() -> None:
    (container,) = pod(SEVERAL_NODES)["containers"]
    volumes = {volume["name"]: volume for volume in pod(SEVERAL_NODES)["volumes"]}
    assert {"name": "shm", "mountPath": "/dev/shm"} in container["volumeMounts"]
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}
    assert container["resources"]["limits"]["memory"] == "80Gi"
    assert pod(ALL_OPTIONS)["containers"][0]["resources"] == {
        "limits": {"nvidia.com/gpu": 8, "rdma/hca": 8, "cpu": "64", "memory": "512Gi"}
    }


def test_a_pod_has_no_rights_that_the_guest_does_not_need() -> None:
    (container,) = pod(ONE_NODE)["containers"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert pod(ONE_NODE)["automountServiceAccountToken"] is False
    assert pod(ONE_NODE)["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert pod(ALL_OPTIONS)["securityContext"]["runAsNonRoot"] is True


def test_no_shell_is_needed_in_the_image() -> None:
    assert pod(ALL_OPTIONS)["containers"][0]["command"] == [
        "/opt/venv/bin/python",
        "/gpuimg-smoke/smoke.pyz",
        "--config",
        "/gpuimg-smoke/config.json",
    ]


@pytest.mark.parametrize("text", YAML_TRAPS)
def test_a_value_that_yaml_would_read_otherwise_stays_what_it_is(text: str) -> None:
    job = changed(environment=(("VALUE", text),), image_pull_secret=text, node_labels=((text, text),))
    spec = pod(job)
    assert {"name": "VALUE", "value": text} in spec["containers"][0]["env"]
    assert spec["imagePullSecrets"] == [{"name": text}]
    assert spec["nodeSelector"] == {text: text}


@pytest.mark.parametrize("text", ["$(GPUIMG_NODE)", "a$$b", "$", "$$(x)", "costs $5"])
def test_what_kubernetes_would_expand_stays_what_it_is(text: str) -> None:
    variables = {
        each["name"]: each.get("value") for each in pod(changed(environment=(("VALUE", text),)))["containers"][0]["env"]
    }
    assert expand(variables["VALUE"], {"GPUIMG_NODE": "node-1"}) == text


@given(st.text(max_size=40))
@settings(deadline=None)
def test_any_text_is_refused_or_kept(text: str) -> None:
    try:
        scalar = yaml_scalar(text)
    except RequestError:
        return
    assert yaml.safe_load(f"- {{{scalar}: {scalar}}} # comment\n") == [{text: text}]


@pytest.mark.parametrize(
    "change",
    [
        {"image": "x\nkind: Pod"},
        {"name": "x\nkind: Pod"},
        {"namespace": "x\nkind: Pod"},
    ],
)
def test_no_value_ends_a_comment(change: dict[str, Any]) -> None:
    """The second wall: `values` would not have let it through."""
    with pytest.raises(RequestError):
        render_smoke_job(changed(**change))


def test_nodes_that_should_meet_are_at_least_two() -> None:
    with pytest.raises(RequestError, match="joins several nodes"):
        render_smoke_job(replace(ONE_NODE, multi_node=True))


def test_memory_that_the_shared_memory_would_fill_is_refused() -> None:
    with pytest.raises(RequestError, match="leaves nothing beside the shared memory, 8 GiB"):
        render_smoke_job(changed(memory_bytes=8 * GIB))
