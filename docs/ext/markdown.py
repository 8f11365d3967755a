"""Pages of Markdown: text that stands there as it is, and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def page(title: str, *parts: str) -> str:
    """A page of paragraphs, tables and blocks."""
    return "\n\n".join([f"# {title}", *(part.strip("\n") for part in parts if part)]) + "\n"


def toctree(names: Iterable[str]) -> str:
    """What places pages below this one, in the sidebar alone."""
    return "\n".join(["```{toctree}", ":hidden:", "", *names, "```"])


def plain(text: str) -> str:
    r"""`text` as Markdown shows it unchanged, but for words in backticks, which stay code.

    >>> print(plain("2 * 3 < `a*b`"))
    2 \* 3 \< `a*b`
    """
    parts = re.split(r"(``[^`]+``|`[^`]+`)", text)
    return "".join(
        part if index % 2 else re.sub(r"([\\*_<>\[\]|#~`])", r"\\\1", part) for index, part in enumerate(parts)
    )


def code(text: str) -> str:
    """`text` as code."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of Markdown as a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(_cell, line)) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", re.sub(r"[ \n]+", " ", text))
