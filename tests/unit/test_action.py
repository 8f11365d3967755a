"""The action's own script, run with this gpuimg in the place of the one that it would install. No engine is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
GPUIMG: Final = Path(sys.executable).with_name("gpuimg")
ACTION: Final[Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def run_action(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """The one step of action.yml, with its variables; what isn't given has the default."""
    programs = folder / "temp" / "gpuimg" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "gpuimg").symlink_to(GPUIMG)
    (step,) = ACTION["runs"]["steps"]
    given = {name: inputs.get(name, field["default"]) for name, field in ACTION["inputs"].items()}
    variables = {
        name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda match: given[match[1]], value)
        for name, value in step["env"].items()
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={
            **os.environ,
            **variables,
            "GITHUB_ACTION_PATH": str(ROOT),
            "RUNNER_TEMP": str(folder / "temp"),
            "GITHUB_OUTPUT": str(folder / "output"),
            "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_every_input_reaches_the_script_as_a_variable() -> None:
    (step,) = ACTION["runs"]["steps"]
    used = {match for value in step["env"].values() for match in re.findall(r"inputs\.(\w+)", value)}
    assert used == set(ACTION["inputs"])
    text = (ROOT / "scripts" / "action").read_text(encoding="utf-8")
    assert all(re.search(rf"\$\{{?{name}\b", text) for name in step["env"])
    told = set(re.findall(r"(\w+)(?:=|<<)", "\n".join(re.findall(r'echo "(.*)"', text))))
    assert told == set(ACTION["outputs"])


def test_gpuimg_is_asked_and_its_exit_code_is_the_steps(tmp_path: Path) -> None:
    done = run_action(tmp_path, spec="2.6-cu124", repository="ghcr.io/team/gpuimg", options="--flavor=devel\n\n")
    assert done.returncode == 3, done.stderr
    assert "error: no engine answers" in done.stderr
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"spec": "2.6-cu124; id"}, "is not a spec"),
        ({"spec": "--help"}, "is not a spec"),
        ({"spec": "$(touch here)"}, "is not a spec"),
        ({"spec": "2.6-cu124", "repository": "a b"}, "`a b` can't name a repository"),
        ({"spec": "2.6-cu124", "options": "--flavor=$(touch here)"}, "flavor"),
        ({"spec": "2.6-cu124", "gpus": "one"}, "`one` selects no GPUs"),
        ({"spec": "2.6-cu124", "push": "yes"}, "push is true or false, not `yes`"),
        ({}, "nothing to build"),
    ],
)
def test_what_is_no_input_is_said(inputs: dict[str, str], message: str, tmp_path: Path) -> None:
    done = run_action(tmp_path, **inputs)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert not (tmp_path / "here").exists()
