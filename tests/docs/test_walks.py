"""Each document is walked from top to bottom in one folder: what can be run here is run, and prints what is shown."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.docs import documents, shell
from tests.docs.documents import ROOT
from tests.docs.programs import LOCAL, reason_not_to_run
from tests.docs.shell import Command, Line

_LEFT_OUT: Final = "…"
"""Of a line that is shown, what stands on either side of it is printed."""


def _walk(document: str) -> list[Line]:
    """The lines that can be run. In a block, what follows one that can't be may need what that would have done."""
    walked = []
    for block in documents.blocks(*shell.LANGUAGES):
        if block.document == document:
            for line in shell.lines(block):
                if not all(_can_run(command) for command in line.commands):
                    break
                walked.append(line)
    return walked


def _can_run(command: Command) -> bool:
    return reason_not_to_run(command) is None if command.is_ours else command.words[0] in LOCAL


WALKS: Final = {document: walk for document in documents.documents() if (walk := _walk(document))}


def test_there_is_much_to_walk() -> None:
    assert {"README.md", "docs/guides/own-flavor.md", "docs/guides/own-stack.md"} <= set(WALKS)
    assert sum(len(walk) for walk in WALKS.values()) > 30


@pytest.mark.parametrize("document", WALKS)
def test_it_goes_as_it_is_told(document: str, tmp_path: Path) -> None:
    """In a folder as a checkout is: the documents' examples lie in it."""
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    environment = _environment(tmp_path)
    for line in WALKS[document]:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line.text],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        said = f"{line.where}: {line.text}\n{done.stdout}{done.stderr}"
        is_refused = any(text.startswith("error: ") for text in line.shown)
        assert (done.returncode == 2) if is_refused else (done.returncode == 0), said
        printed = f"{done.stdout}\n{done.stderr}".splitlines()
        for text in line.shown:
            assert any(_fits(text.strip(), each.strip()) for each in printed), f"{text} is not what it prints:\n{said}"


def _fits(shown: str, printed: str) -> bool:
    first, separator, last = shown.partition(_LEFT_OUT)
    return printed.startswith(first) and printed.endswith(last) if separator else printed == shown


def _environment(folder: Path) -> dict[str, str]:
    """That of a reader who has gpuimg on PATH, and no engine."""
    programs = folder / ".programs"
    programs.mkdir()
    (programs / "gpuimg").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gpuimg "$@"\n', encoding="utf-8")
    (programs / "gpuimg").chmod(0o755)
    own = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        "COLUMNS": "500",
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
    }
    return {**os.environ, **own}
