"""Versions compare as versions, whatever way they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuimg.versions import ComputeCapability, CudaVersion, DriverVersion, Platform, PythonVersion

minor = st.integers(0, 30)


@given(minor, minor)
def test_cuda_orders_by_number_not_by_text(one: int, other: int) -> None:
    """As text, "12.10" would come before "12.4"."""
    assert (CudaVersion.parse(f"12.{one}") < CudaVersion.parse(f"12.{other}")) == (one < other)


@given(st.integers(10, 14), minor)
def test_cuda_reads_its_own_spellings(major: int, number: int) -> None:
    version = CudaVersion(major, number)
    assert CudaVersion.parse(str(version)) == CudaVersion.parse(version.variant) == version
    assert CudaVersion.parse(f"cuda{version}.1") == version


@given(minor, minor)
def test_python_orders_by_number_not_by_text(one: int, other: int) -> None:
    assert (PythonVersion.parse(f"3.{one}") < PythonVersion.parse(f"py3{other}")) == (one < other)


def test_a_bare_driver_branch_is_its_first_release() -> None:
    assert DriverVersion.parse("580") < DriverVersion.parse("580.65.06")
    assert str(DriverVersion.parse("580.65.06")) == "580.65.06"


def test_a_capability_keeps_its_ptx() -> None:
    assert str(ComputeCapability.parse("12.0+PTX")) == "12.0+PTX"
    assert ComputeCapability.parse("9.0") < ComputeCapability.parse("10.0")


@pytest.mark.parametrize("text", ["12", "cu12", "12.4.1.2", "twelve", "", "12.4 ", "cu124\n", "¹².4"])
def test_what_is_no_cuda_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a CUDA version"):
        CudaVersion.parse(text)


def test_platforms_know_their_other_names() -> None:
    assert Platform("linux/arm64").machine == "aarch64"
    assert Platform.AMD64.arch == "amd64"
