"""Where facts come from, and what stands where nobody could find one out."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class Unknown(enum.Enum):
    """A fact that nobody could find out: it is written as ``unknown`` and answered so, never guessed."""

    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return self.value


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where facts come from: `confidence` is stated, seen, derived or unknown."""

    fields: tuple[str, ...]
    source: str
    confidence: str
    note: str | None = None
