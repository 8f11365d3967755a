"""Commands in documents are commands, and the command line takes each."""

from __future__ import annotations

from typing import Final

import pytest

from tests.docs import documents, shell
from tests.docs.commandline import refusal
from tests.docs.documents import ROOT
from tests.docs.programs import LOCAL, PROGRAMS
from tests.docs.shell import Command

LINES: Final = [line for block in documents.blocks(*shell.LANGUAGES) for line in shell.lines(block)]
COMMANDS: Final = [command for line in LINES for command in line.commands]
OURS: Final = [command for command in COMMANDS if command.is_ours]
CHINESE: Final = "README.zh-CN.md"


def test_there_are_commands() -> None:
    assert len(OURS) > 40


@pytest.mark.parametrize("command", OURS, ids=str)
def test_the_command_line_takes_it(command: Command) -> None:
    assert refusal(command.arguments) is None


def test_other_programs_are_known_or_ours() -> None:
    """A program that nobody expects is a slip of the pen, or deserves a line in the table."""
    for command in COMMANDS:
        program = command.words[0]
        if not command.is_ours:
            assert program in PROGRAMS or program in LOCAL or (ROOT / program).is_file(), command


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
