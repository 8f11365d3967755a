"""What guides say of gpuimg's own names and files: that checks exist, that files are shown as they are."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path
from typing import Final

import pytest

from gpuimg.doctor.registry import CHECKS as HOST_CHECKS
from gpuimg.smoke.guest.registry import CHECKS as IMAGE_CHECKS
from tests.docs import documents, shell
from tests.docs.documents import ROOT

GUIDES: Final = [document for document in documents.documents() if document.startswith("docs/guides/")]
EXAMPLES: Final = ROOT / "docs" / "examples"
COMMANDS: Final = [command for block in documents.blocks(*shell.LANGUAGES) for command in shell.commands(block)]


def test_each_trouble_names_a_check_that_looks_for_it() -> None:
    """One of the host, or one from inside: a page that doesn't say how something is seen helps nobody."""
    page = "docs/guides/troubleshooting.md"
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    begins = [number for number, line in enumerate(lines, start=1) if line.startswith("## ")]
    assert len(begins) > 10
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        asked = [
            command
            for command in COMMANDS
            if command.where.startswith(f"{page}:") and begin < int(command.where.rpartition(":")[2]) < end
        ]
        assert any("--only" in command.words for command in asked if command.is_ours), lines[begin - 1]


@pytest.mark.parametrize("command", [command for command in COMMANDS if "--only" in command.words], ids=str)
def test_checks_that_are_asked_for_exist(command: shell.Command) -> None:
    """A check of the host by its name; of images a check, a group or a glob."""
    groups = {check.group for check in IMAGE_CHECKS.values()}
    known = list(HOST_CHECKS) if command.arguments[0] == "doctor" else [*IMAGE_CHECKS, *groups]
    asked = [command.words[place + 1] for place, word in enumerate(command.words) if word == "--only"]
    assert all(fnmatch.filter(known, name) for name in asked)


@pytest.mark.parametrize(
    "file",
    [
        "own-flavor/matrix/flavors.yaml",
        "own-flavor/templates/files/board/board",
        "own-flavor/templates/flavors/board.j2",
        "own-stack/matrix/wheels/2.6.0-cu124.yaml",
    ],
)
def test_files_are_shown_as_they_are(file: str) -> None:
    """Whole but for the comment at the head; of the large one what differs from ours."""
    page = f"docs/guides/{Path(file).parts[0]}.md"
    text = (EXAMPLES / file).read_text(encoding="utf-8")
    shown = [block.text for block in documents.blocks() if block.document == page and block.text in text]
    assert max(map(len, shown), default=0) > 100


@pytest.mark.parametrize("guide", GUIDES)
def test_another_page_leads_to_it(guide: str) -> None:
    targets = {
        link.target.partition("#")[0]
        for document in documents.documents()
        if document != guide
        for link in documents.links(document)
    }
    assert any(re.search(rf"(^|/){re.escape(Path(guide).name)}$", target) for target in targets)


def test_the_readme_counts_the_checks() -> None:
    assert f"runs {len(IMAGE_CHECKS)} checks" in (ROOT / "README.md").read_text(encoding="utf-8")
