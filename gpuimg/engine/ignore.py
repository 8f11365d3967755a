"""What a ``.dockerignore`` leaves out, by docker's own rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from docker.utils.build import PatternMatcher


def kept_paths(root: Path, patterns: Sequence[str]) -> Iterator[str]:
    """Files, links and folders below `root` that no pattern leaves out, as paths relative to it."""
    matcher = PatternMatcher(list(patterns))
    yield from matcher.walk(str(root))
