"""From the command line to the files of Apptainer and Slurm: no engine and no cluster is there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gpuimg.cli import app

IMAGE = "registry.example.com/team/train:1"


def exported(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert app.run(["export", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert app.run(["export", *arguments]) == 2
    found = capsys.readouterr()
    assert not found.out
    return found.err


def test_a_spec_becomes_a_definition_file(capsys: pytest.CaptureFixture[str]) -> None:
    text = exported(capsys, "2.6-cu124", "--format", "apptainer", "--repository", "registry.example.com/team/gpuimg")
    assert "\nBootstrap: docker\nFrom: registry.example.com/team/gpuimg:2.6.0-cu124-py311-runtime\n" in text
    assert "    /opt/venv/bin/python -c 'import sys, torch; " in text
    assert text.splitlines()[1] == "# as an Apptainer image for linux/amd64."
    assert "\n    PyTorch 2.6.0+cu124, CUDA 12.4, Python 3.11; flavor runtime.\n" in text


def test_an_image_of_the_engine_becomes_a_definition_file(capsys: pytest.CaptureFixture[str]) -> None:
    text = exported(capsys, "2.6-cu124", "--format", "apptainer", "--from-engine", "-e", "A=1", "--", "echo", "a b")
    assert "\nBootstrap: docker-daemon\nFrom: gpuimg:2.6.0-cu124-py311-runtime\n" in text
    assert "    export A=1\n" in text
    assert "    exec echo 'a b'\n" in text


def test_a_name_that_no_registry_has_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--format", "apptainer"], ["--format", "slurm", "--container", "pyxis", "--", "true"]):
        assert app.run(["export", "2.6-cu124", *arguments]) == 0
        assert "warning: no registry has `gpuimg:2.6.0-cu124-py311-runtime`" in capsys.readouterr().err


def test_a_file_is_written_and_bash_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "train.sbatch"
    options = [
        "--nodes",
        "2",
        "--gpus-per-node",
        "8",
        "--memory",
        "512g",
        "--signal",
        "120",
        "-e",
        "HF_TOKEN",
        "-o",
        str(file),
    ]
    assert app.run(["export", IMAGE, "--format", "slurm", *options, "--", "python", "train.py", "--lr", "1"]) == 0
    text = file.read_text(encoding="utf-8")
    assert "#SBATCH --mem=512G\n" in text
    assert "#SBATCH --cpus-per-task=64\n" in text
    assert "#SBATCH --signal=TERM@120\n" in text
    assert "command=(python train.py --lr 1)\n" in text
    assert "passed=(PYTHONNOUSERSITE HF_HOME TORCH_HOME HF_TOKEN" in text
    subprocess.run(["bash", "-n", str(file)], check=True, timeout=30)


def test_the_project_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        "schema: 1",
        "name: bert",
        "repository: registry.example.com/team/bert",
        "spec: 2.6-cu124",
        "code: .",
        "workdir: /app",
    ]
    (tmp_path / "gpuimg.yaml").write_text("\n".join([*lines, "command: [python, train.py]", ""]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    text = exported(capsys, "--format", "apptainer")
    assert "\nFrom: registry.example.com/team/bert:latest\n" in text
    assert " --pwd /app bert_latest.sif" in text
    assert "command=(python train.py)\n" in exported(capsys, "--format", "slurm")


def test_a_template_of_the_users_takes_the_place_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "job.sbatch.j2").write_text(
        "#!/bin/sh\n{{ command | map('shell') | join(' ') }}\n", encoding="utf-8"
    )
    text = exported(capsys, IMAGE, "--format", "slurm", "--template-dir", str(tmp_path), "--", "echo", "a b")
    assert text == "#!/bin/sh\necho 'a b'\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "slurm"], "a job needs a command"),
        (["--format", "slurm", "--gpus-per-node", "2", "--", "torchrun", "a.py"], "the script starts torchrun itself"),
        (
            ["--format", "slurm", "--container", "docker", "--", "true"],
            "--container is apptainer or pyxis, not `docker`",
        ),
        (["--format", "slurm", "--sqsh", "a.sqsh", "--", "true"], "--sqsh is a file for pyxis"),
        (
            ["--format", "slurm", "--container", "pyxis", "--sif", "a.sif", "--", "true"],
            "--sif is a file for apptainer",
        ),
        (["--format", "slurm", "--memory", "much", "--", "true"], "`much` is not a size"),
        (["--format", "slurm", "-e", "HF_TOKEN=x", "--", "true"], "HF_TOKEN looks like a secret"),
        (["--format", "slurm", "-e", "A=1", "-e", "A", "--", "true"], "A was given twice"),
        (["--format", "slurm", "-e", "P=http://u@proxy:1", "--", "true"], "P has a URL with a user name or password"),
        (["--format", "slurm", "-v", "/scratch:/usr", "--", "true"], "a mount on /usr would hide"),
        (["--format", "apptainer", "-e", "A=1", "-e", "A=2"], "A was given twice"),
        (
            ["--format", "slurm", "--name", "a\n#SBATCH --uid=0\x1b[2J", "--", "true"],
            r"`a\n#SBATCH --uid=0\x1b[2J` is no name",
        ),
        (["--format", "slurm", "--", "echo", "a\nb"], r"`a\nb` has control characters"),
        (["--format", "apptainer", "-e", "HF_TOKEN"], "HF_TOKEN has no value"),
        (["--format", "apptainer", "--", "a\n%post\nid"], r"`a\n%post\nid` has control characters"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(capsys, IMAGE, *arguments)
    assert message in error
    assert "hint:" in error
    assert "\x1b" not in error


def test_a_bare_folder_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Same request, same bytes, wherever it is made."""
    here = exported(capsys, IMAGE, "--format", "slurm", "--", "true")
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert exported(capsys, IMAGE, "--format", "slurm", "--", "true") == here
    finally:
        os.chdir(before)
    assert str(tmp_path) not in here
