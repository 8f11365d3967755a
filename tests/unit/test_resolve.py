"""Which stack serves a request, and what is said when none does."""

from __future__ import annotations

import pytest

from gpuimg.errors import UnknownStackError
from gpuimg.model import Matrix
from gpuimg.resolve import resolve
from gpuimg.spec import parse_spec


@pytest.mark.parametrize(
    ("request_text", "stack"),
    [
        ("2.6-cu124", "2.6.0-cu124"),
        ("2.6.0+cu118", "2.6.0-cu118"),
        ("2.6", "2.6.0-cu126"),
        ("2.5", "2.5.1-cu124"),
        ("2.15", "2.15.0-cu132"),
        ("2.6.0-cuda12.4-cudnn9-devel", "2.6.0-cu124"),
    ],
)
def test_newest_torch_then_newest_cuda(request_text: str, stack: str, matrix: Matrix) -> None:
    resolution = resolve(parse_spec(request_text), matrix)
    assert resolution.stack.name == stack
    assert resolution.substitution is None


def test_unpublished_cuda_resolves_to_the_compatible_row(matrix: Matrix) -> None:
    """2.6.0 was never published for CUDA 12.1; the row in local.yaml says what serves, and it is said, not hidden."""
    resolution = resolve(parse_spec("2.6-cu121"), matrix)
    assert resolution.stack.name == "2.6.0-cu124"
    assert resolution.substitution is not None
    assert resolution.substitution.name == "2.6.0-cu121"


def test_never_a_lower_cuda_major(matrix: Matrix) -> None:
    """The nearest peer silently takes cu118 for 12.1: a major down."""
    for row in matrix.compatible:
        stack = resolve(parse_spec(row.name), matrix).stack
        assert stack.cuda.major == row.cuda.major


@pytest.mark.parametrize(
    ("request_text", "message", "nearest"),
    [
        (
            "2.6.0-cu128",
            "torch 2.6.0 has wheels for cu118, cu124, cu126; for CUDA 12.8 the newest torch is 2.9.1",
            ["2.6.0-cu126", "2.9.1-cu128"],
        ),
        ("2.7-cu121", "torch 2.7.1 has wheels for cu126; for CUDA 12.1 the newest torch is 2.5.1", None),
        ("2.6-cu119", "no torch in the matrix has wheels for CUDA 11.9", ["2.6.0-cu118"]),
        ("2.10", "there is no torch 2.10 in the matrix", ["2.9.1-cu128", "2.11.0-cu130"]),
        ("1.13", "there is no torch 1.13 in the matrix", ["2.1.2-cu121"]),
        ("2.6.1", "there is no torch 2.6.1", ["2.6.0-cu126", "2.7.1-cu126"]),
        ("2.6-cu124-cudnn8", "asks for cuDNN 8; torch 2.6.0[+]cu124 pins cuDNN 9.1.0.70", ["2.6.0-cu124"]),
        ("2.6-cu126-py38", r"has no wheel for Python 3.8 \(it has 3.9 to 3.13\)", ["2.6.0-cu126"]),
    ],
)
def test_impossible_requests_name_the_reason_and_the_nearest(
    request_text: str, message: str, nearest: list[str] | None, matrix: Matrix
) -> None:
    with pytest.raises(UnknownStackError, match=message) as caught:
        resolve(parse_spec(request_text), matrix)
    assert caught.value.exit_code == 2
    assert caught.value.hints
    if nearest is not None:
        assert list(caught.value.nearest) == nearest
