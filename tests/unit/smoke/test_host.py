"""The guest on this machine, when the Python that was named misbehaves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gpuimg.errors import RequestError
from gpuimg.smoke.host import SmokeOptions, smoke_host


def python_that(tmp_path: Path, body: str) -> str:
    """A program that says it has torch, and then does `body` in place of the guest."""
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\ncase "$1" in -c) exit 7 ;; esac\n{body}\n')
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(
    "body",
    [
        "head -c 300000 /dev/zero | tr '\\0' e >&2; exit 3",
        "sleep 60 & echo started; exit 3",
        "head -c 200000 /dev/zero | tr '\\0' '['; echo; exit 3",
    ],
    ids=["floods stderr", "leaves an orphan", "prints what no JSON parser bears"],
)
def test_a_guest_that_dies_is_a_failure_and_nobody_waits(tmp_path: Path, body: str) -> None:
    began = time.monotonic()
    report = smoke_host(python_that(tmp_path, body), SmokeOptions())
    assert [check.name for check in report.failed] == ["guest"]
    assert "exit code 3" in (report.failed[0].reason or "")
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("python", ["/nonexistent/python", "/bin/true", "", "/"])
def test_what_is_no_python_with_torch_is_a_bad_request(python: str) -> None:
    with pytest.raises(RequestError):
        smoke_host(python, SmokeOptions())
