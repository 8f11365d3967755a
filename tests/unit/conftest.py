"""Real nouns for the tests: the matrix as it is committed."""

from __future__ import annotations

import pytest

from gpuimg.facts import Matrix
from gpuimg.matrix import load_matrix


@pytest.fixture(scope="session")
def matrix() -> Matrix:
    return load_matrix()
