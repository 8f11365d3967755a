"""What the pages for users say can be typed: commands and options that exist, files as they are, links that lead on."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer
import typer.main
import yaml

from gpuimg.cli.app import app
from gpuimg.doctor.registry import CHECKS as HOST_CHECKS
from gpuimg.smoke.guest.registry import CHECKS as IMAGE_CHECKS

_ROOT: Final = Path(__file__).parents[2]
_GUIDES: Final = sorted((_ROOT / "docs" / "guides").glob("*.md"))
_PAGES: Final = (
    *_GUIDES,
    *(_ROOT / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md")),
)
_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
by_page: Final = pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)


def _blocks(page: Path, *languages: str) -> Iterator[str]:
    for language, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language in languages:
            yield text


def _commands(text: str) -> Iterator[list[str]]:
    """The words of each `gpuimg` command: `text` is what stands in a block, where prompts begin with ``$``."""
    joined = re.sub(r"(\\|\|)\n *", lambda end: "" if end[1] == "\\" else "| ", text)
    for line in joined.splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True) if line.startswith("$ ") else []
        while words:
            end = next((place for place, word in enumerate(words) if word in {"|", ">", "&", "&&"}), len(words))
            command, words = words[:end], words[end + 1 :]
            while command and re.fullmatch(r"[A-Z_]+=.*", command[0]):
                del command[0]
            if command[:1] == ["gpuimg"]:
                yield command[1:]


def _resolve(words: list[str]) -> tuple[Any, list[str]]:
    """The command that `words` name, and the words that are left for it. Fails where there is none."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "resolve_command"):
        if command.name == "export":
            place = words.index("--format")
            words = [words[place + 1], *words[:place], *words[place + 2 :]]
        _, command, words = command.resolve_command(typer.Context(command), words)
    return command, words


@by_page
def test_commands_and_options_exist(page: Path) -> None:
    for block in _blocks(page, "console"):
        for words in _commands(block):
            command, rest = _resolve(words)
            known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {"--help"}
            given = rest[: rest.index("--")] if "--" in rest else rest
            options = {word.partition("=")[0] for word in given if re.match(r"--?[a-z]", word)}
            assert options <= known, f"gpuimg {shlex.join(words)}"


def test_the_words_of_a_block_are_read_as_a_shell_would() -> None:
    text = "$ A=1 gpuimg why \\\n    2.6  # why\nout\n$ docker x |\n    gpuimg report merge - > y\n"
    assert list(_commands(text)) == [["why", "2.6"], ["report", "merge", "-"]]


@by_page
def test_data_in_blocks_is_valid(page: Path) -> None:
    for block in _blocks(page, "yaml"):
        assert yaml.safe_load(block)
    for block in _blocks(page, "json"):
        assert json.loads(block)


@by_page
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if re.match(r"https?:", path):
            continue
        found = (page.parent / path) if path else page
        assert found.exists(), target
        if anchor:
            assert anchor in _anchors(found), target


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings: small letters, spaces to hyphens, no other punctuation."""
    text = re.sub(_BLOCK, "", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_trouble_names_a_check_that_exists() -> None:
    """`--only` takes a check, a group or a glob: what a page names has to select something."""
    page = (_ROOT / "docs" / "guides" / "troubleshooting.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    assert len(sections) > 10
    for section in sections:
        asked = [words for _, block in _BLOCK.findall(section) for words in _commands(block) if "--only" in words]
        assert asked, section.partition("\n")[0]
        for words in asked:
            for name in (words[place + 1] for place, word in enumerate(words) if word == "--only"):
                assert _selects(words[0], name), name


def _selects(command: str, name: str) -> bool:
    if command == "doctor":
        return name in HOST_CHECKS
    groups = {check.group for check in IMAGE_CHECKS.values()}
    return bool(fnmatch.filter([*IMAGE_CHECKS, *groups], name))


@pytest.mark.parametrize(
    ("guide", "example", "file"),
    [
        ("own-flavor", "own-flavor", "matrix/flavors.yaml"),
        ("own-flavor", "own-flavor", "templates/flavors/board.j2"),
        ("own-flavor", "own-flavor", "templates/files/board/board"),
        ("own-stack", "own-stack", "matrix/wheels/2.6.0-cu124.yaml"),
    ],
)
def test_files_are_shown_as_they_are(guide: str, example: str, file: str) -> None:
    """But for the comment at the head of a YAML file, or of a large one a part."""
    page = _ROOT / "docs" / "guides" / f"{guide}.md"
    text = (_ROOT / "docs" / "examples" / example / file).read_text(encoding="utf-8")
    assert any(block in text and len(block) > 100 for block in _blocks(page, "yaml", "dockerfile", "sh"))


def test_each_guide_is_linked_from_another_page() -> None:
    linked = {target for page in _PAGES for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))}
    names = {Path(target).name for target in linked}
    assert {guide.name for guide in _GUIDES} <= names
