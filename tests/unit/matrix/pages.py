"""To read pages with, and matrices that are harder on a page than the committed one."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from typing import Final

from packaging.version import Version

from gpuimg.facts import UNKNOWN, Matrix, Source, Stack

HOSTILE: Final = (
    "</script><script>document.title='owned'</script><!--<img src=x onerror=alert(1)>&lt;\u202e'\" {{ 7*7 }}"
)
VOID: Final = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """The elements of a page, with their attributes and texts; an element that is closed in the wrong place fails."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, {name: value or "" for name, value in attrs}, list[str]())
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        for _, _, texts in self._open:
            texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def all(self, tag: str, **attributes: str) -> list[tuple[dict[str, str], str]]:
        """Attributes and text of each element of that tag; `class_` asks for one class."""
        return [
            (attrs, " ".join("".join(texts).split()))
            for name, attrs, texts in self.elements
            if name == tag
            and all(
                value in attrs.get("class", "").split() if key == "class_" else attrs.get(key) == value
                for key, value in attributes.items()
            )
        ]


def hostile_matrix(matrix: Matrix) -> Matrix:
    """The matrix with texts that an overlay may hold and that a page must only show."""

    def spoiled(sources: tuple[Source, ...]) -> tuple[Source, ...]:
        return tuple(dataclasses.replace(source, source=HOSTILE, note=HOSTILE) for source in sources)

    return dataclasses.replace(
        matrix,
        stacks=tuple(dataclasses.replace(row, sources=spoiled(row.sources)) for row in matrix.stacks),
        compatible=tuple(
            dataclasses.replace(row, reason=HOSTILE, limits=HOSTILE, sources=spoiled(row.sources))
            for row in matrix.compatible
        ),
        chips=tuple(dataclasses.replace(row, architecture=HOSTILE) for row in matrix.chips),
        gpus=tuple(dataclasses.replace(row, name=HOSTILE) for row in matrix.gpus),
    )


def large_matrix(matrix: Matrix) -> Matrix:
    """More than a hundred stacks in ten columns, some of whose facts are unknown."""
    cudas = matrix.cudas[-10:]
    rows: list[Stack] = []
    for minor in range(26):
        for cuda in cudas[minor % 7 : minor % 7 + 4]:
            pattern = matrix.stacks[len(rows) % len(matrix.stacks)]
            rows.append(
                dataclasses.replace(
                    pattern,
                    name=f"2.{minor}.0-{cuda.version.variant}",
                    torch=Version(f"2.{minor}.0"),
                    cuda=cuda.version,
                    cudnn=UNKNOWN if len(rows) % 3 else pattern.cudnn,
                    platforms=tuple(
                        dataclasses.replace(on, compute_capabilities=UNKNOWN) if len(rows) % 5 == 0 else on
                        for on in pattern.platforms
                    ),
                )
            )
    return dataclasses.replace(matrix, stacks=tuple(rows), compatible=())
