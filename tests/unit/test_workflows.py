"""The workflows in the repository: valid by GitHub's own schema, with few rights, and nothing that moves under them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

each = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


def test_there_is_a_freshness_check() -> None:
    triggers = {path.name: read(path)[True] for path in WORKFLOWS}  # YAML 1.1 reads the key `on` as true
    assert "schedule" in triggers["matrix.yml"]


@each
def test_github_would_take_it(path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@each
def test_rights_are_given_job_by_job(path: Path) -> None:
    assert read(path)["permissions"] == {}


@each
def test_actions_are_pinned_by_commit(path: Path) -> None:
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name) for name in used)


@each
def test_commands_and_files_that_it_names_exist(path: Path) -> None:
    text = "\n".join(step.get("run", "") for step in steps(path))
    named = re.findall(r"(?<![\w./-])((?:tests|scripts|matrices)/[\w./-]+)", text)
    assert named
    assert all((ROOT / name).exists() for name in named), named
    for command in re.findall(r"gpuimg ((?:matrix )?[a-z]+(?: --[a-z]+)*)", text):
        if command.startswith("matrix"):
            done = subprocess.run(
                [sys.executable, "-m", "gpuimg", *command.split(" --")[0].split(), "--help"],
                check=False,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0
            assert all(option in done.stdout for option in re.findall(r"--[a-z]+", command))
