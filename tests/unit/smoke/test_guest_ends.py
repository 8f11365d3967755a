"""How a check's process ends, and what it is reported as: the pure table, then real processes that end so."""

from __future__ import annotations

import signal
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gpuimg.smoke.guest import cgroup
from gpuimg.smoke.guest.ends import Ending, outcome_of
from gpuimg.smoke.guest.outcome import Outcome, passed
from gpuimg.smoke.guest.process import OUTPUT_BYTES, run_process
from tests.unit.smoke.processes import gone

_RESULT = passed({"gpus": (1, "count")}).as_dict()


def ending(exit_code: int = 0, **fields: Any) -> Ending:
    return Ending(exit_code=exit_code, timeout=120.0, **fields)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (ending(), "ended without a result"),
        (ending(3), "exited with code 3"),
        (ending(3, result=_RESULT), "exited with code 3 after its result"),
        (ending(1, exception={"type": "OSError", "message": "gone"}), "OSError: gone"),
        (ending(1, exception={"type": "AssertionError", "message": ""}), "AssertionError"),
        (ending(-signal.SIGILL), "died of SIGILL: the CPU lacks an instruction that a library was compiled for"),
        (ending(-signal.SIGABRT), "died of SIGABRT: a library called abort()"),
        (ending(-signal.SIGBUS), "died of SIGBUS: most often /dev/shm was full"),
        (ending(-signal.SIGSEGV), "died of SIGSEGV: it touched memory that isn't its own"),
        (
            ending(-signal.SIGSEGV, result=_RESULT),
            "died of SIGSEGV after its result: it touched memory that isn't its own",
        ),
        (ending(-signal.SIGUSR1), "died of SIGUSR1"),
        (ending(-signal.SIGKILL), "killed from outside"),
        (ending(-signal.SIGKILL, oom_kills=1, memory_limit=2 << 30), "killed by the kernel: memory limit 2.0 GiB"),
        (ending(-signal.SIGKILL, oom_kills=1), "killed by the kernel: memory limit unknown"),
        (ending(-signal.SIGKILL, timed_out=True), "no result in 120 s; where it hung is in its output"),
        (ending(-signal.SIGKILL, timed_out=True, result=_RESULT), "no result in 120 s; where it hung is in its output"),
    ],
)
def test_every_end_but_a_clean_one_is_a_failure(end: Ending, reason: str) -> None:
    outcome = outcome_of(end)
    assert (outcome.status, outcome.reason) == ("FAIL", reason)


def test_clean_end_is_what_the_check_says() -> None:
    assert outcome_of(ending(result=_RESULT, output="a warning")) == passed({"gpus": (1, "count")})


def test_output_joins_a_failure() -> None:
    assert outcome_of(ending(-signal.SIGABRT, output="terminate called")).data == {"output": "terminate called"}


def test_worker_killed_for_memory_is_named_beside_the_exception() -> None:
    """The kernel may take a worker and leave the check itself alive, which then only sees that the worker is gone."""
    end = ending(1, exception={"type": "RuntimeError", "message": "worker exited"}, oom_kills=2)
    outcome = outcome_of(end)
    assert outcome.reason == "RuntimeError: worker exited; meanwhile the kernel killed 2 of its processes for memory"
    assert outcome.remedy is not None


def test_outcome_survives_its_way_through_json() -> None:
    outcome = passed({"count": (3, "count"), "text": "x"}, expected="3", data={"series": [1, 2]})
    assert Outcome.from_dict(outcome.as_dict()) == outcome


def test_numbers_that_json_lacks_are_spelt_out() -> None:
    record = passed({"z": (float("nan"), "u")}, data={"series": [float("inf"), 1.0]}).as_dict()
    assert record["measured"]["z"] == {"value": "nan", "unit": "u"}
    assert record["data"] == {"series": ["inf", 1.0]}


# --- real processes --------------------------------------------------------------------------------------------------

_PRELUDE = """
import faulthandler, json, os, signal, subprocess, sys, time
pipe = int(sys.argv[1])
def result(**fields):
    os.write(pipe, (json.dumps({"result": fields}) + "\\n").encode())
"""


def run(root: Path, script: str, timeout: float = 20.0, samples: list[Mapping[str, Any]] | None = None) -> Ending:
    kept: list[Mapping[str, Any]] = [] if samples is None else samples
    command = [sys.executable, "-c", _PRELUDE + textwrap.dedent(script)]
    return run_process(command, root=root, timeout=timeout, on_sample=kept.append)


