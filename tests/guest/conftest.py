"""Pythons with torch, named by ``GPUIMG_TORCH_PYTHON`` (several with colons between), and the guest run on them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from gpuimg.model import Check, Report
from gpuimg.smoke.protocol import read_report
from gpuimg.smoke.zipapp import build_guest

_TIMEOUT_S = 1200


class Guest(Protocol):
    """Runs the guest with a config."""

    def __call__(self, config: Mapping[str, Any], *, wrap: Sequence[str] = (), **environment: str) -> Report: ...


PYTHONS = [path for path in os.environ.get("GPUIMG_TORCH_PYTHON", "").split(os.pathsep) if path]
"""The first one's torch is the one that most tests break."""


@pytest.fixture(scope="session")
def torch_python() -> str:
    if not PYTHONS:
        pytest.skip("GPUIMG_TORCH_PYTHON names no Python with torch")
    return PYTHONS[0]


@pytest.fixture(scope="session")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("guest") / "smoke.pyz"
    path.write_bytes(build_guest())
    return path


@pytest.fixture(scope="session")
def guest(torch_python: str, pyz: Path) -> Guest:
    return guest_on(torch_python, pyz)


def guest_on(python: str, pyz: Path) -> Guest:
    """`wrap` is a command in front; an empty value of `environment` unsets the variable."""

    def run(config: Mapping[str, Any], *, wrap: Sequence[str] = (), **environment: str) -> Report:
        file = pyz.with_name("config.json")
        file.write_text(json.dumps(config))
        variables = {name: text for name, text in {**clean_environment(), **environment}.items() if text}
        command = [*wrap, python, str(pyz), "--config", str(file)]
        answer = subprocess.run(command, capture_output=True, env=variables, timeout=_TIMEOUT_S, check=False)
        return read_report(
            answer.stdout.splitlines(),
            image=None,
            exit_code=answer.returncode,
            stderr=answer.stderr.decode(errors="replace"),
        )

    return run


@pytest.fixture(scope="session")
def site_packages(torch_python: str) -> Path:
    """Where that Python has torch."""
    script = "import importlib.util as u; print(u.find_spec('torch').origin)"
    answer = subprocess.run([torch_python, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return Path(answer.stdout.strip()).parent.parent


@pytest.fixture
def own_mounts() -> Sequence[str]:
    """The command that gives its child mounts of its own, where this machine allows that."""
    command = ("unshare", "-m", "sh", "-ec")
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    trial = subprocess.run([*command, "mount -t tmpfs tmpfs /mnt"], capture_output=True, timeout=60, check=False)
    if trial.returncode != 0:
        pytest.skip(f"no mounts of one's own here: {trial.stderr.decode().strip()}")
    return command


def clean_environment() -> dict[str, str]:
    """This process's variables without those that the checks look at."""
    ours = ("CC", "CXX", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
    return {name: text for name, text in os.environ.items() if name not in ours}


def failures(report: Report) -> dict[str, str]:
    """Name → reason of every check that failed."""
    return {check.name: check.reason or "" for check in report.failed}


def by_name(report: Report) -> dict[str, Check]:
    return {check.name: check for check in report.checks}
