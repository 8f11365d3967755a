"""The way over a cluster, without one: what a pod would run is taken from the manifest and run; its logs are merged."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from gpuimg.cli import app
from gpuimg.report import as_json
from tests.unit.report.pods import log, prefixed

IMAGE: Final = "registry.example.com/team/train:1"
PODS: Final = ("gpuimg-smoke-0-x2x4z", "gpuimg-smoke-1-7kq9d")


def exported(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The manifests by kind."""
    assert app.run(["export", *arguments, "--format", "k8s", "--smoke"]) == 0
    return {document["kind"]: document for document in yaml.safe_load_all(capsys.readouterr().out)}


def run_pod(manifests: dict[str, Any], folder: Path, *, index: int) -> str:
    """What the pod of that index logs: its container's own command, the mounted folder's path but for."""
    config_map = manifests["ConfigMap"]
    folder.joinpath("config.json").write_text(config_map["data"]["config.json"], encoding="utf-8")
    folder.joinpath("smoke.pyz").write_bytes(base64.b64decode(config_map["binaryData"]["smoke.pyz"], validate=True))
    (container,) = manifests["Job"]["spec"]["template"]["spec"]["containers"]
    python, *rest = container["command"]
    assert python == "python3"
    done = subprocess.run(
        [sys.executable, *(part.replace("/gpuimg-smoke", str(folder)) for part in rest)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "JOB_COMPLETION_INDEX": str(index), "GPUIMG_NODE": f"node-{index}"},
    )
    assert done.returncode in {0, 1}, done.stdout
    return done.stdout


