"""The manual page is what the command line says, and troff takes it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

import pytest

from docs.ext.commandline import read_command_line
from docs.ext.manpage import ENVIRONMENT, man_page
from tests.docs.documents import ROOT
from tests.golden_file import Golden

PAGE: Final = ROOT / "docs" / "man" / "gpuimg.1"


def test_the_committed_page_is_what_the_command_line_says(golden: Golden) -> None:
    """It is committed because a wheel is built where gpuimg's own dependencies are not."""
    golden(man_page(), PAGE)


def test_it_is_ascii_in_lines_that_terminals_and_diffs_can_show() -> None:
    text = man_page()
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 120


def test_it_has_every_command_and_option() -> None:
    text = man_page().replace("\\-", "-")
    for command in read_command_line().walk():
        assert command.path in text
        for option in command.options:
            assert all(f"\\fB{name}\\fR" in text for name in option.names)


def test_groff_takes_it() -> None:
    printed = run(["groff", "-man", "-Tutf8", "-ww", str(PAGE)])
    assert "--gpus-per-image" in re.sub(r"\x1b\[[0-9;]*m|.\x08", "", printed)


def test_mandoc_has_nothing_to_say() -> None:
    """But for the date, which would change with no word of the page."""
    found = run(["mandoc", "-T", "lint", "-W", "style", str(PAGE)], allowed=(0, 1, 2))
    complaints = [line for line in found.splitlines() if "missing date" not in line]
    assert not complaints


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_the_variables_that_it_names_are_read(name: str) -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "gpuimg").rglob("*.py"))
    assert any(name in text or name.lower() in text for text in sources)


def run(command: Sequence[str], *, allowed: Sequence[int] = (0,)) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode in allowed, done.stderr
    assert not done.stderr
    return done.stdout
