"""The guest's sources: what they import, and the oldest Python that reads them."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from gpuimg.paths import SMOKE_GUEST

_MODULES = sorted(SMOKE_GUEST.rglob("*.py"))


@pytest.mark.parametrize("path", _MODULES, ids=lambda path: path.relative_to(SMOKE_GUEST).as_posix())
def test_guest_imports_only_the_standard_library_and_torch(path: Path) -> None:
    """An image has no other packages for sure; and other modules of gpuimg are not in the zipapp."""
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add(str(node.module).partition(".")[0])
    assert imported <= {*sys.stdlib_module_names, "torch"}


@pytest.mark.parametrize("path", _MODULES, ids=lambda path: path.relative_to(SMOKE_GUEST).as_posix())
def test_guest_is_read_by_python_3_9(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


@pytest.mark.parametrize("path", _MODULES, ids=lambda path: path.relative_to(SMOKE_GUEST).as_posix())
def test_torch_is_never_imported_at_the_top_of_a_module(path: Path) -> None:
    """The parent loads every module and must survive a torch that can't be imported."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("torch") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not str(node.module).startswith("torch")
