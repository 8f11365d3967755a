"""Values for Kubernetes: what the API server would refuse is refused here, and nothing hostile gets further."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuimg.errors import RequestError
from gpuimg.export import values
from gpuimg.export.k8s import names
from gpuimg.export.values import Toleration
from tests.unit.export.hostile import refuses
from tests.unit.export.kubelet import expand

CHECKS: Final[dict[str, Callable[[str], object]]] = {
    "job_name": lambda text: names.job_name(text, pods=1),
    "namespace": names.namespace,
    "object_name": lambda text: names.object_name(text, option="--runtime-class"),
    "node_label": values.node_label,
    "toleration": values.toleration,
    "environment": values.environment,
    "cpus": values.cpus,
    "device": values.device,
    "secret_variable": values.secret_variable,
    "claim": values.claim,
    "job_set_name": lambda text: names.job_set_name(text, group="node", pods=1),
    "pytorch_job_name": lambda text: names.pytorch_job_name(text, pods=1),
    "server_name": names.server_name,
    "program": values.program,
}
HOSTILE: Final = ["", "a b", "a\nkind: Pod", "$(id)", "`id`", "a\x1b[2J", "a\u202e", "-rf", "../x", 'a"', "a: b", "ä"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", CHECKS)
def test_hostile_text_is_refused(name: str, text: str) -> None:
    refuses(CHECKS[name], text)


def test_gpus_are_no_network_cards() -> None:
    """The manifest would say how many there are twice."""
    with pytest.raises(RequestError, match=r"nvidia\.com/gpu is the GPUs") as caught:
        values.device("nvidia.com/gpu=4")
    assert "--gpus-per-node" in caught.value.hints[0]
    assert values.device("nvidia.com/hostdev=4") == ("nvidia.com/hostdev", 4)


@pytest.mark.parametrize("value", ["a\nb", "a\x1b[2J", "a\u202eb", "a\x00"])
def test_no_value_steers_a_terminal(value: str) -> None:
    with pytest.raises(RequestError):
        values.environment(f"NAME={value}")


@pytest.mark.parametrize("name", ["JOB_COMPLETION_INDEX", "GPUIMG_NODE", "RANK", "MASTER_ADDR", "PET_NNODES"])
def test_what_says_which_pod_it_is_cannot_be_set(name: str) -> None:
    with pytest.raises(RequestError, match="can't be set by hand"):
        values.environment(f"{name}=0")
    with pytest.raises(RequestError, match="can't be set by hand"):
        values.secret_variable(f"{name}=secret/key")


@pytest.mark.parametrize("name", ["HF_TOKEN", "WANDB_API_KEY", "password"])
def test_a_secret_comes_from_the_cluster(name: str) -> None:
    """Whoever has the file could read it, and it is there to be committed."""
    with pytest.raises(RequestError, match="looks like a secret") as caught:
        values.environment(f"{name}=hunter2")
    assert "hunter2" not in caught.value.message
    assert caught.value.hints == (f"--env-secret {name}=SECRET/KEY takes it from a Secret of the cluster",)


@pytest.mark.parametrize(
    "url", ["http://u:hunter2@proxy:1", "https://hunter2@sentry.io/1", "redis://:hunter2@r/0", "ssh://u:hunter2@host"]
)
def test_a_urls_password_comes_from_the_cluster(url: str) -> None:
    with pytest.raises(RequestError, match="a URL with a user name or password") as caught:
        values.environment(f"HTTPS_PROXY={url}")
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    "value", ["http://proxy:3128", "http://host/a@b?c@d", "debian:12@sha256:0", "ssh://git@host/x"]
)
def test_a_value_without_a_password_is_taken(value: str) -> None:
    assert values.environment(f"NAME={value}") == ("NAME", value)


def test_a_secrets_key_and_a_claim_are_read() -> None:
    assert values.secret_variable("HF_TOKEN=team.hf/token_1.txt") == values.SecretVariable(
        name="HF_TOKEN", secret="team.hf", key="token_1.txt"
    )
    assert values.claim("data:/data") == values.Claim(name="data", path="/data")
    assert values.claim("data:/opt/venv2").path == "/opt/venv2"
    assert values.claim("data:/data/sets/:ro") == values.Claim(name="data", path="/data/sets", read_only=True)


@pytest.mark.parametrize(
    "text",
    [
        "data",
        "data:",
        "data:data",
        "data:/data:rw",
        "data:/data:ro:x",
        "Data:/d",
        "d:/dev/shm",
        "d:/a/../b",
        "d:/usr",
        "d:/proc",
        "d:/opt",
        "d:/opt/venv",
        "d:/opt/venv/lib",
        "d:/opt/conda/",
    ],
)
def test_what_is_no_claim_is_refused(text: str) -> None:
    refuses(values.claim, text)


@given(st.text(alphabet=st.one_of(st.sampled_from("$()A "), st.characters()), max_size=30))
def test_what_users_type_comes_through_the_kubelet_unchanged(text: str) -> None:
    assert expand(values.literal(text), {"A": "other"}) == text


def test_the_kubelet_does_expand() -> None:
    """The rules that the test above holds `literal` against."""
    assert expand("$(A) $$(A) $$$(A) $(B) $A $( $", {"A": "x"}) == "x $(A) $x $(B) $A $( $"


def test_a_name_leaves_room_for_what_is_made_of_it() -> None:
    """The webhook of JobSet adds the longest suffix, a StatefulSet a revision, Kubeflow's operator a role."""
    assert names.job_set_name("a" * 48, group="node", pods=10)
    with pytest.raises(RequestError, match="JobSet of 11 pods"):
        names.job_set_name("a" * 48, group="node", pods=11)
    assert names.pytorch_job_name("a" * 54, pods=2)
    with pytest.raises(RequestError, match="PyTorchJob of 2 pods"):
        names.pytorch_job_name("a" * 55, pods=2)
    assert names.server_name("a" * 52)
    with pytest.raises(RequestError, match="name a server"):
        names.server_name("a" * 53)


