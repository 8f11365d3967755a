"""Links and pictures in raw HTML, of a document or of a page of the site."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

_ADDRESSES: Final = {"a": "href", "img": "src", "link": "href", "script": "src", "source": "srcset", "iframe": "src"}


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, str | None]] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if identifier := given.get("id") or (given.get("name") if tag == "a" else None):
            self.anchors.add(identifier)
        address = given.get(_ADDRESSES.get(tag, ""))
        if address is not None:
            self.found.append((address, (given.get("alt") or "") if tag == "img" else None))


def links_in_html(text: str) -> list[tuple[str, str | None]]:
    """Each address, and the text in a picture's place; None where it is no picture."""
    reader = _Links()
    reader.feed(text)
    reader.close()
    return reader.found


def anchors_in_html(text: str) -> set[str]:
    """What a link can name after the ``#``."""
    reader = _Links()
    reader.feed(text)
    reader.close()
    return reader.anchors
