"""Training on Kubernetes: valid for the API server and for the controllers, and pods that find each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml
from kubeflow.training import models as kubeflow_models
from kubeflow_trainer_api.models import JobsetV1alpha2JobSet

from gpuimg import __version__
from gpuimg.errors import RequestError
from gpuimg.export.k8s.pod import GIB, Pod
from gpuimg.export.k8s.train import JOB_SET, PYTORCH_JOB, TrainJob, render_train_job
from gpuimg.export.values import Claim, SecretVariable, Toleration
from tests.golden_file import Golden
from tests.unit.export.kubelet import expand

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "k8s"
VERSIONS: Final = tuple(f"1.{minor}" for minor in range(29, 38))
ONE_GPU: Final = TrainJob(
    pod=Pod(image="pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime", non_root=False, name="train"),
    python="python3",
    command=("python", "train.py"),
)
ONE_NODE: Final = TrainJob(
    pod=Pod(
        image="registry.example.com:5000/team/gpuimg:2.6.0-cu124-py311-runtime",
        non_root=True,
        arch="amd64",
        name="bert-large",
        namespace="training",
        gpus=8,
        shm_bytes=64 * GIB,
        memory_bytes=512 * GIB,
        cpus="64",
        image_pull_secret="registry",
        node_labels=(("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3"),),
        tolerations=(Toleration(key="dedicated", value="training", effect="NoExecute"),),
        rdma=("rdma/hca", 8),
        ptrace=True,
        runtime_class="nvidia",
        environment=(("NCCL_SOCKET_IFNAME", "eth0"), ("RUN", "$(hostname) costs $5")),
        secrets=(
            SecretVariable(name="HF_TOKEN", secret="team", key="hf"),
            SecretVariable(name="WANDB_API_KEY", secret="team", key="wandb"),
        ),
        claims=(
            Claim(name="data", path="/data", read_only=True),
            Claim(name="runs", path="/workspace"),
            Claim(name="data", path="/more"),
        ),
    ),
    python="/opt/venv/bin/python",
    command=("train.py", "--lr", "1e-4", "--name", "$(id) a'b", "--data", "/data"),
    max_restarts=3,
    timeout_minutes=90,
)
NODES: Final = replace(ONE_NODE, nodes=4, max_restarts=0)
JOBS: Final = {
    "train-one-gpu": ONE_GPU,
    "train-one-node": ONE_NODE,
    "train-indexed-job": replace(ONE_GPU, pod=replace(ONE_GPU.pod, gpus=2), nodes=2),
    "train-jobset": replace(NODES, kind=JOB_SET, max_restarts=2),
    "train-pytorchjob": replace(NODES, kind=PYTORCH_JOB),
    "train-own-launcher": replace(ONE_GPU, nodes=2, torchrun=False, command=("bash", "start.sh")),
}


def manifests(job: TrainJob) -> Mapping[str, Any]:
    """By kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(render_train_job(job))}


def templates(job: TrainJob) -> list[Any]:
    """Of its pods: one, or a PyTorchJob's two."""
    found = manifests(job)
    if job.kind == JOB_SET:
        return [group["template"]["spec"]["template"] for group in found["JobSet"]["spec"]["replicatedJobs"]]
    if job.kind == PYTORCH_JOB:
        return [role["template"] for role in found["PyTorchJob"]["spec"]["pytorchReplicaSpecs"].values()]
    return [found["Job"]["spec"]["template"]]


def container(job: TrainJob) -> Any:
    (only,) = templates(job)[0]["spec"]["containers"]
    return only


@pytest.mark.parametrize("name", JOBS)
def test_manifest_is_the_golden_one(name: str, golden: Golden) -> None:
    golden(render_train_job(JOBS[name]).replace(__version__, "VERSION"), GOLDEN / f"{name}.yaml")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", JOBS)
def test_the_api_server_knows_every_field(name: str, version: str) -> None:
    """Of what it knows itself, and of the pods in what controllers know."""
    for document in manifests(JOBS[name]).values():
        if document["kind"] in {"Job", "Service"}:
            kubernetes_validate.validate(document, version, strict=True)
    for template in templates(JOBS[name]):
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pods"}, "template": template}
        kubernetes_validate.validate(pod, version, strict=True)


