"""A requirements file (``--requirements FILE``) → the requirements in it, by name and version only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

from gpuimg import settings
from gpuimg.errors import RequestError
from gpuimg.text import printable, shorten, shown_path

_MAX_BYTES: Final = 1 << 20
_MAX_LINES: Final = 2000
_OPTION_HINTS: Final = {
    ("-r", "--requirement", "-c", "--constraint"): "name that file too, beside this one",
    ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index", "--trusted-host"): (
        "name the index with --index-url, which the whole build reads"
    ),
    ("-e", "--editable"): "put its wheel on an index and name it here by name and version",
    ("--hash",): "leave hashes out: gpuimg takes them from the index and holds the build to them",
}


def read_requirements(path: Path) -> tuple[str, ...]:
    """Give the requirements in the file at `path`, normalised.

    Raises:
        RequestError: the file can't be read, or a line is no requirement by name and version: with its number.
    """
    shown = shown_path(path)
    found = []
    for number, line in _logical_lines(_text(path, shown)):
        where = f"{shown}, line {number}"
        if line.startswith("-"):
            raise _option(line, where)
        requirement, _, options = re.sub(r"\s+(?=--)", "\0", line, count=1).partition("\0")
        if options:
            raise _option(options, where)
        if _is_place(requirement):
            raise RequestError(
                f"{where}: names a file or URL; extras come from the package index by name and version",
                hints=["put the wheel on an index and name that with --index-url"],
            )
        try:
            found.append(settings.requirement(requirement))
        except RequestError as error:
            raise RequestError(f"{where}: {error.message}", hints=error.hints) from error
    return tuple(found)


def _text(path: Path, shown: str) -> str:
    try:
        if path.exists() and not path.is_file():
            raise RequestError(f"{shown} is not a file", hints=["--requirements takes a text file"])
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise RequestError(f"{shown} can't be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > _MAX_BYTES or content.count(b"\n") > _MAX_LINES:
        raise RequestError(f"{shown} has more than {_MAX_BYTES >> 20} MiB or {_MAX_LINES} lines: no list of extras has")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(f"{shown} is not UTF-8 text (byte {error.start})") from error
    if "\0" in text:
        raise RequestError(f"{shown} is not a text file")
    return text


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Number and text of each line that says something, continued lines joined, comments gone."""
    lines: list[tuple[int, str]] = []
    pending, start = "", 0
    for number, raw in enumerate(text.split("\n"), start=1):
        start = start if pending else number
        line = re.sub(r"(^|\s)#.*$", "", raw.rstrip("\r"))
        pending += line
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        if pending.strip():
            lines.append((start, pending.strip()))
        pending = ""
    if pending.strip():
        lines.append((start, pending.strip()))
    return lines


def _option(text: str, where: str) -> RequestError:
    name = re.split(r"[=\s]", text, maxsplit=1)[0]
    hints = [hint for names, hint in _OPTION_HINTS.items() if any(name.startswith(known) for known in names)]
    return RequestError(f"{where}: `{shorten(printable(name), 40)}` is an option, not a requirement", hints=hints[:1])


def _is_place(text: str) -> bool:
    """Whether a line names where a package lies; it isn't shown, since it may hold a password."""
    if "://" in text or text.startswith((".", "/", "~")) or re.search(r"\.(?:whl|tar\.gz|zip)$", text):
        return True
    try:
        return Requirement(text).url is not None
    except InvalidRequirement:
        return False
