"""A few diverse contexts as whole folders, for reviewers to read. Refresh them with ``pytest --update-golden``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from gpuimg.matrix import load_matrix
from gpuimg.model import CodeCopy, Context
from gpuimg.pipeline.plan import Settings, make_plan
from gpuimg.pipeline.render import render
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.source.resolve import resolve_exact
from gpuimg.versions import Platform

HERE: Final = Path(__file__).parent
CASES: Final = {
    "runtime": ("2.6-cu124", Settings()),
    "compatible-name": ("2.6-cu121", Settings()),
    "pytorch-index": ("2.6-cu118", Settings()),
    "devel-from-wheels": ("2.13-cu130-devel", Settings()),
    "devel-from-apt": ("2.6-cu124-devel", Settings()),
    "devel-from-image": ("2.5-cu121-devel", Settings()),
    "source-build": ("2.6-cu121 --exact", Settings()),
    "standalone-python": ("2.9-cu128-py314", Settings()),
    "free-threaded": ("2.9-cu128-py313t", Settings()),
    "libraries-bundled": ("2.0-cu118", Settings()),
    "libraries-unknown": ("2.9-cu128", Settings(platform=Platform.ARM64)),
    "jupyter": ("2.13-cu130-jupyter", Settings()),
    "project": (
        "2.6-cu124",
        Settings(
            packages=["libgl1", "ffmpeg"],
            environment={"HF_HOME": "/workspace/.cache/my models", "OMP_NUM_THREADS": "8"},
            workdir="/app",
            command=["python", "train.py"],
            code=[CodeCopy(source=Path("project"), target="/app", files=("model/bert.py", "train.py"), size_bytes=2)],
        ),
    ),
    "serve": ("2.6-cu124-serve", Settings()),
    "arm64-private-index": (
        "2.15-cu132",
        Settings(
            platform=Platform.ARM64,
            base="registry.example.com/base/debian:12",
            extras=["transformers==4.57.6", "datasets"],
            index_url="https://pypi.example.com/simple",
            ca_bundle=b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        ),
    ),
}


def _context(name: str) -> Context:
    spec, wanted = CASES[name]
    matrix = load_matrix()
    spec, exact, _ = spec.partition(" --exact")
    resolution = (resolve_exact if exact else resolve)(parse_spec(spec), matrix)
    return render(make_plan(resolution, matrix, wanted), matrix)


@pytest.mark.parametrize("name", CASES)
def test_context_is_the_committed_one(name: str, request: pytest.FixtureRequest) -> None:
    folder = HERE / name
    context = _context(name)
    if request.config.getoption("--update-golden"):
        shutil.rmtree(folder, ignore_errors=True)
        for file, content in context.files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
    committed = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {file: content.decode() for file, content in committed.items()} == {
        file: content.decode() for file, content in context.files.items()
    }


def test_no_golden_is_left_over() -> None:
    folders = {path.name for path in HERE.iterdir() if (path / "Dockerfile").is_file()}
    assert folders == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_hadolint_passes(name: str) -> None:
    """With the ignores of .hadolint.yaml, each of which has its reason beside it."""
    hadolint = Path(sys.executable).with_name("hadolint")
    config = HERE.parents[1] / ".hadolint.yaml"
    done = subprocess.run(
        [hadolint, "--config", config, HERE / name / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    assert done.returncode == 0
