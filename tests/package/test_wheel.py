"""What the wheel and the sdist hold, and that both are the checkout's."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.package.conftest import ROOT, Distributions


def test_the_wheel_holds_templates_matrices_and_the_guest(distributions: Distributions) -> None:
    names = set(zipfile.ZipFile(distributions.wheel).namelist())
    for folder in ("matrices", "templates"):
        committed = {f"gpuimg/data/{path.relative_to(ROOT)}" for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert committed <= names
    assert "gpuimg/smoke/guest/__main__.py" in names
    assert "gpuimg/py.typed" in names
    assert [name for name in names if name.endswith("/share/man/man1/gpuimg.1")]
    assert not [name for name in names if name.startswith(("tests/", "bench/", "scripts/"))]


def test_the_sdist_is_the_whole_checkout(distributions: Distributions) -> None:
    """Who packages gpuimg for a distribution runs its tests from it, and builds its documents."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], check=False, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("these files are no git checkout")
    with tarfile.open(distributions.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    committed = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    assert committed <= names


def test_sdist_and_checkout_build_the_same_wheel(
    distributions: Distributions, tmp_path: Path, environment: Mapping[str, str]
) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == distributions.wheel.name
    assert _contents(wheel) == _contents(distributions.wheel)


def _contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
