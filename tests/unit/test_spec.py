"""What a user may type, and what each form means."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuimg.errors import SpecError
from gpuimg.facts import Matrix
from gpuimg.naming import image_tags
from gpuimg.pipeline.plan import Settings, make_plan
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.versions import CudaVersion, PythonVersion

NEARLY = st.from_regex(r"[0-9.]{1,6}([-+](cu|cuda|cudnn|py|dev)?[0-9.t]{0,5}){0,3}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "torch", "cuda", "python", "flavor"),
    [
        ("2.6-cu121", "2.6", "12.1", None, None),
        ("2.6.0-cu124", "2.6.0", "12.4", None, None),
        ("2.6.0+cu124", "2.6.0", "12.4", None, None),
        ("2.6", "2.6", None, None, None),
        ("2.6-cu124-py312-devel", "2.6", "12.4", "3.12", "devel"),
        ("2.6.0-cuda12.4-cudnn9-devel", "2.6.0", "12.4", None, "devel"),
        ("2.6.0-cu124-py311-runtime", "2.6.0", "12.4", "3.11", "runtime"),
        ("2.15-devel", "2.15", None, None, "devel"),
        ("2.9-cu128-py313t", "2.9", "12.8", "3.13t", None),
        ("2.9-cu128-py3.13t-devel", "2.9", "12.8", "3.13t", "devel"),
    ],
)
def test_each_form_is_read(text: str, torch: str, cuda: str | None, python: str | None, flavor: str | None) -> None:
    spec = parse_spec(text)
    assert str(spec.torch) == torch
    assert spec.cuda == (CudaVersion.parse(cuda) if cuda else None)
    assert spec.python == (PythonVersion.parse(python) if python else None)
    assert spec.flavor == flavor
    assert spec.text == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no torch version"),
        ("latest", "is no torch version"),
        ("2", "is no torch version"),
        ("2.6-", "is neither"),
        ("2.6-cu124-cu126", "is a second CUDA beside `cu124`"),
        ("2.6-Devel", "is neither"),
        ("2.6-cu12", "`cu12` is neither"),
        ("2.6-cuda12", "`cuda12` is neither"),
        ("2.6-cudnn100", "`cudnn100` is neither"),
        ("2.6-py27", "`py27` is neither"),
        ("2.6-py313tt", "`py313tt` is neither"),
        ("2.6-py313-py313t", "is a second Python"),
        ("2.6 cu124", "is no torch version"),
        ("2.6-cu124\nRUN rm -rf /", "is neither"),
        ("$(id)", "is no torch version"),
    ],
)
def test_what_is_no_spec_is_refused_by_the_part_that_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(SpecError, match=problem) as caught:
        parse_spec(text)
    assert caught.value.exit_code == 2
    assert caught.value.hints


@given(st.text(max_size=40) | st.text(alphabet=string.printable + "–→\x1b", max_size=40) | NEARLY)
def test_no_text_crashes_the_parser(text: str) -> None:
    """Anything is either a spec whose text is kept, or a SpecError."""
    try:
        assert parse_spec(text).text == text
    except SpecError as error:
        assert "\x1b" not in error.message  # noqa: PT017 - both outcomes are fine


PARTS = st.fixed_dictionaries(
    {"torch": st.tuples(st.integers(0, 999), st.integers(0, 999)) | st.tuples(*[st.integers(0, 999)] * 3)},
    optional={
        "cuda": st.builds(CudaVersion, st.integers(10, 99), st.integers(0, 99)),
        "cudnn": st.integers(0, 99),
        "python": st.builds(PythonVersion, st.just(3), st.integers(0, 99), st.booleans()),
        "flavor": st.sampled_from(["devel", "runtime", "my_own"]),
    },
)


@given(PARTS, st.data())
def test_every_way_to_write_a_spec_means_the_same(parts: dict[str, Any], data: st.DataObject) -> None:
    """Parts in any order, behind ``-`` or ``+``, each in any of its spellings."""
    spellings: dict[str, Callable[[Any], list[str]]] = {
        "cuda": lambda cuda: [cuda.variant, f"cuda{cuda}", f"cuda{cuda}.1"],
        "cudnn": lambda major: [f"cudnn{major}"],
        "python": lambda python: [python.tag, f"py{python}"],
        "flavor": lambda flavor: [flavor],
    }
    text = ".".join(map(str, parts["torch"]))
    for name in data.draw(st.permutations([name for name in parts if name != "torch"])):
        text += data.draw(st.sampled_from("-+")) + data.draw(st.sampled_from(spellings[name](parts[name])))
    spec = parse_spec(text)
    assert spec.text == text
    assert spec.torch.release == parts["torch"]
    found = {"cuda": spec.cuda, "cudnn": spec.cudnn_major, "python": spec.python, "flavor": spec.flavor}
    assert {name: value for name, value in found.items() if value is not None} == {
        name: value for name, value in parts.items() if name != "torch"
    }


def test_every_tag_of_an_image_says_what_is_in_it(matrix: Matrix) -> None:
    """A tag without platform is a spec for its own stack."""
    for stack in matrix.stacks:
        plan = make_plan(
            resolve(parse_spec(stack.name), matrix), matrix, Settings(platform=stack.platforms[0].platform)
        )
        for tag in image_tags(plan, matrix):
            text = tag.partition(":")[2].removesuffix("-arm64")
            spec = parse_spec(text)
            assert resolve(spec, matrix).stack == stack
            assert spec.python in {None, plan.python}
            assert spec.flavor in {None, plan.flavor.name}


def test_an_image_of_docker_hub_is_told_by_its_tag() -> None:
    with pytest.raises(SpecError) as raised:
        parse_spec("pytorch/pytorch:2.6.0-cuda12.4-cudnn9-devel")
    assert raised.value.hints[0] == "did you mean `2.6.0-cuda12.4-cudnn9-devel`, the tag alone?"
    with pytest.raises(SpecError) as raised:
        parse_spec("debian:bookworm")
    assert not any("did you mean" in hint for hint in raised.value.hints)
