"""``gpuimg run --print`` on a machine that a folder with programs stands for. No engine is there."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from tests.cli.test_snapshots import GPUIMG, NO_ENGINE


def _run(tmp_path: Path, *arguments: str, smi: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command in a folder of somebody's, with an nvidia-smi that prints `smi`."""
    programs, folder = tmp_path / "bin", tmp_path / "home" / "my project"
    programs.mkdir(exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    if smi is not None:
        (programs / "nvidia-smi").write_text(f"#!/bin/sh\necho {shlex.quote(smi)}\n", encoding="utf-8")
        (programs / "nvidia-smi").chmod(0o755)
    own = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path / "home"), "DOCKER_HOST": NO_ENGINE}
    return subprocess.run(
        [GPUIMG, "run", *arguments, "--print"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**own, "LANG": "C.UTF-8", "NO_COLOR": "1", "COLUMNS": "100", **environ},
    )


def test_a_driver_that_is_too_old_is_told_before_anything_is_pulled(tmp_path: Path) -> None:
    image = "registry.example.com/team/gpuimg:2.13.0-cu130"
    smi = "0, GPU-1, NVIDIA H100 80GB HBM3, 81559, 525.60.13, 9.0"
    done = _run(tmp_path, image, smi=smi)
    assert done.returncode == 3
    assert "driver 525.60.13 is below 580" in done.stderr
    assert "CUDA 13 needs" in done.stderr
    assert done.stdout == ""
    named_otherwise = _run(tmp_path, "registry.example.com/team/gpuimg:2.13-cu130-lab", smi=smi)
    assert "is below 580" in named_otherwise.stderr, "the flavor says nothing of the driver"
    forced = _run(tmp_path, image, "--force", smi=smi)
    assert forced.returncode == 0
    assert "--gpus all" in forced.stdout


def test_print_makes_no_folder_and_says_which_the_command_wants(tmp_path: Path) -> None:
    done = _run(tmp_path, "2.6-cu124")
    assert done.returncode == 0, done.stderr
    words = shlex.split(done.stdout)
    assert f"type=bind,source={tmp_path}/home/my project,target=/workspace" in words
    cache = tmp_path / "home" / ".cache" / "huggingface"
    assert f"type=bind,source={cache},target=/cache/huggingface" in words
    assert f"mkdir -p {cache}" in done.stderr
    assert not cache.exists()


def test_a_token_is_never_shown(tmp_path: Path) -> None:
    done = _run(tmp_path, "registry.example.com/gpuimg:2.6-cu124-jupyter", JUPYTER_TOKEN="hush")
    assert "--env JUPYTER_TOKEN " in done.stdout
    assert "127.0.0.1:" in done.stdout
    assert "hush" not in done.stdout + done.stderr


_PROJECT = """\
schema: 1
name: bert
spec: 2.6-cu124
code: .
command: [python, train.py]
"""


def test_without_a_name_it_is_the_image_of_the_project_in_its_own_folder(tmp_path: Path) -> None:
    """The image has its program in a folder of its own: /workspace would run another, or none."""
    folder = tmp_path / "home" / "my project"
    folder.mkdir(parents=True)
    (folder / "gpuimg.yaml").write_text(_PROJECT, encoding="utf-8")
    for named in ((), ("bert",)):
        done = _run(tmp_path, *named)
        assert done.returncode == 0, done.stderr
        words = shlex.split(done.stdout)
        assert words[-1] == "bert:latest"
        assert f"type=bind,source={folder},target=/workspace" in words
        assert "--workdir" not in words
    commanded = _run(tmp_path, "--print", "--", "python", "a.py", "--")
    assert shlex.split(commanded.stdout)[-5:] == ["bert:latest", "python", "a.py", "--", "--print"]
    another = shlex.split(_run(tmp_path, "debian:12").stdout)
    assert (another[-1], another[another.index("--workdir") + 1]) == ("debian:12", "/workspace")


def test_without_a_name_and_a_project_it_says_what_to_do(tmp_path: Path) -> None:
    done = _run(tmp_path)
    assert done.returncode == 2
    assert "no image was named, and there is no project file here" in done.stderr
    assert "`gpuimg run 2.6-cu124`" in done.stderr


def test_of_several_images_one_has_to_be_named(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "my project"
    folder.mkdir(parents=True)
    (folder / "gpuimg.yaml").write_text(_PROJECT + "images:\n  train: {}\n  serve: {flavor: serve}\n", encoding="utf-8")
    done = _run(tmp_path)
    assert done.returncode == 2
    assert "has several images: train, serve" in done.stderr
    assert shlex.split(_run(tmp_path, "serve").stdout)[-1] == "bert:serve"
