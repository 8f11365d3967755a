"""The action's script builds and checks a real image. No registry is there: a docker that only notes takes the push.

The layers are those of other tests' images, and few checks run: what the script does of a report is the matter here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import docker

from gpuimg.report import as_json
from gpuimg.versions import PythonVersion
from tests.engine.commands import GPUIMG

ROOT: Final = Path(__file__).parents[2]
REPOSITORY: Final = "gpuimg-test/action"
PROJECT: Final = """\
schema: 1
name: action
spec: 2.6-cu124
tags: [latest, "2026"]
smoke:
  mode: quick
  only: [stack, host.gpu]
"""
DOCKER: Final = '#!/bin/sh\nif [ "$1" = push ]; then echo "$@" >> "$RUNNER_TEMP/pushed"; else exit 1; fi\n'


def test_an_image_is_built_checked_and_told(
    engine_client: docker.DockerClient,
    base_image: str,
    wheel_index_url: Callable[..., str],
    build_network: str | None,
    tmp_path: Path,
) -> None:
    programs, stand_ins = tmp_path / "gpuimg" / "bin", tmp_path / "bin"
    for folder in (programs, stand_ins):
        folder.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "gpuimg").symlink_to(GPUIMG)
    (stand_ins / "docker").write_text(DOCKER, encoding="utf-8")
    (stand_ins / "docker").chmod(0o755)
    index = wheel_index_url("2.6.0-cu124", python=PythonVersion(3, 11))
    (tmp_path / "gpuimg.yaml").write_text(PROJECT, encoding="utf-8")
    options = [f"--base={base_image}", f"--index-url={index}"]
    options += [f"--build-network={build_network}"] if build_network else []
    done = subprocess.run(
        [ROOT / "scripts" / "action"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{stand_ins}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "SPEC": "",
            "REPOSITORY": REPOSITORY,
            "GPUS": "none",
            "PUSH": "true",
            "OPTIONS": "\n".join(options),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr
    tags = [f"{REPOSITORY}:latest", f"{REPOSITORY}:2026"]
    assert (tmp_path / "output").read_text(encoding="utf-8").splitlines() == [
        f"report={tmp_path}/gpuimg-reports/report.json",
        f"image={tags[0]}",
        "tags<<end-of-tags",
        *tags,
        "end-of-tags",
    ]
    (report,) = as_json.loads((tmp_path / "gpuimg-reports" / "report.json").read_text(encoding="utf-8"))
    assert report.image is not None
    assert list(report.image.tags) == tags
    assert not report.failed
    assert {check.group for check in report.checks} == {"stack", "host"}
    assert {engine_client.images.get(tag).id for tag in tags} == {report.image.id}
    assert (tmp_path / "pushed").read_text(encoding="utf-8").splitlines() == [f"push --quiet {tag}" for tag in tags]
