"""What a cluster has, as programs of this machine: enough of srun, scontrol and apptainer to run a batch script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gpuimg.export.slurm import Job, render_job

SRUN: Final = """#!/bin/bash
# Runs the command once a node, as srun does for one task a node; its options go into a file.
while [[ $1 == --* ]]; do echo "$1" >> "$LOGS/srun"; shift; done
for ((node = 0; node < SLURM_JOB_NUM_NODES; node++)); do
  SLURM_NODEID=$node CUDA_VISIBLE_DEVICES=$node,7 "$@" & started+=($!)
done
for process in "${started[@]}"; do
  wait "$process"; code=$?
  ((code > worst)) && worst=$code
done
exit "${worst:-0}"
"""
APPTAINER: Final = """#!/bin/bash
# Runs the command on this machine, in the environment that --cleanenv leaves; its options go into a file.
shift
while [[ $1 == --* ]]; do
  if [[ $1 == --bind || $1 == --pwd ]]; then echo "$1 $2"; shift 2; else echo "$1"; shift; fi
done > "$LOGS/apptainer-$SLURM_NODEID"
echo "$1" > "$LOGS/image"; shift
while IFS= read -r -d '' pair; do
  [[ $pair == APPTAINERENV_* ]] && passed+=("${pair#APPTAINERENV_}")
done < <(env -0)
exec env -i PATH="$PATH" LOGS="$LOGS" "${passed[@]}" "$@"
"""
SCONTROL: Final = """#!/bin/sh
test "$1 $2 $3" = "show hostnames node-[1-2]" && printf '{first}\\nnode-2\\n'
"""
PROGRAM: Final = """#!{python}
import json, os, pathlib, sys
node = os.environ.get("SLURM_NODEID", "0")
path = pathlib.Path(os.environ["LOGS"], f"program-{{node}}.json")
path.write_text(json.dumps({{"arguments": sys.argv[1:], "environ": dict(os.environ)}}))
sys.exit(int(os.environ.get("CODE", "0")) if node == "1" or os.environ["SLURM_JOB_NUM_NODES"] == "1" else 0)
"""


class Cluster:
    """A folder that jobs are sent from, with programs as a cluster's nodes have them."""

    def __init__(self, folder: Path, *, first: str = "node-1") -> None:
        self.folder = folder
        self.bin, self.logs, self.home = folder / "bin", folder / "logs", folder / "home"
        for place in (self.bin, self.logs, self.home):
            place.mkdir()
        self.program = self.bin / "program"
        programs = {
            "srun": SRUN,
            "apptainer": APPTAINER,
            "scontrol": SCONTROL.format(first=first),
            "program": PROGRAM.format(python=sys.executable),
        }
        for name, text in programs.items():
            (self.bin / name).write_text(text, encoding="utf-8")
            (self.bin / name).chmod(0o755)

    def send(
        self, job: Job, *, nodes: int | None = None, python: str | None = None, timeout_s: int = 30, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the script as slurmd would; `program` is the image's Python unless another one is named."""
        job = replace(job, image=replace(job.image, python=python or str(self.program)))
        (self.folder / (job.image_file or "gpuimg_2.6.0-cu124.sif")).touch()
        return self.run(render_job(job), nodes=nodes or job.nodes, timeout_s=timeout_s, **environ)

    def run(self, text: str, *, nodes: int, timeout_s: int = 30, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-s"],
            input=text,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            env={
                "PATH": f"{self.bin}:{os.environ['PATH']}",
                "HOME": str(self.home),
                "LOGS": str(self.logs),
                "CC": "/opt/modules/gcc",
                "SLURM_JOB_ID": "123456",
                "SLURM_JOB_NODELIST": "node-[1-2]",
                "SLURM_JOB_NUM_NODES": str(nodes),
                **environ,
            },
        )

    def saw(self, node: int = 0) -> Any:
        """What the program on a node got."""
        return json.loads((self.logs / f"program-{node}.json").read_text(encoding="utf-8"))

    def log(self, name: str) -> list[str]:
        return (self.logs / name).read_text(encoding="utf-8").splitlines()
