"""Wheel and sdist, built once for all tests, and the environment that they are used in: not this one's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[2]


class Distributions(NamedTuple):
    """What is published."""

    wheel: Path
    """Built from the sdist, so that the sdist has all that it takes."""
    sdist: Path


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """No Python is set up in it, and no engine answers."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return {**kept, "DOCKER_HOST": f"unix://{tmp_path_factory.mktemp('engine')}/none.sock"}


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory, environment: Mapping[str, str]) -> Distributions:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return Distributions(wheel=next(folder.glob("*.whl")), sdist=next(folder.glob("*.tar.gz")))
