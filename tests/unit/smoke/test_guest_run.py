"""The whole guest, run as the host runs it, beside a torch that can't be imported: its lines, exit codes, leftovers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gpuimg.model import Status
from gpuimg.smoke.protocol import LINES_SCHEMA, read_report
from gpuimg.smoke.zipapp import build_guest
from tests.unit.smoke.processes import gone

_FAST = ["stack.torch", "stack.nccl", "host.user", "host.limits", "host.clock", "dataloader", "compiler.toolchain"]

Run = Callable[..., "subprocess.Popen[str]"]

needs_headers = pytest.mark.skipif(
    not Path(sysconfig.get_path("include"), "Python.h").is_file(),
    reason="this Python has no headers (Debian: python3-dev), so the check ends before it calls the compiler",
)


@pytest.fixture
def guest(tmp_path: Path) -> Run:
    """Starts the guest with a config. Its torch is one whose library is missing."""
    torch = tmp_path / "site" / "torch"
    torch.mkdir(parents=True)
    (torch / "version.py").write_text("__version__ = '2.6.0+cu124'\n")
    (torch / "__init__.py").write_text("raise OSError('libcudart.so.12: cannot open shared object file')\n")

    def run(config: dict[str, Any], **environment: str) -> subprocess.Popen[str]:
        (tmp_path / "smoke.pyz").write_bytes(build_guest())
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "temporary").mkdir()
        command = [sys.executable, str(tmp_path / "smoke.pyz"), "--config", str(tmp_path / "config.json")]
        own = {"TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": str(tmp_path / "site")}
        variables = {**os.environ, **own, **environment}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables)

    return run


@pytest.fixture
def leftovers(tmp_path: Path) -> Callable[[], list[Path]]:
    return lambda: list((tmp_path / "temporary").iterdir())


def test_real_lines_validate_and_make_a_report(guest: Run, leftovers: Callable[[], list[Path]]) -> None:
    process = guest({"v": 1, "only": _FAST})
    stdout, stderr = process.communicate(timeout=60)
    validator = jsonschema.Draft202012Validator(json.loads(LINES_SCHEMA.read_text(encoding="utf-8")))
    for line in stdout.splitlines():
        validator.validate(json.loads(line))
    assert stderr == ""
    report = read_report(stdout.splitlines(), image=None, exit_code=process.returncode)
    assert report.torch == "2.6.0+cu124"
    assert report.checks[0].name == "stack.torch"
    assert report.checks[0].reason == "OSError: libcudart.so.12: cannot open shared object file"
    assert {check.name: check.status for check in report.checks}["host.limits"] is Status.PASS
    assert process.returncode == 1
    assert leftovers() == []


def test_schema_is_a_schema_and_refuses_what_is_no_line() -> None:
    schema = json.loads(LINES_SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    skip = {"v": 1, "event": "check", "name": "a.b", "group": "a", "status": "SKIP", "measured": {}, "seconds": 0}
    assert validator.is_valid({**skip, "reason": "no GPU", "unknown": 1})
    assert not validator.is_valid(skip), "a SKIP without a reason"
    assert not validator.is_valid({**skip, "reason": "no GPU", "status": "WARN"})
    assert not validator.is_valid({"v": 1, "event": "begin"})


def test_guest_without_failures_exits_with_0(guest: Run) -> None:
    process = guest({"only": ["host.user", "host.clock"]})
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(stdout.splitlines()[-1])["pass"] == 1


def test_asked_for_gpu_that_is_not_there_fails_with_the_remedy(guest: Run) -> None:
    process = guest({"only": ["host.driver"], "gpus_requested": True}, LD_LIBRARY_PATH="")
    stdout, _ = process.communicate(timeout=60)
    report = read_report(stdout.splitlines(), image=None, exit_code=process.returncode)
    if report.gpus:
        pytest.skip("this machine has a GPU")
    (failure,) = report.failed
    assert failure.name == "host.gpu"
    assert failure.remedy is not None


@needs_headers
def test_hanging_check_is_ended_at_its_timeout_and_the_rest_runs(guest: Run, tmp_path: Path) -> None:
    process = guest(
        {"only": ["compiler.toolchain", "host.user"], "timeouts": {"compiler": 2}}, CC=str(hanging_compiler(tmp_path))
    )
    stdout, _ = process.communicate(timeout=60)
    report = read_report(stdout.splitlines(), image=None, exit_code=process.returncode)
    (failure,) = report.failed
    assert (failure.name, failure.reason) == (
        "compiler.toolchain",
        "no result in 2 s; where it hung is in its output",
    )
    assert "_build_and_import" in str(failure.data["output"])


@needs_headers
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_guest_leaves_nothing_behind(
    guest: Run, leftovers: Callable[[], list[Path]], tmp_path: Path, number: signal.Signals
) -> None:
    """No file and no process; and no `end` line, so that the host knows that it is not the whole."""
    process = guest({"only": ["compiler.toolchain"]}, CC=str(hanging_compiler(tmp_path)))
    pid_file = tmp_path / "compiler.pid"
    end = time.monotonic() + 30
    while not pid_file.exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.1)
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert '"end"' not in stdout
    assert leftovers() == []
    assert gone(int(pid_file.read_text()))


def hanging_compiler(folder: Path) -> Path:
    """A compiler that writes its pid and never ends."""
    program = folder / "cc"
    program.write_text(f"#!/bin/sh\necho $$ > {folder}/compiler.pid\nexec sleep 60\n")
    program.chmod(0o755)
    return program