def test_result_and_samples_come_through_the_pipe_not_stdout(tmp_path: Path) -> None:
    """However much there is: a pipe holds 64 KiB, and a check with a long series must not hang on it."""
    samples: list[Mapping[str, Any]] = []
    end = run(
        tmp_path,
        """
        print("noise from a library")
        for t in range(5000):
            os.write(pipe, (json.dumps({"sample": {"t": t, "pad": "x" * 100}}) + "\\n").encode())
        result(status="PASS", measured={})
        """,
        samples=samples,
    )
    assert end.result == {"status": "PASS", "measured": {}}
    assert [sample["t"] for sample in samples] == list(range(5000))
    assert end.output == "noise from a library"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL])
def test_crash_is_known_by_its_signal_and_shows_where(tmp_path: Path, number: signal.Signals) -> None:
    end = run(tmp_path, f"faulthandler.enable()\nos.kill(os.getpid(), {int(number)})")
    outcome = outcome_of(end)
    assert outcome.reason is not None
    assert outcome.reason.startswith(f"died of {number.name}")
    assert "most recent call first" in outcome.data["output"]


def test_kill_from_outside(tmp_path: Path) -> None:
    assert outcome_of(run(tmp_path, "os.kill(os.getpid(), 9)")).reason == "killed from outside"


def test_exit_without_a_result(tmp_path: Path) -> None:
    assert outcome_of(run(tmp_path, "sys.exit(0)")).reason == "ended without a result"


def test_hang_is_ended_with_all_its_processes_and_shows_where(tmp_path: Path) -> None:
    """Workers and ranks must not outlive their check, also where they ignore what can be ignored."""
    end = run(
        tmp_path,
        """
        faulthandler.dump_traceback_later(0.5)
        worker = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
        child = subprocess.Popen([sys.executable, "-c", worker])
        os.write(pipe, (json.dumps({"result": {"worker": child.pid}}) + "\\n").encode())
        def wait_for_a_rank_that_never_comes():
            time.sleep(60)
        wait_for_a_rank_that_never_comes()
        """,
        timeout=2.0,
    )
    assert end.timed_out
    assert "wait_for_a_rank_that_never_comes" in end.output
    assert end.result is not None
    assert gone(int(end.result["worker"]))


def test_processes_left_behind_are_ended_with_their_check(tmp_path: Path) -> None:
    """They hold the pipe and the output open; the parent must not wait for them."""
    began = time.monotonic()
    end = run(
        tmp_path,
        """
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[pipe])
        result(worker=child.pid)
        """,
    )
    assert time.monotonic() - began < 15
    assert end.exit_code == 0
    assert end.result is not None
    assert gone(int(end.result["worker"]))


def test_output_keeps_its_end(tmp_path: Path) -> None:
    end = run(tmp_path, "print('x' * 10_000 + 'the end')")
    assert len(end.output) == OUTPUT_BYTES - 1  # the newline is stripped
    assert end.output.endswith("the end")


def test_each_check_has_folders_of_its_own_and_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/the/image")
    names = ("HOME", "XDG_CACHE_HOME", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TMPDIR")
    end = run(
        tmp_path,
        f"""
        folders = [os.environ[name] for name in {names}]
        for folder in folders:
            open(os.path.join(folder, "file"), "x").close()
        result(folders=folders, base=os.environ["PYTHONUSERBASE"])
        """,
    )
    assert end.result is not None
    assert len(set(end.result["folders"])) == len(names)
    assert all(Path(folder).is_relative_to(tmp_path) for folder in end.result["folders"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "kills", "limit"),
    [
        ({"memory.events": "low 0\noom 3\noom_kill 2\n", "memory.max": "1073741824\n"}, 2, 1 << 30),
        ({"memory.events": "oom_kill 0\n", "memory.max": "max\n"}, 0, None),
        (
            {
                "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
                "memory/memory.limit_in_bytes": "536870912\n",
            },
            5,
            512 << 20,
        ),
        ({"memory/memory.limit_in_bytes": f"{2**63 - 4096}\n"}, 0, None),
        ({}, 0, None),
    ],
    ids=["v2", "v2-unlimited", "v1", "v1-unlimited", "none"],
)
def test_memory_is_read_from_both_kinds_of_cgroup(
    tmp_path: Path, files: Mapping[str, str], kills: int, limit: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cgroup.oom_kills(tmp_path) == kills
    assert cgroup.memory_limit(tmp_path) == limit
