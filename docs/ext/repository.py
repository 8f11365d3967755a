"""Documents that lie elsewhere in the repository, as pages of the site, and the links between both."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = "repository"
"""Where their pages are, below docs/, by the paths that they have in the repository."""
_DOCUMENTS: Final = (
    "README.md",
    "README.zh-CN.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "bench/results/*.md",
)
_ON_THE_SITE: Final = {".md", ".png", ".svg"}
"""What of docs/ Sphinx takes along."""
_LINK: Final = re.compile(r"(!?)\[([^\]\[]*)\]\(([^()\s]+)\)")
_PICTURE: Final = re.compile(r'<img src="(?P<src>[^"]*)" width="[^"]*" alt="(?P<alt>[^"]*)">')


def documents() -> Iterator[str]:
    """Paths in the repository."""
    for pattern in _DOCUMENTS:
        yield from (path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob(pattern)))


def repository_pages() -> Mapping[str, str]:
    """Path below docs/ → text."""
    return {f"{FOLDER}/{name}": _page(name) for name in documents()}


def relink(text: str, *, document: str, page: str) -> str:
    """`text` of the repository's `document` with the links that its `page` below docs/ needs.

    What is on the site is linked to there. Of what isn't, the text stays.
    """
    known = set(documents())

    def linked(match: re.Match[str]) -> str:
        mark, shown, target = match.groups()
        path, separator, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", target):
            return match[0]
        found = posixpath.normpath(posixpath.join(posixpath.dirname(document), path))
        if found in known:
            found = f"{FOLDER}/{found}"
        elif found.startswith("docs/") and posixpath.splitext(found)[1] in _ON_THE_SITE:
            found = found.removeprefix("docs/")
        else:
            return shown
        return f"{mark}[{shown}]({posixpath.relpath(found, posixpath.dirname(page))}{separator}{anchor})"

    return "".join(
        part if part.startswith("```") else _LINK.sub(linked, part)
        for part in re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    )


def _page(name: str) -> str:
    text = (ROOT / name).read_text(encoding="utf-8")
    text = _PICTURE.sub(lambda found: f"![{found['alt']}]({found['src']})\n", text)
    text = re.sub(r"^</?p>\n", "", text, flags=re.MULTILINE)
    return relink(text, document=name, page=f"{FOLDER}/{name}")
