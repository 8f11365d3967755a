"""What a new project file shall say, and its text: with reasons as comments, and nothing that goes without saying."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import yaml

from gpuimg.text import printable, wrap

_WIDTH: Final = 98
_HEAD: Final = "What `gpuimg build` makes of this folder. `gpuimg init --schema` tells all keys."


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The keys of a new project file, in the order in which they are written; None or empty: left out."""

    name: str
    spec: str
    flavor: str | None = None
    python: str | None = None
    platform: str | None = None
    requirements: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    code: str | None = None
    workdir: str | None = None
    command: tuple[str, ...] = ()
    comments: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What to say above a key, a line each."""
    closing: tuple[str, ...] = ()
    """What to say at the end, such as keys that may be of use."""


def draft_text(draft: Draft) -> str:
    """Give the YAML of a project file."""
    lines = [*_comment(_HEAD), "schema: 1"]
    keys = ("name", "spec", "flavor", "python", "platform", "requirements", "extras", "code", "workdir")
    for key in keys:
        value = getattr(draft, key)
        if value:
            lines += [line for text in draft.comments.get(key, ()) for line in _comment(text)]
            lines += [f"{key}: {_scalar(value)}"] if isinstance(value, str) else _block(key, value)
    if draft.command:
        lines += [line for text in draft.comments.get("command", ()) for line in _comment(text)]
        lines.append(f"command: [{', '.join(_scalar(word) for word in draft.command)}]")
    lines += [line for text in draft.closing for line in _comment(text)]
    return "".join(f"{line}\n" for line in lines)


def _block(key: str, values: Sequence[str]) -> list[str]:
    return [f"{key}:", *(f"- {_scalar(value)}" for value in values)]


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(printable(text), _WIDTH)]


def _scalar(text: str) -> str:
    """`text` plain where YAML reads it as that very text, else in quotes.

    >>> _scalar("2.6.0-cu124"), _scalar("3.11"), _scalar("a: b")
    ('2.6.0-cu124', '"3.11"', '"a: b"')
    """
    plain = re.fullmatch(r"[A-Za-z0-9_./-][A-Za-z0-9_./=<>~+-]*", text, re.ASCII)
    if plain and yaml.safe_load(text) == text:
        return text
    return json.dumps(text, ensure_ascii=False)
