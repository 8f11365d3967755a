"""Group `host`, the part that needs no GPU: the user and the limits that a container gives to whoever trains in it."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

from .. import cgroup
from ..config import Expect
from ..env import Env
from ..outcome import Outcome, passed, skipped, verdict

_REAP_S = 2.0
_QUERY = "clocks.sm,clocks.max.sm,power.draw,power.limit,temperature.gpu,clocks_throttle_reasons.active"


def user(env: Env, expect: Expect) -> Outcome:
    """The uid is not 0 where the image promises that; else it is reported."""
    uid = env.user_id()
    problems = ["the image promises a non-root user and runs as root"] if expect.non_root and uid == 0 else []
    return verdict(
        problems,
        measured={"uid": uid, "gid": os.getgid()},
        expected="uid ≠ 0" if expect.non_root else "reported",
        remedy="don't override the image's user with `--user 0`",
    )


def limits(env: Env, expect: Expect) -> Outcome:
    """Reported: locked memory, open files, memory and CPU limits, and whether PID 1 reaps orphans (zombies else)."""
    del env, expect
    measured: dict[str, Any] = {
        "memlock": _limit(resource.RLIMIT_MEMLOCK, "bytes"),
        "nofile": _limit(resource.RLIMIT_NOFILE, "count"),
        "cpus": (len(os.sched_getaffinity(0)), "count"),
        "pid_1_reaps": _pid_1_reaps(),
    }
    memory, cpus = cgroup.memory_limit(), cgroup.cpu_quota()
    measured["memory_limit"] = "unlimited" if memory is None else (memory, "bytes")
    measured["cpu_quota"] = "unlimited" if cpus is None else (cpus, "count")
    return passed(measured, expected="reported")


def clock(env: Env, expect: Expect) -> Outcome:
    """Reported: clocks, power and throttle reasons of each GPU, by nvidia-smi where the toolkit mounts it."""
    del expect
    program = env.which("nvidia-smi")
    if program is None:
        return skipped("no nvidia-smi here: NVIDIA_DRIVER_CAPABILITIES lacks `utility`")
    command = [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if answer.returncode != 0:
        return skipped(f"nvidia-smi can't tell: {(answer.stderr or answer.stdout).strip()}")
    rows = [dict(zip(_QUERY.split(","), map(str.strip, line.split(",")))) for line in answer.stdout.splitlines()]
    first = rows[0] if rows else {}
    return passed({"clocks.sm": first.get("clocks.sm", "unknown")}, expected="reported", data={"gpus": rows})


def _limit(which: int, unit: str) -> Any:
    soft, _ = resource.getrlimit(which)
    return "unlimited" if soft == resource.RLIM_INFINITY else (soft, unit)


def _pid_1_reaps() -> str:
    """Leave an orphan that ends at once, and see whether it stays behind as a zombie."""
    read_end, write_end = os.pipe()
    parent = os.fork()
    if parent == 0:
        orphan = os.fork()
        if orphan == 0:
            os._exit(0)
        os.write(write_end, str(orphan).encode())
        os._exit(0)
    os.close(write_end)
    os.waitpid(parent, 0)
    with os.fdopen(read_end) as pipe:
        orphan = int(pipe.read())
    end = time.monotonic() + _REAP_S
    while time.monotonic() < end:
        if _state(orphan) is None:
            return "yes"
        time.sleep(0.05)
    return "no"


def _state(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return None
