"""The examples in docstrings of what makes the site, and of what reads documents, say what the code does."""

from __future__ import annotations

import doctest
import importlib
from typing import Final

import pytest

from tests.docs.documents import ROOT

MODULES: Final = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("docs/ext", "tests/docs")
    for path in sorted((ROOT / folder).glob("*.py"))
    if f"{'>' * 3} " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert not result.failed