def test_what_pods_run_becomes_one_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For real, but in this Python: the exported guest runs twice and what it logs is merged."""
    manifests = exported(capsys, IMAGE, "--nodes", "2", "--only", "stack.python", "--only", "dataloader.shm")
    logs = "".join(
        prefixed(pod, run_pod(manifests, tmp_path, index=index), timestamps=True) for index, pod in enumerate(PODS)
    )
    file, merged = tmp_path / "pods.log", tmp_path / "report.json"
    file.write_text(logs, encoding="utf-8")
    assert app.run(["report", "merge", str(file), "--expect", "2", "-o", str(merged)]) in {0, 1}
    *nodes, over_all = as_json.loads(merged.read_text(encoding="utf-8"))
    assert [str(report.node).rpartition(" ")[2].strip("()") for report in nodes] == list(PODS)
    for report in nodes:  # a GPU was asked for: nobody may leave it out
        assert [check.name for check in report.checks] == ["stack.python", "host.gpu", "dataloader.shm"]
    assert [check.name for check in over_all.checks] == ["nodes.reported", "nodes.agree", "nodes.rates"]
    assert not over_all.failed


def test_a_spec_is_the_image_that_gpuimg_builds_and_what_that_promises(capsys: pytest.CaptureFixture[str]) -> None:
    found = exported(capsys, "2.6-cu124", "--repository", "registry.example.com/team/gpuimg")
    spec = found["Job"]["spec"]["template"]["spec"]
    config = json.loads(found["ConfigMap"]["data"]["config.json"])
    assert spec["containers"][0]["image"] == "registry.example.com/team/gpuimg:2.6.0-cu124-py311-runtime"
    assert spec["containers"][0]["command"][0] == "/opt/venv/bin/python"
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert (config["expect"]["torch"], config["expect"]["flavor"]) == ("2.6.0+cu124", "runtime")


def test_an_image_promises_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    found = exported(capsys, IMAGE, "--python", "/opt/conda/bin/python", "--platform", "linux/arm64")
    spec = found["Job"]["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    assert (spec["containers"][0]["image"], spec["containers"][0]["command"][0]) == (IMAGE, "/opt/conda/bin/python")
    assert "runAsNonRoot" not in spec["securityContext"]
    assert "expect" not in json.loads(found["ConfigMap"]["data"]["config.json"])


def test_a_repository_that_no_cluster_can_pull_from_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["export", "2.6-cu124", "--format", "k8s", "--smoke"]) == 0
    assert "warning: a cluster can pull `gpuimg:2.6.0-cu124-py311-runtime` only where" in capsys.readouterr().err


def test_a_template_of_the_users_takes_the_place_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "k8s").mkdir()
    (tmp_path / "k8s" / "smoke.yaml.j2").write_text("{kind: Ours, image: {{ pod.image | yaml }}}\n", encoding="utf-8")
    assert exported(capsys, IMAGE, "--template-dir", str(tmp_path)) == {"Ours": {"kind": "Ours", "image": IMAGE}}


@pytest.mark.parametrize(
    "options",
    [
        ["--namespace", "Training"],
        ["--image-pull-secret", "a b"],
        ["--runtime-class", ""],
        ["--node-selector", "pool"],
        ["--toleration", "a:b"],
        ["--env", "JOB_COMPLETION_INDEX=1"],
        ["--rdma", "hca"],
        ["--cpus", "many"],
        ["--shm-size", "big"],
        ["--memory", "8g"],
        ["--memory", ""],
        ["--python", "python3 -c"],
        ["--nodes", "0"],
        ["--gpus-per-node", "0"],
        ["--skip", "stak"],
        ["--repository", "registry.example.com/team/gpuimg"],
        ["--platform", "windows/amd64"],
        ["-o", "missing/smoke.yaml"],
    ],
)
def test_what_kubernetes_would_refuse_is_refused_here(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["export", IMAGE, "--format", "k8s", "--smoke", *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")


def test_logs_come_by_stdin_and_the_report_goes_to_stdout() -> None:
    text = prefixed(PODS[0], log("torch-2.6")) + prefixed(PODS[1], log("torch-2.6-again"))
    command = [sys.executable, "-m", "gpuimg", "report", "merge", "--expect", "2", "-o", "-", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 1  # no GPU where one was asked for
    assert [report.node for report in as_json.loads(done.stdout)] == [*PODS, "2 nodes together"]
    assert "✗ FAIL  host.gpu" in done.stderr


def test_a_merged_report_is_shown_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, merged = tmp_path / "pods.log", tmp_path / "report.json"
    file.write_text(prefixed(PODS[0], log("torch-2.6")) + prefixed(PODS[1], log("torch-2.13")), encoding="utf-8")
    assert app.run(["report", "merge", str(file), "-o", str(merged), "--junit", str(tmp_path / "report.xml")]) == 1
    capsys.readouterr()
    assert app.run(["report", "show", str(merged)]) == 0
    captured = capsys.readouterr()
    assert "9.20.0 on gpuimg-smoke-1-7kq9d" in " ".join(captured.out.split())
    assert "3 of 3 reports failed" in captured.out
    assert captured.err == ""
    assert PODS[0] in (tmp_path / "report.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize("files", [["-", "-"], ["."], ["missing"]])
def test_what_cannot_be_read_is_said(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["report", "merge", *files]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_spec_becomes_a_training_run(capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        "--nodes",
        "2",
        "--gpus-per-node",
        "8",
        "--pvc",
        "runs:/runs",
        "-e",
        "A=1",
        "--env-secret",
        "HF_TOKEN=hf/token",
    ]
    repository = ["--repository", "registry.example.com/team/gpuimg"]
    assert (
        app.run(["export", "2.6-cu124", "--format", "k8s", *repository, *options, "--", "train.py", "--lr", "1"]) == 0
    )
    captured = capsys.readouterr()
    (job_set,) = yaml.safe_load_all(captured.out)
    assert captured.err == ""
    assert (job_set["kind"], job_set["metadata"]["name"]) == ("JobSet", "train")
    spec = job_set["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert spec["containers"][0]["command"][0] == "/opt/venv/bin/python"
    assert spec["containers"][0]["command"][-3:] == ["train.py", "--lr", "1"]


def test_a_jupyter_image_becomes_a_notebook_server(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["2.6-cu124-jupyter", "--repository", "registry.example.com/team/gpuimg", "--format", "k8s"]
    assert app.run(["export", *arguments, "--storage", "1t"]) == 0
    kinds = {document["kind"]: document for document in yaml.safe_load_all(capsys.readouterr().out)}
    assert set(kinds) == {"Service", "StatefulSet"}
    (claim,) = kinds["StatefulSet"]["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"] == {"requests": {"storage": "1024Gi"}}
    assert app.run(["export", *arguments, "--", "python", "train.py"]) == 0
    (job,) = yaml.safe_load_all(capsys.readouterr().out)
    assert job["kind"] == "Job"


def test_the_projects_command_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["schema: 1", "name: bert", "repository: registry.example.com/team/bert", "spec: 2.6-cu124"]
    (tmp_path / "gpuimg.yaml").write_text("\n".join([*lines, "command: [python, train.py]", ""]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert app.run(["export", "--format", "k8s"]) == 0
    (job,) = yaml.safe_load_all(capsys.readouterr().out)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["command"]) == (
        "registry.example.com/team/bert:latest",
        ["python", "train.py"],
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--", "torchrun", "train.py"], "the manifest starts torchrun itself"),
        (["--multi-node", "--", "true"], "--multi-node means nothing to a job"),
        (["--smoke", "--", "true"], "a command means nothing to --smoke"),
        (["--smoke", "--kind", "job"], "--smoke is a kind of its own"),
        (["--kind", "notebook", "--timeout", "5"], "--timeout means nothing to a notebook"),
        (["--kind", "job", "--max-restarts", "1", "--", "true"], "starts single pods again"),
        (["--kind", "pytorchjob", "--max-restarts", "1", "--", "true"], "a pytorchjob are not started again"),
        (["--rdma", "nvidia.com/gpu=4", "--", "true"], "nvidia.com/gpu is the GPUs"),
        (["-e", "A=1", "-e", "A=2", "--", "true"], "the variable A is given twice"),
        (["-e", "HTTPS_PROXY=http://u:hf_1@proxy:1", "--", "true"], "a URL with a user name or password"),
        (["--name", "a" * 60, "--", "true"], "can't name a JobSet of 2 pods"),
        (["--kind", "pytorchjob", "--name", "a" * 60, "--", "true"], "can't name a PyTorchJob of 2 pods"),
        (["--pvc", "data", "--", "true"], "is no claim and path"),
        (["--env-secret", "HF_TOKEN=hf_1", "--", "true"], "names no variable and key of a Secret"),
        (["--env", "HF_TOKEN=hf_1", "--", "true"], "HF_TOKEN looks like a secret"),
    ],
)
def test_what_contradicts_itself_is_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = [] if "notebook" in options else ["--nodes", "2", "--gpus-per-node", "2"]
    assert app.run(["export", IMAGE, "--format", "k8s", *nodes, *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert "hint:" in captured.err
    assert "hf_1" not in captured.err