@pytest.mark.parametrize("name", ["train-jobset"])
def test_the_controller_of_jobsets_knows_every_field(name: str) -> None:
    """Its models leave out what they don't know: what comes back must be what went in."""
    found = manifests(JOBS[name])["JobSet"]
    model = JobsetV1alpha2JobSet.from_dict(found)
    assert model is not None
    assert model.to_dict() == found
    (group,) = found["spec"]["replicatedJobs"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": group["template"]["spec"]}
    for version in VERSIONS:
        kubernetes_validate.validate(job, version, strict=True)


def test_kubeflows_operator_knows_every_field() -> None:
    """By its own models, down to the pods, which the API server's schemas know."""
    found = manifests(JOBS["train-pytorchjob"])["PyTorchJob"]
    assert unknown(found, "KubeflowOrgV1PyTorchJob") == []
    roles = found["spec"]["pytorchReplicaSpecs"]
    assert set(roles) == {"Master", "Worker"}
    roles["Worker"]["restartpolicy"] = roles["Worker"].pop("restartPolicy")
    assert unknown(found, "KubeflowOrgV1PyTorchJob") == ["restartpolicy"]


def unknown(value: Any, model: str) -> list[str]:
    """Fields of `value` that Kubeflow's `model` has not."""
    found = re.fullmatch(r"(?:dict\(str, |list\[)?(\w+)[)\]]?", model)
    assert found is not None
    if found[1] != model:
        parts = value.values() if isinstance(value, dict) else value
        return [name for part in parts for name in unknown(part, found[1])]
    if not model.startswith("KubeflowOrg"):
        return []
    known = getattr(kubeflow_models, model)
    fields = {name: known.openapi_types[attribute] for attribute, name in known.attribute_map.items()}
    strange = [name for name in value if name not in fields]
    return strange + [each for name in value if name in fields for each in unknown(value[name], fields[name])]


def test_every_process_is_started_with_what_the_user_typed() -> None:
    """Kubernetes expands variables in a command: what only looks like one has to come out as it was typed."""
    for job in (ONE_NODE, *(replace(NODES, kind=kind) for kind in ("job", JOB_SET, PYTORCH_JOB))):
        words = [expand(word, {"JOB_COMPLETION_INDEX": "3", "RANK": "3"}) for word in container(job)["command"]]
        assert words[:3] == ["/opt/venv/bin/python", "-m", "torch.distributed.run"]
        assert tuple(words[-len(job.command) :]) == job.command
        assert ("--node-rank=3" in words) == (job.nodes > 1)
        assert "--nproc-per-node=8" in words
    environment = {each["name"]: each.get("value") for each in container(NODES)["env"]}
    assert expand(environment["RUN"], {}) == "$(hostname) costs $5"


@pytest.mark.parametrize("kind", ["job", JOB_SET, PYTORCH_JOB])
def test_pods_know_the_name_of_the_first(kind: str) -> None:
    """By each controller's own rule for the names of its pods."""
    job = replace(NODES, kind=kind)
    found = manifests(job)
    address = re.findall(r"--master-addr=(\S+)\"", render_train_job(job))[0]
    spec = templates(job)[0]["spec"]
    if kind == "job":
        assert address == "bert-large-0.bert-large"
        assert spec["subdomain"] == found["Service"]["metadata"]["name"] == "bert-large"
        assert found["Service"]["spec"]["selector"].items() <= templates(job)[0]["metadata"]["labels"].items()
        assert found["Service"]["spec"]["publishNotReadyAddresses"] is True
    elif kind == JOB_SET:
        (group,) = found["JobSet"]["spec"]["replicatedJobs"]
        assert address == f"bert-large-{group['name']}-0-0.bert-large"
        assert group["replicas"] == 1
        assert group["template"]["spec"]["completionMode"] == "Indexed"
    else:
        roles = found["PyTorchJob"]["spec"]["pytorchReplicaSpecs"]
        assert address == "bert-large-master-0"
        assert {name: role["replicas"] for name, role in roles.items()} == {"Master": 1, "Worker": 3}
        assert spec["containers"][0]["name"] == "pytorch"
        assert spec["containers"][0]["ports"] == [{"name": "pytorchjob-port", "containerPort": 29500}]
        assert roles["Master"]["template"] == roles["Worker"]["template"]


def test_one_pod_that_fails_ends_all_or_starts_all_again() -> None:
    assert manifests(NODES)["Job"]["spec"]["backoffLimit"] == 0
    assert manifests(ONE_NODE)["Job"]["spec"]["backoffLimit"] == 3
    job_set = manifests(JOBS["train-jobset"])["JobSet"]["spec"]
    assert job_set["failurePolicy"] == {"maxRestarts": 2}
    assert job_set["replicatedJobs"][0]["template"]["spec"]["backoffLimit"] == 0
    policy = manifests(replace(NODES, kind=PYTORCH_JOB))["PyTorchJob"]["spec"]["runPolicy"]
    assert policy["cleanPodPolicy"] == "Running"


@pytest.mark.parametrize(
    ("image", "local", "policy"),
    [
        ("registry.example.com/team/train:2.6", False, "Always"),
        ("train", False, "Always"),
        ("train:latest", True, "IfNotPresent"),
        (f"registry.example.com/team/train:2.6@sha256:{'0' * 64}", False, "IfNotPresent"),
    ],
)
def test_nodes_run_what_a_tag_names_now(image: str, local: bool, policy: str) -> None:
    """A node that has last week's image of that tag would run it; what no registry has can't be pulled."""
    job = replace(ONE_GPU, pod=replace(ONE_GPU.pod, image=image, local=local))
    assert container(job)["imagePullPolicy"] == policy


def test_a_pod_asks_for_what_a_small_node_has_and_the_head_says_so() -> None:
    resources = container(JOBS["train-indexed-job"])["resources"]
    assert resources["requests"] == {"cpu": 4, "memory": "8Gi"}
    assert resources["limits"] == {"nvidia.com/gpu": 2, "memory": "72Gi"}
    head = render_train_job(JOBS["train-indexed-job"]).partition("\n---\n")[0]
    assert "Only 8Gi of it are kept" in head
    assert "4 CPUs are kept" in head
    assert "requests" not in container(ONE_NODE)["resources"]
    assert "kept for it" not in render_train_job(ONE_NODE)


def test_single_pods_are_not_started_again() -> None:
    with pytest.raises(RequestError, match=r"--max-restarts: a job of several nodes starts single pods again"):
        render_train_job(replace(NODES, max_restarts=1))


@pytest.mark.parametrize("nodes", [1, 2])
def test_no_pod_of_a_pytorch_job_is_started_again(nodes: int) -> None:
    """Its restartPolicy is Never: nothing may promise a replacement."""
    with pytest.raises(RequestError, match=r"--max-restarts: the pods of a pytorchjob are not started again"):
        render_train_job(replace(ONE_NODE, kind=PYTORCH_JOB, nodes=nodes))


@pytest.mark.parametrize(
    "change",
    [
        {"environment": (("A", "1"), ("A", "2"))},
        {"secrets": (SecretVariable(name="A", secret="s", key="k"), SecretVariable(name="A", secret="t", key="k"))},
        {"environment": (("A", "1"),), "secrets": (SecretVariable(name="A", secret="s", key="k"),)},
    ],
)
def test_a_variable_is_given_once(change: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="the variable A is given twice"):
        render_train_job(replace(ONE_GPU, pod=replace(ONE_GPU.pod, **change)))


def test_a_secret_takes_the_place_of_a_variable_of_the_kind() -> None:
    secret = SecretVariable(name="NCCL_DEBUG", secret="s", key="k")
    variables = container(replace(ONE_GPU, pod=replace(ONE_GPU.pod, secrets=(secret,))))["env"]
    assert variables == [
        {"name": "PYTHONUNBUFFERED", "value": "1"},
        {"name": "NCCL_DEBUG", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]


def test_a_label_of_nodes_is_asked_for_once() -> None:
    labels = (("pool", "a"), ("pool", "b"))
    with pytest.raises(RequestError, match="the label pool is asked for twice"):
        render_train_job(replace(ONE_GPU, pod=replace(ONE_GPU.pod, node_labels=labels)))


def test_nodes_have_the_architecture_of_the_image() -> None:
    pod = replace(ONE_GPU.pod, node_labels=(("kubernetes.io/arch", "arm64"),))
    assert templates(replace(ONE_GPU, pod=pod))[0]["spec"]["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    with pytest.raises(RequestError, match="the image is for amd64, and --node-selector asks for nodes of arm64"):
        render_train_job(replace(ONE_GPU, pod=replace(pod, arch="amd64")))


def test_nothing_ends_a_run_that_was_given_no_time() -> None:
    assert "activeDeadlineSeconds" not in render_train_job(JOBS["train-indexed-job"])
    assert manifests(ONE_NODE)["Job"]["spec"]["activeDeadlineSeconds"] == 5400
    assert (
        manifests(replace(NODES, kind=PYTORCH_JOB))["PyTorchJob"]["spec"]["runPolicy"]["activeDeadlineSeconds"] == 5400
    )
    (group,) = manifests(JOBS["train-jobset"])["JobSet"]["spec"]["replicatedJobs"]
    assert group["template"]["spec"]["activeDeadlineSeconds"] == 5400


def test_a_single_process_needs_no_torchrun() -> None:
    assert container(ONE_GPU)["command"] == ["python", "train.py"]
    assert container(replace(ONE_GPU, command=("train.py", "a b")))["command"] == ["python3", "train.py", "a b"]


def test_a_launcher_of_the_users_gets_the_address() -> None:
    job = JOBS["train-own-launcher"]
    assert container(job)["command"] == ["bash", "start.sh"]
    environment = {each["name"]: each.get("value") for each in container(job)["env"]}
    assert environment.items() >= {"MASTER_ADDR": "train-0.train", "MASTER_PORT": "29500"}.items()
    kubeflow = {each["name"] for each in container(replace(job, kind=PYTORCH_JOB))["env"]}
    assert not kubeflow & {"MASTER_ADDR", "MASTER_PORT"}  # its operator sets them


def test_claims_are_mounted_once_each_place() -> None:
    spec = templates(ONE_NODE)[0]["spec"]
    claims = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in spec["volumes"][1:]}
    assert claims == {"claim-0": "data", "claim-1": "runs"}
    assert [
        (mount["name"], mount["mountPath"], mount.get("readOnly")) for mount in container(ONE_NODE)["volumeMounts"]
    ] == [
        ("shm", "/dev/shm", None),
        ("claim-0", "/data", True),
        ("claim-1", "/workspace", None),
        ("claim-0", "/more", None),
    ]
    assert spec["securityContext"]["fsGroup"] == 1000
    twice = replace(
        ONE_NODE, pod=replace(ONE_NODE.pod, claims=(Claim(name="a", path="/a"), Claim(name="b", path="/a")))
    )
    with pytest.raises(RequestError, match="two volumes share the place /a"):
        render_train_job(twice)


def test_a_secret_is_named_and_not_told() -> None:
    assert {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "team", "key": "hf"}}} in container(ONE_NODE)[
        "env"
    ]
    head = render_train_job(ONE_NODE).partition("\n---\n")[0]
    line = next(line for line in head.splitlines() if "create secret" in line)
    assert line == (
        '#   kubectl -n training create secret generic team --from-file=hf=<(printf %s "$HF_TOKEN")'
        ' --from-file=wandb=<(printf %s "$WANDB_API_KEY")'
    )


def test_pods_are_restricted_as_far_as_users_let_them() -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/"""
    job = replace(ONE_GPU, pod=replace(ONE_GPU.pod, non_root=True), nodes=2)
    spec = templates(job)[0]["spec"]
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container(job)["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert {key for volume in spec["volumes"] for key in volume} == {"name", "emptyDir"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert container(NODES)["securityContext"]["capabilities"]["add"] == ["IPC_LOCK", "SYS_PTRACE"]
    assert "Pod Security" in render_train_job(NODES)
    assert "Pod Security" not in render_train_job(job)


@pytest.mark.parametrize("word", ["a\nb", "\x1b[2J", "x\r"])
def test_no_word_of_a_command_ends_its_line(word: str) -> None:
    """The second wall: `hpc.command` would not have let it through."""
    with pytest.raises(RequestError):
        render_train_job(replace(ONE_GPU, command=("python", word)))
