"""Which stack serves a request, and what is said when none does."""

from __future__ import annotations

import re

import pytest

from gpuimg.errors import UnknownStackError
from gpuimg.facts import Matrix
from gpuimg.pipeline.plan import Settings, make_plan
from gpuimg.pipeline.resolve import no_platform, no_python, python_range, resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.versions import Platform, PythonVersion
from tests.unit.stacks import a_platform, a_stack, with_stacks

TOO_OLD = {"3.8": "it is too old"}


@pytest.fixture
def small(matrix: Matrix) -> Matrix:
    """Stacks whose gaps are known."""
    both = (a_platform(), a_platform(Platform.ARM64))
    return with_stacks(
        matrix,
        a_stack("2.1.2-cu121", a_platform(left_out=TOO_OLD), cudnn="8.9.2.26"),
        a_stack("2.4.1-cu121", a_platform(left_out=TOO_OLD)),
        a_stack("2.4.1-cu124", *both),
        a_stack("2.5.1-cu121", a_platform(pythons="3.9 3.10 3.11 3.12", left_out={"3.13": "no triton fits"})),
        a_stack("2.5.1-cu124"),
        a_stack("2.6.0-cu118"),
        a_stack("2.6.0-cu124"),
        a_stack("2.6.0-cu126", a_platform(pythons="3.9 3.10 3.11 3.12 3.13")),
        a_stack("2.7.1-cu126"),
        a_stack("2.9.1-cu128", a_platform(pythons="3.12 3.13 3.13t"), a_platform(Platform.ARM64, pythons="3.12")),
        a_stack("2.11.0-cu130", *both, cudnn=None),
    )


@pytest.mark.parametrize(
    ("request_text", "stack"),
    [
        ("2.6-cu124", "2.6.0-cu124"),
        ("2.6.0+cu118", "2.6.0-cu118"),
        ("2.6", "2.6.0-cu126"),
        ("2.5", "2.5.1-cu124"),
        ("2.11", "2.11.0-cu130"),
        ("2.6.0-cuda12.4-cudnn9-devel", "2.6.0-cu124"),
        ("2.9-cu128-py313t", "2.9.1-cu128"),
    ],
)
def test_newest_torch_then_newest_cuda(request_text: str, stack: str, small: Matrix) -> None:
    resolution = resolve(parse_spec(request_text), small)
    assert resolution.stack.name == stack
    assert resolution.substitution is None


def test_every_stack_is_served_by_its_own_name_and_by_what_torch_prints(matrix: Matrix) -> None:
    """Names are aliases of one stack each, whatever the rows."""
    assert len({stack.name for stack in matrix.stacks}) == len(matrix.stacks)
    for stack in matrix.stacks:
        for name in (stack.name, stack.local_version, f"{stack.torch}-cuda{stack.cuda}"):
            assert resolve(parse_spec(name), matrix).stack == stack


def test_a_minor_release_is_its_newest_patch(matrix: Matrix) -> None:
    for stack in matrix.stacks:
        found = resolve(parse_spec(f"{stack.torch.major}.{stack.torch.minor}"), matrix).stack
        assert found.torch == max(
            other.torch for other in matrix.stacks if other.torch.release[:2] == stack.torch.release[:2]
        )


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
        (
            "2.10",
            r"there is no torch 2.10 in the matrix \(it has 2.1.2 to 2.11.0, and nearest 2.9.1 and 2.11.0\)",
            None,
        ),
        ("1.13", "there is no torch 1.13 in the matrix", ["2.1.2-cu121"]),
        ("2.16", "there is no torch 2.16 in the matrix", ["2.11.0-cu130"]),
        ("2.6.1", "there is no torch 2.6.1", ["2.6.0-cu126", "2.7.1-cu126"]),
        (
            "2.6-cu124-cudnn8",
            r"asks for cuDNN 8; torch 2.6.0[+]cu124 pins cuDNN 9.1.0.70; torch 2.1.2\+cu121 is the newest with cuDNN 8",
            ["2.6.0-cu124"],
        ),
        ("2.11-cudnn9", r"what cuDNN torch 2.11.0\+cu130 has is unknown", ["2.11.0-cu130"]),
        ("2.6-cu126-py38", r"has no wheel for Python 3.8 \(it has 3.9 to 3.13\)", ["2.6.0-cu126"]),
    ],
)
def test_impossible_requests_name_the_reason_and_the_nearest(
    request_text: str, message: str, nearest: list[str] | None, small: Matrix
) -> None:
    with pytest.raises(UnknownStackError, match=message) as caught:
        resolve(parse_spec(request_text), small)
    assert caught.value.exit_code == 2
    assert caught.value.hints
    if nearest is not None:
        assert list(caught.value.nearest) == nearest


