"""An exported batch script with a real torchrun: two nodes, which are this machine, find each other and compute."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from gpuimg.export.image import ExportedImage
from gpuimg.export.slurm import Job
from tests.unit.export.cluster import Cluster

TRAIN: Final = """
import json, os, sys
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
total = torch.tensor([dist.get_rank() + 1.0])
dist.all_reduce(total)
seen = {"world": dist.get_world_size(), "sum": total.item(), "words": sys.argv[1:], "node": os.environ["SLURM_NODEID"]}
with open(f"rank-{dist.get_rank()}.json", "w") as file:
    json.dump(seen, file)
dist.destroy_process_group()
sys.exit(3 if "--fail" in sys.argv else 0)
"""
JOB: Final = Job(
    image=ExportedImage(reference="gpuimg:2.6.0-cu124"),
    command=("train.py", "a b", "$$HOME"),
    nodes=2,
    gpus=1,
    caches=False,
)


def test_two_nodes_meet_and_compute(torch_python: str, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, first="127.0.0.1")
    (tmp_path / "train.py").write_text(TRAIN, encoding="utf-8")
    job = replace(JOB, environment=(("TMPDIR", str(tmp_path)),))  # where torchrun leaves its logs
    done = cluster.send(job, python=torch_python, timeout_s=120, SLURM_JOB_ID=str(os.getpid()))
    assert done.returncode == 0, done.stderr
    seen = [json.loads((tmp_path / f"rank-{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]
    assert [(rank["world"], rank["sum"], rank["words"]) for rank in seen] == [(2, 3.0, ["a b", "$$HOME"])] * 2
    assert {rank["node"] for rank in seen} == {"0", "1"}
