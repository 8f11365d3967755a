"""The built wheel, installed where no checkout and no engine is: what an editable install would hide shows here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.package.conftest import ROOT, Distributions

PYTHONS: Final = ("3.10", "3.11", "3.12", "3.13", "3.14")
UV: Final = [sys.executable, "-m", "uv"]


@pytest.fixture(scope="session")
def installed(
    distributions: Distributions, tmp_path_factory: pytest.TempPathFactory, environment: Mapping[str, str]
) -> Path:
    """The folder of programs of an environment that has the wheel and its dependencies, and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    run([sys.executable, "-m", "venv", folder], environment)
    run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", distributions.wheel], environment)
    return folder / "bin"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--version"], "gpuimg "),
        (["render", "2.6-cu121"], "FROM debian:bookworm-slim"),
        (["matrix", "list"], "2.6.0-cu124"),
        (["why", "2.6"], "2.6.0-cu126"),
        (["export", "2.6-cu124", "--format", "apptainer"], "From: "),
        (["init", "--schema"], '"$schema"'),
    ],
)
def test_what_needs_no_engine_needs_none(
    installed: Path, tmp_path: Path, environment: Mapping[str, str], arguments: list[str], expected: str
) -> None:
    assert expected in run([installed / "gpuimg", *arguments], environment, cwd=tmp_path)
    as_module = run([installed / "python", "-m", "gpuimg", *arguments], environment, cwd=tmp_path)
    assert expected in as_module


def test_the_installed_files_hold(installed: Path, tmp_path: Path, environment: Mapping[str, str]) -> None:
    run([installed / "gpuimg", "matrix", "validate"], environment, cwd=tmp_path)


def test_both_render_the_same_bytes(installed: Path, tmp_path: Path, environment: Mapping[str, str]) -> None:
    """Checkout and wheel read the same data."""
    here = [sys.executable, "-m", "gpuimg"]
    outputs = {
        run([*program, "render", "2.9-cu128-devel"], environment, cwd=tmp_path)
        for program in ([installed / "gpuimg"], here)
    }
    assert len(outputs) == 1


def test_the_library_is_typed(installed: Path, tmp_path: Path, environment: Mapping[str, str]) -> None:
    """mypy reads the installed package, as a user's would."""
    program = tmp_path / "program.py"
    program.write_text(
        "from gpuimg import plan, render\n"
        "reveal_type(render(plan('2.6-cu124', flavor='devel')).files)\n"
        "plan('2.6-cu124', flavour='devel')\n"
        "import gpuimg\n"
        "gpuimg.biuld()\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(installed / "python"), str(program)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert 'Revealed type is "typing.Mapping[str, bytes]"' in done.stdout.replace("builtins.", ""), done.stdout
    assert 'Unexpected keyword argument "flavour" for "plan"' in done.stdout
    assert 'Module has no attribute "biuld"' in done.stdout
    assert done.stdout.count("error:") == 2


def test_uv_installs_it_as_a_tool(distributions: Distributions, tmp_path: Path, environment: Mapping[str, str]) -> None:
    own = {**environment, "UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    run([*UV, "tool", "install", "--python", sys.executable, distributions.wheel], own)
    _holds([tmp_path / "bin" / "gpuimg"], own, tmp_path)


def test_uvx_runs_it_without_installing_it(
    distributions: Distributions, tmp_path: Path, environment: Mapping[str, str]
) -> None:
    command = [*UV, "tool", "run", "--quiet", "--python", sys.executable, "--from", distributions.wheel, "gpuimg"]
    _holds(command, {**environment, "UV_TOOL_DIR": str(tmp_path / "tools")}, tmp_path)


def test_pipx_installs_it(distributions: Distributions, tmp_path: Path, environment: Mapping[str, str]) -> None:
    own = {**environment, "PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    run([sys.executable, "-m", "pipx", "install", "--python", sys.executable, distributions.wheel], own)
    _holds([tmp_path / "bin" / "gpuimg"], own, tmp_path)


@pytest.mark.parametrize("version", PYTHONS)
def test_every_module_imports_on(
    version: str, distributions: Distributions, tmp_path: Path, environment: Mapping[str, str]
) -> None:
    """Each Python that this machine has; warnings are errors. CI's workflow has them all."""
    find = [*UV, "python", "find", "--no-python-downloads", "--no-project", "--system", version]
    found = subprocess.run(find, check=False, capture_output=True, text=True, env=environment)
    if found.returncode:
        pytest.skip(f"there is no Python {version} on this machine")
    python = tmp_path / "environment" / "bin" / "python"
    run([*UV, "venv", "--quiet", "--python", found.stdout.strip(), python.parents[1]], environment)
    run([*UV, "pip", "install", "--quiet", "--python", python, distributions.wheel], environment)
    _holds([python, "-m", "gpuimg"], environment, tmp_path)
    code = (
        "import importlib, pkgutil, gpuimg\n"
        "names = [module.name for module in pkgutil.walk_packages(gpuimg.__path__, 'gpuimg.')]\n"
        "own = [name for name in names if '__main__' not in name and '.guest' not in name]\n"
        "print(len([importlib.import_module(name) for name in own]))\n"
    )
    assert int(run([python, "-W", "error", "-c", code], environment, cwd=tmp_path)) > 200


def _holds(program: Sequence[object], environment: Mapping[str, str], folder: Path) -> None:
    """It starts, and has templates and matrices."""
    assert run([*program, "--version"], environment, cwd=folder).startswith("gpuimg ")
    assert "FROM debian:bookworm-slim" in run([*program, "render", "2.6-cu124"], environment, cwd=folder)


def run(command: Sequence[object], environment: Mapping[str, str], *, cwd: Path | None = None) -> str:
    """What it prints; a command that fails fails the test, with what it said."""
    done = subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True, env=environment, cwd=cwd
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("version", PYTHONS)
def test_the_development_tools_can_be_had_on(version: str, environment: Mapping[str, str]) -> None:
    """`scripts/test` installs them by these constraints, with the first patch releases of a Python too."""
    command = [*UV, "pip", "compile", "--quiet", "--python-version", f"{version}.0", "--group", "dev"]
    constraints = ["--constraint", ROOT / "scripts" / "constraints.txt"]
    found = run([*command, *constraints, ROOT / "pyproject.toml"], environment)
    assert "pytest==" in found