@pytest.mark.parametrize(
    ("stack", "python", "said"),
    [
        (
            "2.6.0-cu126",
            "3.8",
            [
                "torch 2.6.0+cu126 has no wheel for Python 3.8 (it has 3.9 to 3.13)",
                "torch 2.4.1+cu121 is the newest that has, and gpuimg builds no image with it: it is too old",
            ],
        ),
        (
            "2.4.1-cu121",
            "3.8",
            [
                "gpuimg builds no image of torch 2.4.1+cu121 with Python 3.8: it is too old (it builds 3.9 to 3.11)",
            ],
        ),
        (
            "2.5.1-cu121",
            "3.13",
            [
                "gpuimg builds no image of torch 2.5.1+cu121 with Python 3.13: no triton fits (it builds 3.9 to 3.12)",
                "torch 2.9.1+cu128 is the newest that has",
            ],
        ),
        (
            "2.7.1-cu126",
            "3.13",
            [
                "torch 2.7.1+cu126 has no wheel for Python 3.13 (it has 3.9 to 3.11)",
                "torch 2.6.0 is the newest with cu126 that has",
            ],
        ),
        (
            "2.6.0-cu126",
            "3.13t",
            [
                "torch 2.6.0+cu126 has no wheel for Python 3.13t (it has 3.9 to 3.13)",
                "torch 2.9.1+cu128 is the newest that has",
            ],
        ),
        ("2.6.0-cu126", "3.7", ["torch 2.6.0+cu126 has no wheel for Python 3.7 (it has 3.9 to 3.13)"]),
    ],
)
def test_a_python_that_cannot_be_had_is_told_with_the_reason_and_the_newest_that_has(
    stack: str, python: str, said: list[str], small: Matrix
) -> None:
    row = next(row for row in small.stacks if row.name == stack)
    assert no_python(row, PythonVersion.parse(python), small).message == "; ".join(said)


def test_a_python_of_another_platform_is_told_with_the_platform(small: Matrix) -> None:
    stack = next(row for row in small.stacks if row.name == "2.9.1-cu128")
    error = no_python(stack, PythonVersion.parse("3.13"), small, platform=Platform.ARM64)
    assert error.message == "torch 2.9.1+cu128 has no wheel for Python 3.13 on linux/arm64 (it has 3.12)"
    assert error.hints == ("`gpuimg build 2.9.1-cu128 --python 3.12 --platform linux/arm64`",)


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (
            "2.6.0-cu124",
            "no CUDA wheels for linux/arm64 (it has linux/amd64); torch 2.4.1 is the newest that has them with cu124",
        ),
        ("2.4.1-cu121", "has no CUDA wheels for linux/arm64 (it has linux/amd64); torch 2.4.1 has them with cu124"),
        ("2.6.0-cu118", "has no CUDA wheels for linux/arm64 (it has linux/amd64); 2.11.0-cu130 is the newest that has"),
    ],
)
def test_a_platform_that_cannot_be_had_is_told_with_the_newest_that_has(
    stack: str, message: str, small: Matrix
) -> None:
    row = next(row for row in small.stacks if row.name == stack)
    assert message in no_platform(row, Platform.ARM64, small).message


def test_hints_are_commands_that_work(matrix: Matrix) -> None:
    """For each stack a Python and a platform that it may lack: what is hinted resolves and plans."""
    seen = 0
    for stack in matrix.stacks:
        for python in (PythonVersion(3, 8), PythonVersion(3, 15), PythonVersion(3, 13, free_threaded=True)):
            for platform in Platform:
                on = next((on for on in stack.platforms if on.platform is platform), None)
                if on is not None and python in on.pythons:
                    continue
                error = no_platform(stack, platform, matrix) if on is None else None
                for hint in (error or no_python(stack, python, matrix, platform=platform)).hints:
                    _plan_hint(hint, matrix)
                    seen += 1
    assert seen


def _plan_hint(hint: str, matrix: Matrix) -> None:
    command = re.fullmatch(r"`gpuimg build (\S+)(?: --python (\S+))?(?: --platform (\S+))?`", hint)
    assert command is not None, hint
    wanted = Settings(
        python=PythonVersion.parse(command[2]) if command[2] else None, platform=Platform(command[3] or "linux/amd64")
    )
    assert make_plan(resolve(parse_spec(command[1]), matrix), matrix, wanted).stack.name == command[1]


@pytest.mark.parametrize(
    ("pythons", "text"),
    [
        ("3.9 3.10 3.11", "3.9 to 3.11"),
        ("3.9", "3.9"),
        ("3.9 3.11", "3.9, 3.11"),
        ("3.13 3.13t 3.14 3.14t", "3.13 to 3.14, 3.13t, 3.14t"),
        ("3.13t", "3.13t"),
        ("", "none"),
    ],
)
def test_pythons_read_as_a_range_where_they_are_one(pythons: str, text: str) -> None:
    assert python_range([PythonVersion.parse(python) for python in pythons.split()]) == text
