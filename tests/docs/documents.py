"""What users read, taken apart: blocks of code, links, headings and names, each with its line."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.docs.html_links import links_in_html

ROOT: Final = Path(__file__).parents[2]
GENERATED: Final = ("docs/reference/", "docs/repository/")
"""Written by the site's build, of what other tests look at."""
_TOP: Final = ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
_MARKDOWN: Final = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


@dataclass(frozen=True)
class Link:
    """A link or a picture; `alt` is a picture's text, and None for a link."""

    document: str
    line: int
    target: str
    alt: str | None = None

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: {self.target}"


def documents() -> list[str]:
    """Paths in the repository."""
    below = (path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    return [*_TOP, *sorted(name for name in below if not name.startswith(GENERATED))]


def blocks(*languages: str) -> list[Block]:
    """The fenced blocks of all documents in these languages; without any, all."""
    return [
        Block(document, _line(token), token.info.split(maxsplit=1)[0] if token.info.strip() else "", token.content)
        for document in documents()
        for token in _tokens(document)
        if token.type == "fence"
        and (not languages or token.info.split(maxsplit=1)[:1] in [[each] for each in languages])
    ]


def links(document: str) -> Iterator[Link]:
    """The links and pictures of a document, those of raw HTML too."""
    for token in _tokens(document):
        if token.type in {"html_block", "html_inline"}:
            yield from (Link(document, _line(token), target, alt) for target, alt in links_in_html(token.content))
        for child in token.children or ():
            if child.type == "link_open":
                yield Link(document, _line(token), str(child.attrs["href"]))
            elif child.type == "image":
                yield Link(document, _line(token), str(child.attrs["src"]), child.content)
            elif child.type == "html_inline":
                yield from (Link(document, _line(token), *found) for found in links_in_html(child.content))


def code_words(document: str) -> Iterator[tuple[int, str]]:
    """Line and text of each word in backticks."""
    for token in _tokens(document):
        for child in token.children or ():
            if child.type == "code_inline":
                yield _line(token), child.content


@functools.cache
def anchors(document: str) -> tuple[str, ...]:
    """What a link can name after the ``#``, by GitHub's rules (https://github.com/Flet/github-slugger)."""
    found: list[str] = []
    tokens = _tokens(document)
    for heading, inline in itertools.pairwise(tokens):
        if heading.type == "heading_open":
            slug = _slug(
                "".join(child.content for child in inline.children or () if child.type in {"text", "code_inline"})
            )
            again = sum(1 for anchor in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", anchor))
            found.append(f"{slug}-{again}" if again else slug)
    return tuple(found)


def headings(document: str) -> list[str]:
    """Their texts, in order."""
    tokens = _tokens(document)
    return [text.content for heading, text in itertools.pairwise(tokens) if heading.type == "heading_open"]


def _slug(text: str) -> str:
    r"""
    >>> _slug("A `torch` that was never published")
    'a-torch-that-was-never-published'
    """
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


@functools.cache
def _tokens(document: str) -> tuple[Token, ...]:
    return tuple(_MARKDOWN.parse((ROOT / document).read_text(encoding="utf-8")))


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 0
