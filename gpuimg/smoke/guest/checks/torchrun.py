"""distributed.torchrun and distributed.nodes: ranks that torchrun starts, on this machine and on several."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..config import Expect
from ..env import Env
from ..outcome import Outcome, Skip, failed
from ..parts import PartEnd, last_line, part_command
from ..process import tail
from .distributed import GROUP_SHARE, NETWORK_REMEDY, RANKS, bandwidth, judge_collectives, rank_environment


def torchrun(env: Env, expect: Expect) -> Outcome:
    """``python -m torch.distributed.run`` starts two ranks that talk. Bounds: it exits with 0, and both report."""
    del expect
    return _torchrun(env, ["--standalone", "--nproc-per-node", str(RANKS)], "gloo", RANKS, "distributed")


def nodes(env: Env, expect: Expect) -> Outcome:
    """The same over several nodes that run this guest at once, with a rank for each GPU (or one, on the CPU)."""
    del expect
    world = env.config.world
    if world is None:
        raise Skip("one node: `gpuimg export --format k8s --smoke --multi-node` runs it on several")
    number = env.environ.get("JOB_COMPLETION_INDEX") or env.environ.get("GPUIMG_NODE_RANK")
    if number is None or not number.isdigit() or int(number) >= world.nodes:
        return failed(
            f"the number of this node is `{number}`, and there are {world.nodes}",
            expected="JOB_COMPLETION_INDEX or GPUIMG_NODE_RANK, counted from 0",
        )
    devices = [device for device, index in env.devices() if index is not None]
    options = ["--nnodes", str(world.nodes), "--node-rank", number, "--nproc-per-node", str(len(devices) or 1)]
    options += ["--master-addr", world.address, "--master-port", str(world.port)]
    return _torchrun(env, options, "nccl" if devices else "gloo", len(devices) or 1, "nodes")


def _torchrun(env: Env, options: list[str], backend: str, local: int, timeout: str) -> Outcome:
    wait = env.config.timeout(timeout)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "result"
        arguments = {
            "program": "collectives",
            "backend": backend,
            "timeout": wait / GROUP_SHARE,
            "results": str(results),
            "fault": env.part_fault,
        }
        guest = part_command("rank", arguments)[1:]
        command = [sys.executable, "-m", "torch.distributed.run", *options, *guest]
        code, output = _run_torchrun(command, rank_environment(env), 0.9 * wait)
        found = [_read(path) for path in sorted(Path(folder).glob("result.*"))]
    ends = [PartEnd(0, result, "") for result in found]
    outcome = judge_collectives(ends, len(found), {"reported": (len(found), "count"), **bandwidth(ends)})
    if code == 0 and len(found) == local:
        return outcome
    why = "torchrun did not end in time" if code is None else f"torchrun exited with code {code}: {_cause(output)}"
    return failed(
        f"{why}, and {len(found)} of {local} ranks reported",
        measured=outcome.measured,
        expected=f"{local} ranks report",
        remedy=NETWORK_REMEDY,
        data={"output": output},
    )


def _run_torchrun(command: list[str], environ: dict[str, str], timeout: float) -> tuple[int | None, str]:
    """torchrun's exit code, None where it had to be stopped, and the last that it and its ranks printed."""
    with tempfile.TemporaryFile("w+b") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environ)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            process.kill()  # its ranks end with it: parts.end_with_parent
            process.wait()
        return code, tail(output)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _cause(output: str) -> str:
    """What a rank died of, in its own words, else by its exit code: torchrun's report comes after both."""
    lines = [line.strip() for line in output.splitlines()]
    told = [line for line in lines if "Error" in line and "ChildFailedError" not in line]
    codes = [line for line in lines if re.match(r"exitcode\s*: [^0]", line)]
    return " ".join((told or codes or [last_line(output)])[-1].split())
