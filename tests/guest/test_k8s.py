"""An exported training run with a real torchrun: its pods, which are processes of this machine, meet and compute."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from gpuimg.export.k8s.pod import Pod
from gpuimg.export.k8s.train import JOB, JOB_SET, PYTORCH_JOB, TrainJob, first_address, render_train_job
from tests.guest.conftest import clean_environment
from tests.unit.export.kubelet import expand

TRAIN: Final = """
import json, os, sys
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
total = torch.tensor([dist.get_rank() + 1.0])
dist.all_reduce(total)
seen = {
    "world": dist.get_world_size(), "sum": total.item(), "words": sys.argv[1:], "node": os.environ["GROUP_RANK"],
    "run": os.environ["RUN"],
}
with open(f"rank-{dist.get_rank()}.json", "w") as file:
    json.dump(seen, file)
dist.destroy_process_group()
sys.exit(3 if "--fail" in sys.argv else 0)
"""
WORDS: Final = ("a b", "$(GROUP_RANK)", "$$HOME")
NAMES: Final = {JOB: "JOB_COMPLETION_INDEX", JOB_SET: "JOB_COMPLETION_INDEX", PYTORCH_JOB: "RANK"}
"""What the controllers tell a pod its number by."""


def run_pods(job: TrainJob, folder: Path) -> list[subprocess.CompletedProcess[str]]:
    """Each pod's command, as the kubelet hands it on; the first one's name and port are those of this machine."""
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = []
    for node, container in enumerate(containers(job)):
        own = {NAMES[job.kind]: str(node)}
        named = {each["name"]: expand(each["value"], own) for each in container["env"]}
        here = [
            expand(word, {**named, **own})
            .replace(f"--master-addr={first_address(job)}", "--master-addr=127.0.0.1")
            .replace("--master-port=29500", f"--master-port={port}")
            for word in container["command"]
        ]
        assert sum("127.0.0.1" in word or str(port) in word for word in here) == (2 if job.nodes > 1 else 0)
        started.append(
            subprocess.Popen(
                here,
                cwd=folder,
                env={**clean_environment(), **named, **own, "GLOO_SOCKET_IFNAME": "lo", "TMPDIR": str(folder)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        outputs = [process.communicate(timeout=150)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    return [
        subprocess.CompletedProcess(process.args, process.returncode, output)
        for process, output in zip(started, outputs, strict=True)
    ]


def containers(job: TrainJob) -> list[Any]:
    """That of each pod."""
    document = list(yaml.safe_load_all(render_train_job(job)))[-1]
    if job.kind == PYTORCH_JOB:
        roles = document["spec"]["pytorchReplicaSpecs"]
        templates = [role["template"] for role in roles.values() for _ in range(role["replicas"])]
    elif job.kind == JOB_SET:
        spec = document["spec"]["replicatedJobs"][0]["template"]["spec"]
        templates = [spec["template"]] * spec["completions"]
    else:
        spec = document["spec"]
        templates = [spec["template"]] * spec.get("completions", 1)
    return [template["spec"]["containers"][0] for template in templates]


def job_of(python: str, **change: Any) -> TrainJob:
    pod = Pod(image="gpuimg:2.6.0-cu124", non_root=True, name="train", gpus=2, environment=(("RUN", "$(RANK) $5"),))
    values: dict[str, Any] = {"python": python, "command": ("train.py", *WORDS), "nodes": 2, **change}
    return TrainJob(pod=pod, **values)


@pytest.mark.parametrize("kind", [JOB, JOB_SET, PYTORCH_JOB])
def test_pods_meet_and_compute(kind: str, torch_python: str, tmp_path: Path) -> None:
    done = run_pods(job_of(torch_python, kind=kind), tmp_path)
    assert [pod.returncode for pod in done] == [0, 0], "\n".join(pod.stdout for pod in done)
    seen = [json.loads((tmp_path / f"rank-{rank}.json").read_text(encoding="utf-8")) for rank in range(4)]
    assert seen == [
        {"world": 4, "sum": 10.0, "words": list(WORDS), "node": node, "run": "$(RANK) $5"}
        for node in ("0", "0", "1", "1")
    ]


def test_one_pod_runs_a_process_for_each_gpu(torch_python: str, tmp_path: Path) -> None:
    (done,) = run_pods(job_of(torch_python, nodes=1), tmp_path)
    assert done.returncode == 0, done.stdout
    seen = [json.loads((tmp_path / f"rank-{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]
    assert [(rank["world"], rank["sum"]) for rank in seen] == [(2, 3.0)] * 2


def test_a_process_that_fails_is_a_pod_that_fails(torch_python: str, tmp_path: Path) -> None:
    (done,) = run_pods(job_of(torch_python, nodes=1, command=("train.py", "--fail")), tmp_path)
    assert done.returncode == 1
    assert "exitcode  : 3" in done.stdout
