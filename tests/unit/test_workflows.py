"""The repository's workflows and its action: valid by GitHub's own schemas, with few rights, nothing that moves."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from gpuimg import toml

ROOT: Final = Path(__file__).parents[2]
WORKFLOWS: Final = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTION: Final = ROOT / "action.yml"
TOOLS: Final = Path(sys.executable).parent

each = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    document = read(path)
    jobs = document["jobs"].values() if "jobs" in document else [document["runs"]]
    return [step for job in jobs for step in job["steps"]]


@functools.cache
def help_of(*command: str) -> str:
    """What ``gpuimg COMMAND --help`` says; `command` must be one."""
    done = subprocess.run(
        [sys.executable, "-m", "gpuimg", *command, "--help"], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_is_a_workflow_for_each_need() -> None:
    triggers = {path.name: set(read(path)[True]) for path in WORKFLOWS}  # YAML 1.1 reads the key `on` as true
    assert {"push", "pull_request"} <= triggers["ci.yml"] & triggers["pythons.yml"]
    assert "schedule" in triggers["matrix.yml"] & triggers["images.yml"]
    assert ".ci/run" in [step.get("run") for step in steps(ROOT / ".github" / "workflows" / "ci.yml")]


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.name)
def test_github_would_take_it(path: Path) -> None:
    schema = "vendor.github-actions" if path == ACTION else "vendor.github-workflows"
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing() -> None:
    command = [str(TOOLS / "zizmor"), "--offline", "--no-progress", "--no-config", *map(str, WORKFLOWS), str(ACTION)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@each
def test_rights_are_given_job_by_job(path: Path) -> None:
    document = read(path)
    assert document["permissions"] == {}
    assert all("permissions" in job and "timeout-minutes" in job for job in document["jobs"].values())


@each
def test_actions_are_pinned_by_commit(path: Path) -> None:
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name) for name in used)


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.name)
def test_scripts_hold(path: Path) -> None:
    """Nothing that somebody else may choose is written into a script, and shellcheck has no complaint."""
    for step in steps(path):
        if "run" in step:
            assert "${{" not in step["run"]
            check = [str(TOOLS / "shellcheck"), "--norc", "--shell", "bash", "-"]
            script = f"set -e\n{step['run']}\n"
            done = subprocess.run(check, input=script, capture_output=True, text=True, check=False, timeout=60)
            assert (done.stdout, done.returncode) == ("", 0)


@each
def test_commands_and_files_that_it_names_exist(path: Path) -> None:
    text = "\n".join(step.get("run", "") for step in steps(path))
    named = re.findall(r"(?<![\w./-])((?:tests|scripts|matrices|\.ci)/[\w./-]+)", text)
    named += re.findall(r"(?<=pytest )(tests/\w+)", text)
    assert named
    assert all((ROOT / name).exists() for name in named), named
    for line in re.findall(r"^ *(?:\S+=\$\()?gpuimg (.*)$", text, flags=re.MULTILINE):
        command = re.match(r"(?:matrix )?[a-z]+", line)
        assert command is not None
        form = re.search(r"--format (\w+)", line)
        said = help_of(*command[0].split(), *(["--format", form[1]] if form and command[0] == "export" else []))
        for option in set(re.findall(r"(?<!\S)--[a-z-]+", line)) - {"--format"}:
            assert f"{option} " in said, (command[0], option)


def test_pythons_are_those_that_the_project_names() -> None:
    project = toml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))
    job = read(ROOT / ".github" / "workflows" / "pythons.yml")["jobs"]["unit"]
    assert job["strategy"]["matrix"]["python"] == named


def run_step(workflow: str, name: str, folder: Path, **variables: str) -> str:
    """Run the step of that name, with this gpuimg; gives what it wrote to ``GITHUB_OUTPUT``."""
    (script,) = [step["run"] for step in steps(ROOT / ".github" / "workflows" / workflow) if step.get("name") == name]
    output = folder / "output"
    output.touch()
    environment = {"PATH": f"{TOOLS}:/usr/bin:/bin", "HOME": str(folder), "GITHUB_OUTPUT": str(output), **variables}
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return output.read_text(encoding="utf-8")


def test_images_are_planned_as_specs_that_gpuimg_knows(tmp_path: Path) -> None:
    wanted = {"TORCH": "2.6", "CUDA": "12", "FLAVOR": "serve"}
    name, _, value = run_step("images.yml", "Choose stacks", tmp_path, **wanted).strip().partition("=")
    assert (name, json.loads(value)) == ("specs", ["2.6.0-cu126-serve", "2.6.0-cu124-serve"])
    usual = run_step("images.yml", "Choose stacks", tmp_path, TORCH=">=2.9", FLAVOR="runtime")
    assert 0 < len(json.loads(usual.splitlines()[-1].partition("=")[2])) <= 256
