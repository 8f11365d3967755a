"""Versions compare as versions, whatever way they are written."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gpuimg.versions import ComputeCapability, CudaVersion, DriverVersion, Platform, PythonVersion

minor = st.integers(0, 30)
cudas = st.builds(CudaVersion, st.integers(10, 99), st.integers(0, 99))
pythons = st.builds(PythonVersion, st.just(3), st.integers(0, 99), st.booleans())
drivers = st.builds(
    DriverVersion,
    st.tuples(st.integers(100, 999))
    | st.tuples(st.integers(100, 999), st.integers(0, 999))
    | st.tuples(st.integers(100, 999), st.integers(0, 999), st.integers(0, 99)),
)
capabilities = st.builds(ComputeCapability, st.integers(0, 99), st.integers(0, 9), st.booleans())
KINDS: Final[dict[type[Any], st.SearchStrategy[Any]]] = {
    CudaVersion: cudas,
    PythonVersion: pythons,
    DriverVersion: drivers,
    ComputeCapability: capabilities,
}


def numbers(version: Any) -> tuple[object, ...]:
    """What a version means, as numbers."""
    match version:
        case DriverVersion():
            return version.parts
        case CudaVersion():
            return version.major, version.minor
        case PythonVersion():
            return version.major, version.minor, version.free_threaded
        case _:
            return version.major, version.minor, version.ptx


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
@given(data=st.data())
def test_what_is_written_is_read_back(kind: Any, data: st.DataObject) -> None:
    version = data.draw(KINDS[kind])
    assert kind.parse(str(version)) == version


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
@given(data=st.data())
def test_the_order_is_that_of_the_numbers(kind: Any, data: st.DataObject) -> None:
    """Total: of any two, one comes first or they are the same."""
    one, other = data.draw(KINDS[kind]), data.draw(KINDS[kind])
    assert (one < other) == (numbers(one) < numbers(other))
    assert (one == other) == (numbers(one) == numbers(other))
    assert (one < other) + (one == other) + (other < one) == 1
    assert kind.parse(str(one)) <= kind.parse(str(max(one, other)))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
@given(data=st.data())
def test_no_text_crashes_a_parser(kind: Any, data: st.DataObject) -> None:
    text = data.draw(st.text(max_size=12) | st.from_regex(r"[cupydat+PTX0-9.]{0,9}", fullmatch=True))
    try:
        version = kind.parse(text)
    except ValueError as error:
        assert str(error).startswith(f"`{text}` is not a")  # noqa: PT017 - both outcomes are fine
    else:
        assume(not text.startswith("0"))  # no driver is older than 100
        assert kind.parse(str(version)) == version


@given(minor, minor)
def test_cuda_orders_by_number_not_by_text(one: int, other: int) -> None:
    """As text, "12.10" would come before "12.4"."""
    assert (CudaVersion.parse(f"12.{one}") < CudaVersion.parse(f"12.{other}")) == (one < other)


@given(cudas)
def test_cuda_reads_its_own_spellings(version: CudaVersion) -> None:
    assert CudaVersion.parse(str(version)) == CudaVersion.parse(version.variant) == version
    assert CudaVersion.parse(f"cuda{version}.1") == version


@given(cudas, cudas)
def test_a_wheel_tag_names_one_cuda(one: CudaVersion, other: CudaVersion) -> None:
    """Majors have two digits, so ``cu1210`` can't be 121.0."""
    assert (one.variant == other.variant) == (one == other)


@given(minor, minor)
def test_python_orders_by_number_not_by_text(one: int, other: int) -> None:
    assert (PythonVersion.parse(f"3.{one}") < PythonVersion.parse(f"py3{other}")) == (one < other)


@given(pythons)
def test_python_reads_its_own_tag(python: PythonVersion) -> None:
    assert PythonVersion.parse(python.tag) == python


def test_a_free_threaded_python_stands_right_behind_its_twin() -> None:
    texts = ["3.9", "3.13", "3.13t", "3.14"]
    assert [str(python) for python in sorted(map(PythonVersion.parse, reversed(texts)))] == texts
    assert PythonVersion.parse("3.13t") != PythonVersion.parse("3.13")


def test_a_bare_driver_branch_is_its_first_release() -> None:
    assert DriverVersion.parse("580") < DriverVersion.parse("580.65.06")
    assert str(DriverVersion.parse("580.65.06")) == "580.65.06"


def test_a_driver_s_release_orders_by_number_not_by_text() -> None:
    assert DriverVersion.parse("525.60.13") < DriverVersion.parse("525.105.17") < DriverVersion.parse("530.30.02")


def test_a_capability_keeps_its_ptx() -> None:
    assert str(ComputeCapability.parse("12.0+PTX")) == "12.0+PTX"
    assert ComputeCapability.parse("9.0") < ComputeCapability.parse("10.0")


@pytest.mark.parametrize("text", ["12", "cu12", "12.4.1.2", "twelve", "", "12.4 ", "cu124\n", "¹².4"])
def test_what_is_no_cuda_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a CUDA version"):
        CudaVersion.parse(text)


@pytest.mark.parametrize("text", ["3", "2.7", "3.13T", "3.13tt", "t", "py", "3.13 t", "cp27"])
def test_what_is_no_python_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Python version"):
        PythonVersion.parse(text)


def test_platforms_know_their_other_names() -> None:
    assert Platform("linux/arm64").machine == "aarch64"
    assert Platform.AMD64.arch == "amd64"
