"""What documents point at is there."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path
from typing import Final

import pytest

from tests.docs import documents
from tests.docs.documents import ROOT, Link

FOLDERS: Final = ("matrices", "templates", "gpuimg", "scripts", "tests", "docs", "bench")
"""A word in backticks that begins with one of these and a slash is a file of the repository."""
BEGINNINGS: Final = (ROOT, ROOT / "gpuimg", *sorted((ROOT / "docs" / "examples").iterdir()))
"""Where such a path may begin: a page about an example names its files as its reader has them."""
PLACEHOLDER: Final = re.compile(r"\b[A-Z]{2,}\b")

each_document = pytest.mark.parametrize("document", documents.documents())


@each_document
def test_links_lead_to_files_and_headings(document: str) -> None:
    for link in documents.links(document):
        address = urllib.parse.urlsplit(link.target)
        if address.scheme or address.netloc:
            assert address.scheme in {"https", "mailto"}, link
            continue
        target = _file(link, address.path)
        assert target.exists(), link
        if address.fragment:
            assert urllib.parse.unquote(address.fragment) in documents.anchors(target.relative_to(ROOT).as_posix()), (
                link
            )


@each_document
def test_pictures_say_what_they_show(document: str) -> None:
    """For those who can't see them; a word or two say nothing."""
    for link in documents.links(document):
        if link.alt is not None:
            assert len(link.alt) >= 12, link


@each_document
def test_files_that_are_named_exist(document: str) -> None:
    """NAME in a path is anything."""
    for line, word in documents.code_words(document):
        if re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w./*-]*", word):
            pattern = PLACEHOLDER.sub("*", word.rstrip("/"))
            assert any(any(folder.glob(pattern)) for folder in BEGINNINGS), f"{document}:{line}: {word}"


def test_github_numbers_equal_headings() -> None:
    assert len(set(documents.anchors("CHANGELOG.md"))) == len(documents.anchors("CHANGELOG.md"))


def _file(link: Link, path: str) -> Path:
    document = ROOT / link.document
    found = (document.parent / urllib.parse.unquote(path)).resolve() if path else document
    assert found.is_relative_to(ROOT), f"{link} leads out of the repository"
    return found
