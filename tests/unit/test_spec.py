"""What a user may type, and what each form means."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuimg.errors import SpecError
from gpuimg.spec import parse_spec
from gpuimg.versions import CudaVersion, PythonVersion


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


@given(st.text(alphabet=string.printable + "–→\x1b", max_size=40))
def test_no_text_crashes_the_parser(text: str) -> None:
    """Anything is either a spec whose text is kept, or a SpecError."""
    try:
        assert parse_spec(text).text == text
    except SpecError as error:
        assert "\x1b" not in error.message  # noqa: PT017 - both outcomes are fine


@given(
    torch=st.from_regex(r"[0-9]\.[0-9]{1,2}(\.[0-9])?", fullmatch=True),
    minor=st.integers(0, 20),
    python=st.integers(8, 20),
    order=st.permutations(["cuda", "python", "flavor"]),
)
def test_parts_may_come_in_any_order(torch: str, minor: int, python: int, order: list[str]) -> None:
    parts = {"cuda": f"cu12{minor}", "python": f"py3{python}", "flavor": "devel"}
    spec = parse_spec("-".join([torch, *(parts[part] for part in order)]))
    assert spec.cuda == CudaVersion(12, minor)
    assert spec.python == PythonVersion(3, python)
    assert spec.flavor == "devel"
