"""Every spec that a shell offers is one that resolves, and every stack can be come to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuimg.facts import Matrix
from gpuimg.matrix import load_matrix
from gpuimg.matrix.completion import complete_spec
from gpuimg.pipeline.plan import Settings, make_plan
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.versions import Platform


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load_matrix()


def names(text: str, matrix: Matrix) -> list[str]:
    return [spec for spec, _ in complete_spec(text, matrix)]


def test_every_stack_and_every_compatible_name_is_offered(matrix: Matrix) -> None:
    offered = {spec for stack in matrix.stacks for spec in names(f"{stack.torch}-", matrix)}
    assert {stack.name for stack in matrix.stacks} <= offered
    assert {row.name for row in matrix.compatible} <= offered


def test_what_is_offered_is_what_it_says(matrix: Matrix) -> None:
    """A short name says the patch release that it resolves to."""
    for spec, says in complete_spec("", matrix):
        resolution = resolve(parse_spec(spec), matrix)
        if resolution.substitution is None:
            assert says == f"torch {resolution.stack.torch}, CUDA {resolution.stack.cuda}"
        else:
            assert resolution.stack.name in says


@pytest.mark.parametrize("start", ["2.6-cu124-", "2.6-cu121-", "2.13.0-cu130-", "2.9+cu128-py313-", "2.6-cu124-devel-"])
def test_what_is_offered_behind_a_stack_can_be_planned(start: str, matrix: Matrix) -> None:
    offered = names(start, matrix)
    assert offered
    for spec in offered:
        resolution = resolve(parse_spec(spec), matrix)
        on = {python: each.platform for each in reversed(resolution.stack.platforms) for python in each.pythons}
        python = resolution.spec.python
        platform = on[python] if python is not None and python in on else Platform.AMD64
        assert make_plan(resolution, matrix, Settings(platform=platform)).resolution is resolution


def test_one_kind_is_offered_once(matrix: Matrix) -> None:
    assert names("2.6-cu124-py311-devel-", matrix) == []
    assert all("-py" not in spec.removeprefix("2.6-cu124-py311") for spec in names("2.6-cu124-py311-", matrix))


@given(st.text(max_size=30))
def test_all_that_is_offered_begins_with_what_was_typed(matrix: Matrix, text: str) -> None:
    assert all(spec.startswith(text) for spec in names(text, matrix))


def test_nonsense_is_offered_nothing(matrix: Matrix) -> None:
    for text in ("gpuimg:", "-", "9.", "2.6-cu124--x", "2.6-cu12-"):
        assert names(text, matrix) == []
