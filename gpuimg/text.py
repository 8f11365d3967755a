"""Text that is safe to show: what comes from users, images and builds may hold anything that a terminal would obey."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

_ESCAPE_SEQUENCE = (  # compiled when first used: few commands read logs
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS …: titles, links
    r"|\x1b[ -/]*[0-~]"  # the two-character ones
)
_STYLES = {"red": "1;31", "yellow": "1;33", "green": "32", "cyan": "36", "bold": "1", "dim": "2"}


def _is_obeyed(character: str) -> bool:
    """Whether it steers a terminal or deceives the eye: controls, bidirectional marks, invisible characters."""
    return unicodedata.category(character) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def printable(text: str, *, multiline: bool = False) -> str:
    r"""Show what a terminal would obey as an escape, so that it is seen and does nothing.

    >>> print(printable("a\x1b[2Jb\n"))
    a\x1b[2Jb\n
    """
    if text.isascii() and text.isprintable():
        return text
    keep = "\n" if multiline else ""
    if multiline:
        text = text.replace("\r\n", "\n").expandtabs(4)
    return "".join(_escaped(char) if char not in keep and _is_obeyed(char) else char for char in text)


def log_line(text: str) -> str:
    r"""One line of a program's output as a terminal would leave it: colours dropped, progress bars at their last state.

    >>> log_line("\x1b[32m 10%\r 99%\x1b[0m\r")
    ' 99%'
    """
    text = re.sub(_ESCAPE_SEQUENCE, "", text.rstrip("\r\n"))
    states = [state for state in text.split("\r") if state.strip()]
    return printable(states[-1].expandtabs(4).rstrip() if states else "")


def cell_width(text: str) -> int:
    """Columns that `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def shorten(text: str, width: int, *, ellipsis: str = "…") -> str:
    """`text` cut to `width` columns, with `ellipsis` where something is missing.

    >>> shorten("libcudnn.so.9", 8)
    'libcudn…'
    """
    if cell_width(text) <= width:
        return text
    room = width - cell_width(ellipsis)
    if room < 1:
        ellipsis, room = "", width
    kept = 0
    for end, char in enumerate(text):
        kept += cell_width(char)
        if kept > room:
            return text[:end] + ellipsis
    return text


def shown(text: str) -> str:
    """What a user gave, as a message can show it: printable, and no longer than a line."""
    return shorten(printable(text), 80)


def shown_path(path: Path, *, width: int = 80) -> str:
    """A path to show. Of a long one the end stays, which is the file's own name.

    >>> shown_path(Path("/home/somebody/project/requirements.txt"), width=20)
    '…ct/requirements.txt'
    """
    return shorten(printable(str(path))[::-1], width)[::-1]


def wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns, broken at spaces where there are any; at least one line."""
    width = max(width, 1)
    if cell_width(text) <= width:
        return [text]
    if text.isascii():
        import textwrap

        return textwrap.wrap(text, width, break_on_hyphens=False) or [""]
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and cell_width(line) + 1 + cell_width(word) <= width:
            line += " " + word
            continue
        if line:
            lines.append(line)
        line = word
        while cell_width(line) > width:
            head = shorten(line, width, ellipsis="") or line[0]
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line] if line or not lines else lines


def did_you_mean(wanted: str, known: Sequence[str]) -> list[str]:
    """A hint with the nearest of `known`, if one is near."""
    import difflib

    nearest = difflib.get_close_matches(wanted, known, n=1)
    return [f"did you mean `{nearest[0]}`?"] if nearest else []


def styled(text: str, style: str, *, colour: bool) -> str:
    """`text` in `style`, where there is colour and a style."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if colour and style else text
