"""``gpuimg run`` with rows of a user's own, on an engine that is asked for the image first."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.unit.loopback_engine import loopback_engine

_FLAVOR = """\
schema: 1
flavors:
- name: board
  summary: runtime with a server of ours.
  packages: [ca-certificates]
  toolkit: false
  compiles: false
  ports: [6006]
"""


def _run(folder: Path, images: Mapping[str, Mapping[str, str]]) -> subprocess.CompletedProcess[str]:
    (folder / "flavors.yaml").write_text(_FLAVOR, encoding="utf-8")
    with loopback_engine({name: ("python", labels) for name, labels in images.items()}) as engine:
        return subprocess.run(
            [sys.executable, "-m", "gpuimg", "run", "2.6-cu124-board", "--matrix-dir", str(folder), "--print"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **engine.environ, "HOME": str(folder), "NO_COLOR": "1"},
            timeout=120,
        )


def test_a_flavor_of_ones_own_that_was_not_built_is_planned_with_the_users_rows(tmp_path: Path) -> None:
    done = _run(tmp_path, {})
    assert done.returncode == 0, done.stderr
    assert "no image of 2.6.0-cu124 was built here" in done.stderr
    assert done.stdout.split()[-1] == "gpuimg:2.6.0-cu124-py311-board"
    assert "--publish 127.0.0.1:6006:6006" in done.stdout


def test_one_that_was_built_is_found_by_its_labels(tmp_path: Path) -> None:
    labels = {"stack": "2.6.0-cu124", "torch": "2.6.0+cu124", "cuda": "12.4", "flavor": "board"}
    done = _run(tmp_path, {"acme/board:1": {f"io.gpuimg.{name}": text for name, text in labels.items()}})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "acme/board:1"
