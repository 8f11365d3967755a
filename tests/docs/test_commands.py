"""Commands in documents are commands: the command line takes each, and those that need nothing are run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from gpuimg.errors import RequestError
from tests.docs import documents, shell
from tests.docs.commandline import refusal
from tests.docs.documents import ROOT
from tests.docs.programs import PROGRAMS, reason_not_to_run, stage
from tests.docs.shell import Command

COMMANDS: Final = [command for block in documents.blocks(*shell.LANGUAGES) for command in shell.commands(block)]
OURS: Final = [command for command in COMMANDS if command.is_ours]
RUNNABLE: Final = [command for command in OURS if reason_not_to_run(command) is None]
CHINESE: Final = "README.zh-CN.md"


def test_there_are_commands() -> None:
    assert len(OURS) > 40
    assert len({command.arguments for command in RUNNABLE}) > 10


@pytest.mark.parametrize("command", OURS, ids=str)
def test_the_command_line_takes_it(command: Command) -> None:
    assert refusal(command.arguments) is None


@pytest.mark.parametrize("command", list({command.words: command for command in RUNNABLE}.values()), ids=str)
def test_it_does_what_it_says(command: Command, tmp_path: Path) -> None:
    """In an empty folder, or in the one that the document is about. Where an error is shown, it is that one."""
    stage(command, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "gpuimg", *command.arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock"},
        stdin=subprocess.DEVNULL,
    )
    if command.shown.startswith("error: "):
        assert done.returncode == RequestError.exit_code
        assert done.stderr.split() == command.shown.split()
    else:
        assert done.returncode == 0, done.stderr


def test_other_programs_are_known_or_ours() -> None:
    """A program that nobody expects is a slip of the pen, or deserves a line in the table."""
    for command in COMMANDS:
        program = command.words[0]
        if not command.is_ours:
            assert program in PROGRAMS or (ROOT / program).is_file(), command


def test_the_chinese_readme_has_no_command_of_its_own() -> None:
    """It is shorter, and says the same."""
    english = {command.words for command in COMMANDS if command.where.startswith("README.md:")}
    chinese = {command.words for command in COMMANDS if command.where.startswith(CHINESE)}
    assert chinese
    assert chinese <= english


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build", "2.6-cu124", "--pyton", "3.11"], "--pyton"),
        (["bild", "2.6"], "bild"),
        (["why"], "SPEC"),
        (["matrix", "list", "--nothing"], "--nothing"),
        (["export", "2.6-cu124", "--format", "k8s", "--smoke", "--node", "4"], "--node"),
        (["verify", "--jobs", "many"], "--jobs"),
        (["matrix"], "Usage: gpuimg matrix"),
    ],
)
def test_a_command_that_is_none_is_refused(arguments: list[str], said: str) -> None:
    """What the tests above rest on."""
    assert said in (refusal(arguments) or "")
