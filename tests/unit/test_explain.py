"""What `why` and `matrix show` tell: every fact with its source, and what isn't known."""

from __future__ import annotations

import dataclasses
import re

import pytest

from gpuimg.explain import describe, explain
from gpuimg.facts import UNKNOWN, Matrix, Source, Stack
from gpuimg.pipeline.spec import parse_spec
from gpuimg.versions import Platform
from tests.unit.stacks import a_platform, a_stack, with_stacks

SOURCES = (
    Source(fields=("torch", "cuda", "pythons"), source="file names", confidence="stated"),
    Source(fields=("cudnn", "nccl", "compute_capabilities"), source="no file says it", confidence="unknown"),
)


@pytest.fixture
def dim() -> Stack:
    """A stack of which little is known, from two indexes."""
    return a_stack(
        "2.4.1-cu124",
        a_platform(code=None, index="pytorch", pythons="3.10 3.11 3.13t", left_out={"3.8": "images need Python 3.9"}),
        a_platform(Platform.ARM64, index="pypi", left_out={"3.8": "images need Python 3.9"}),
        cudnn=None,
        last_seen="never",
        sources=SOURCES,
    )


def test_what_is_unknown_is_told_as_unknown(dim: Stack, matrix: Matrix) -> None:
    text = describe(dim, with_stacks(matrix, dim))
    assert re.search(r"cuDNN +unknown +\[2\]", text)
    assert re.search(r"NCCL +unknown +\[2\]", text)
    assert re.search(r"compute capability unknown +\[2\]", text)
    assert "unknown: no file says it" in text


def test_each_platform_names_its_index(dim: Stack, matrix: Matrix) -> None:
    text = describe(dim, with_stacks(matrix, dim))
    amd64, arm64 = text[text.index("linux/amd64") :].split("linux/arm64")
    assert "wheels from PyTorch's index" in amd64
    assert "wheels from PyPI" in arm64
    assert "Python 3.10 to 3.11, 3.13t" in amd64


def test_a_python_that_is_left_out_has_its_reason_once(dim: Stack, matrix: Matrix) -> None:
    text = describe(dim, with_stacks(matrix, dim))
    assert text.count("Python 3.8: images need Python 3.9") == 1


@pytest.mark.parametrize(
    ("last_seen", "said"),
    [("never", "could not be read"), ("2026-11-24", "2026-11-24: then PyTorch's index"), (None, None)],
)
def test_how_fresh_it_is_is_said(last_seen: str | None, said: str | None, dim: Stack, matrix: Matrix) -> None:
    stack = dataclasses.replace(dim, last_seen=last_seen)
    text = describe(stack, with_stacks(matrix, stack))
    assert (said in text) if said else ("last seen" not in text)


def test_a_toolkit_without_a_driver_is_unknown(dim: Stack, matrix: Matrix) -> None:
    cudas = tuple(dataclasses.replace(row, toolkit_driver=UNKNOWN) for row in matrix.cudas)
    assert "unknown for PTX of CUDA 12.4" in describe(dim, dataclasses.replace(matrix, cudas=cudas))


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_every_stack_of_the_matrix_fits_its_width(width: int, matrix: Matrix) -> None:
    """But for words that are longer: addresses aren't broken."""
    for stack in matrix.stacks:
        for line in describe(stack, matrix, width=width).splitlines():
            assert len(line) <= width or max(map(len, line.split())) > width - 16, line


def test_why_tells_each_step(matrix: Matrix) -> None:
    small = with_stacks(matrix, *(a_stack(name) for name in ("2.6.0-cu118", "2.6.0-cu124", "2.6.0-cu126")))
    text = explain(parse_spec("2.6"), small).text
    assert text.startswith("2.6 is 2.6.0-cu126\n")
    assert "2.6 → 2.6.0, its newest patch release in the matrix" in text
    assert "the newest that torch 2.6.0 has (cu126, cu124, cu118)" in text


def test_why_of_what_cannot_be_had_tells_the_nearest(matrix: Matrix) -> None:
    small = with_stacks(matrix, a_stack("2.6.0-cu124"), a_stack("2.9.1-cu128"))
    story = explain(parse_spec("2.6-cu128"), small)
    assert story.error is not None
    assert "can't be had. What comes nearest" in story.text
    assert "2.6.0-cu124\n" in story.text
    assert "2.9.1-cu128\n" in story.text


def test_why_of_a_python_that_is_left_out_tells_the_reason(dim: Stack, matrix: Matrix) -> None:
    story = explain(parse_spec("2.4-cu124-py38"), with_stacks(matrix, dim))
    assert story.error is not None
    assert "images need Python 3.9" in story.error.message
