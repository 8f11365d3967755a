"""The built wheel, installed where no checkout is: what an editable install would hide shows here."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Wheel and sdist; the wheel is built from the sdist, so the sdist has all that it takes."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True, capture_output=True, env=_environment()
    )
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def installed(distributions: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that has the wheel and its dependencies, and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    subprocess.run(
        [programs / "python", "-m", "pip", "install", "--quiet", distributions[0]],
        check=True,
        capture_output=True,
        env=_environment(),
    )
    return programs


def test_the_wheel_holds_templates_matrices_and_the_guest(distributions: tuple[Path, Path]) -> None:
    names = set(zipfile.ZipFile(distributions[0]).namelist())
    for folder in ("matrices", "templates"):
        committed = {f"gpuimg/data/{path.relative_to(ROOT)}" for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert committed <= names
    assert "gpuimg/smoke/guest/__main__.py" in names
    assert "gpuimg/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "bench/", "scripts/"))]


def test_the_sdist_holds_what_the_wheel_is_built_from(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "matrices/torch.yaml", "templates/Dockerfile.j2"} <= names


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--version"], "gpuimg "),
        (["render", "2.6-cu121"], "FROM debian:bookworm-slim"),
        (["matrix", "list"], "2.6.0-cu124"),
        (["why", "2.6"], "2.6.0-cu126"),
    ],
)
def test_commands_work_without_checkout_and_engine(
    installed: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    done = subprocess.run(
        [installed / "gpuimg", *arguments], capture_output=True, text=True, check=True, cwd=tmp_path, env=_environment()
    )
    assert expected in done.stdout


def test_the_installed_files_hold(installed: Path, tmp_path: Path) -> None:
    subprocess.run([installed / "gpuimg", "matrix", "validate"], check=True, cwd=tmp_path, env=_environment())


def test_both_render_the_same_bytes(installed: Path, tmp_path: Path) -> None:
    """Checkout and wheel read the same data."""
    here = Path(sys.executable).with_name("gpuimg")
    outputs = {
        subprocess.run(
            [program, "render", "2.9-cu128-devel"], capture_output=True, check=True, cwd=tmp_path, env=_environment()
        ).stdout
        for program in (installed / "gpuimg", here)
    }
    assert len(outputs) == 1


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