def test_a_name_leaves_room_for_the_highest_index() -> None:
    """Kubernetes calls the pods NAME-INDEX, and refuses a Job whose last pod would have no valid name."""
    assert names.job_name("a" * 61, pods=10)
    with pytest.raises(RequestError, match="Job of 11 pods"):
        names.job_name("a" * 61, pods=11)


@pytest.mark.parametrize("text", ["9lives", "Smoke", "smoke_1", "smoke-", "a.b"])
def test_what_cannot_name_a_service_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        names.job_name(text, pods=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3", ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3")),
        ("pool=", ("pool", "")),
    ],
)
def test_labels_of_nodes_are_read(text: str, expected: tuple[str, str]) -> None:
    assert values.node_label(text) == expected


@pytest.mark.parametrize("text", ["pool", "=x", "a/b/c=x", "pool=-x", f"pool={'x' * 64}", f"{'x' * 64}=y"])
def test_what_is_no_label_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        values.node_label(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("spot", Toleration(key="spot")),
        ("spot:NoExecute", Toleration(key="spot", effect="NoExecute")),
        ("dedicated=training", Toleration(key="dedicated", value="training")),
        ("example.com/x=:NoSchedule", Toleration(key="example.com/x", value="", effect="NoSchedule")),
    ],
)
def test_tolerations_are_read_as_kubectl_writes_taints(text: str, expected: Toleration) -> None:
    assert values.toleration(text) == expected


@pytest.mark.parametrize("text", ["spot:", "spot:Never", ":NoSchedule", "a=b=c"])
def test_what_is_no_toleration_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        values.toleration(text)


@pytest.mark.parametrize(("text", "expected"), [("rdma/hca", ("rdma/hca", 1)), ("a.b/c_d=8", ("a.b/c_d", 8))])
def test_devices_are_read(text: str, expected: tuple[str, int]) -> None:
    assert values.device(text) == expected


@pytest.mark.parametrize("text", ["hca=1", "rdma/hca=", "rdma/hca=0", "rdma/hca=-1", "rdma/hca=1.5"])
def test_what_is_no_device_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        values.device(text)


@pytest.mark.parametrize("text", ["0", "0m", "1.0001", "1g", "-1", "1e3"])
def test_what_is_no_number_of_cpus_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        values.cpus(text)


@pytest.mark.parametrize("text", ["8", "7.5", "500m"])
def test_cpus_stay_as_they_were_written(text: str) -> None:
    assert values.cpus(text) == text
