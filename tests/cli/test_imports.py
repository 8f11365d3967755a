"""A command imports what it needs and nothing else: that is most of the time that it takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from gpuimg.cli import app

ENGINE: Final = {"docker", "requests", "urllib3", "rich", "google.protobuf"}
CHECKS: Final = {"yaml", "jsonschema", "referencing", "attr"}
"""What checks a matrix file; not needed for one that has been checked."""
TEMPLATES: Final = {"jinja2", "markupsafe"}
OURS: Final = {"gpuimg.engine", "gpuimg.smoke.host", "gpuimg.report", "gpuimg.update", "gpuimg.cli.build"}
READ: Final = ENGINE | CHECKS | OURS

NOT_NEEDED: Final = {
    "--help": READ | TEMPLATES | {"packaging", "json", "hashlib", "gpuimg.matrix", "gpuimg.model", "gpuimg.cli.render"},
    "--version": READ | TEMPLATES | {"packaging", "json", "hashlib", "gpuimg.matrix", "gpuimg.model"},
    "matrix --help": READ | TEMPLATES | {"gpuimg.matrix", "gpuimg.model"},
    "build --help": ENGINE | CHECKS | TEMPLATES | {"gpuimg.engine", "gpuimg.smoke.host", "gpuimg.matrix"},
    "doctor --help": READ | TEMPLATES | {"gpuimg.matrix", "gpuimg.doctor", "gpuimg.machine"},
    "export --help": READ | TEMPLATES | {"gpuimg.matrix", "gpuimg.export"},
    "run --help": READ | TEMPLATES | {"gpuimg.matrix", "gpuimg.launch"},
    "report --help": READ | TEMPLATES | {"gpuimg.matrix"},
    "why 2.6-cu121": READ | TEMPLATES,
    "matrix list": READ | TEMPLATES,
    "matrix show 2.6-cu124": READ | TEMPLATES,
    "render 2.6-cu124": READ,
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that each of the commands has filled before."""
    folder = tmp_path_factory.mktemp("cache")
    for command in NOT_NEEDED:
        _imported(command, cache=folder)
    return folder


@pytest.mark.parametrize("command", NOT_NEEDED)
def test_a_command_imports_only_what_it_needs(command: str, cache: Path) -> None:
    imported = _imported(command, cache=cache)
    assert "gpuimg.cli.app" in imported
    assert not {name for name in NOT_NEEDED[command] if name in imported}


def test_a_file_that_nobody_checked_is_checked(tmp_path: Path) -> None:
    """What the test above rests on: these are the names of what checks."""
    assert _imported("matrix list", cache=tmp_path) >= CHECKS


@pytest.mark.parametrize("name", app.COMMANDS)
def test_the_list_of_commands_says_what_each_says_itself(name: str) -> None:
    """The list is told without asking the commands."""
    done = subprocess.run(
        [sys.executable, "-m", "gpuimg", name, "--help"], capture_output=True, text=True, check=True, env=_environment()
    )
    usage, said, *_ = (line.strip() for line in done.stdout.splitlines() if line.strip())
    assert usage.startswith(f"Usage: gpuimg {name} ")
    assert said == app.COMMANDS[name]


def test_the_lists_of_commands_are_whole_at_80_columns() -> None:
    """What is cut ends in dots."""
    for command in ("", "export", "matrix", "report"):
        done = subprocess.run(
            [sys.executable, "-m", "gpuimg", *command.split(), "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**_environment(), "COLUMNS": "80"},
        )
        assert "..." not in done.stdout.partition("Commands:")[2]


def _imported(command: str, *, cache: Path) -> set[str]:
    """The modules that the interpreter says it imported, and their packages."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gpuimg", *command.split()],
        capture_output=True,
        text=True,
        check=False,
        env={**_environment(), "XDG_CACHE_HOME": str(cache)},
    )
    assert "import time:" in done.stderr
    assert done.returncode == 0, done.stdout
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "COLUMNS": "100"}
