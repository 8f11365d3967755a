"""What a plan chooses by itself, and what it refuses."""

from __future__ import annotations

import dataclasses

import pytest

from gpuimg.errors import RequestError
from gpuimg.facts import Matrix
from gpuimg.pipeline.plan import Settings, make_plan
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.versions import Platform, PythonVersion


def with_gcc(matrix: Matrix, gcc: int) -> Matrix:
    """The matrix with a base whose gcc is another."""
    bases = tuple(dataclasses.replace(base, gcc=gcc) if base.name == "debian-12" else base for base in matrix.bases)
    return dataclasses.replace(matrix, bases=bases)


def test_a_base_with_a_gcc_that_nvcc_refuses_is_refused_before_the_build(matrix: Matrix) -> None:
    resolution = resolve(parse_spec("2.13.0-cu130-devel"), matrix)
    newest = next(cuda.gcc_max for cuda in matrix.cudas if cuda.version == resolution.stack.cuda)
    assert isinstance(newest, int)
    assert make_plan(resolution, with_gcc(matrix, newest)).flavor.toolkit
    with pytest.raises(RequestError, match=f"has gcc {newest + 1}; nvcc of CUDA 13.0 takes gcc {newest} at most"):
        make_plan(resolution, with_gcc(matrix, newest + 1))
    runtime = resolve(parse_spec("2.13.0-cu130-runtime"), matrix)
    assert make_plan(runtime, with_gcc(matrix, newest + 1)).toolkit is None


def test_a_free_threaded_python_is_taken_only_when_asked_for(matrix: Matrix) -> None:
    for stack in matrix.stacks:
        for on in stack.platforms:
            plan = make_plan(resolve(parse_spec(stack.name), matrix), matrix, Settings(platform=on.platform))
            assert not plan.python.free_threaded
    plan = make_plan(resolve(parse_spec("2.9.1-cu128-py313t"), matrix), matrix)
    assert plan.python == PythonVersion(3, 13, free_threaded=True)
    assert plan.standalone_python


def test_a_stack_with_two_indexes_is_planned_from_the_one_of_its_platform(matrix: Matrix) -> None:
    resolution = resolve(parse_spec("2.9.1-cu128"), matrix)
    indexes = {
        platform: {wheel.index for wheel in make_plan(resolution, matrix, Settings(platform=platform)).wheels.torch}
        for platform in Platform
    }
    assert indexes[Platform.AMD64] == {"pypi"}
    assert indexes[Platform.ARM64] == {"pypi", "pytorch"}


@pytest.mark.parametrize(
    ("spec", "wanted", "problem"),
    [
        ("2.9-cu128-py313t", Settings(python=PythonVersion(3, 12)), "asks for 3.13t, and --python for 3.12"),
        ("2.6-cu124-devel", Settings(flavor="runtime"), "asks for devel, and --flavor for runtime"),
    ],
)
def test_a_wish_is_not_overridden_in_silence(matrix: Matrix, spec: str, wanted: Settings, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        make_plan(resolve(parse_spec(spec), matrix), matrix, wanted)


def test_pythons_on_which_torch_compile_fails_are_taken_only_when_asked_for(matrix: Matrix) -> None:
    resolution = resolve(parse_spec("2.0.1-cu118"), matrix)
    plan = make_plan(resolution, matrix)
    assert plan.compiles
    assert plan.python < PythonVersion(3, 11)
    asked = make_plan(resolution, matrix, Settings(python=PythonVersion(3, 11)))
    assert not asked.compiles


@pytest.mark.parametrize(
    ("flavor", "hint"),
    [("arm64", "--platform linux/arm64"), ("cpu", "NVIDIA's GPUs only"), ("devl", "did you mean `devel`?")],
)
def test_a_word_that_is_no_flavor_is_told_what_it_is(matrix: Matrix, flavor: str, hint: str) -> None:
    with pytest.raises(RequestError, match="there is no flavor") as caught:
        resolve(parse_spec(f"2.6-cu124-{flavor}"), matrix)
    assert any(hint in text for text in caught.value.hints)
