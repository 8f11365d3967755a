"""Version codes of NVIDIA's libraries, requirements, allocator settings: what the guest decodes by itself."""

from __future__ import annotations

import platform

import pytest
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from gpuimg.smoke.guest.checks.gpu import covered
from gpuimg.smoke.guest.known import (
    allocator_problems,
    allocator_variable_problem,
    parse_allocator,
    why_compile_cannot_work,
)
from gpuimg.smoke.guest.libraries import locate, plain_name
from gpuimg.smoke.guest.requirements import parse_requirement
from gpuimg.smoke.guest.versions import cublas_version, cuda_version, cudnn_version, nccl_version, release, same


@pytest.mark.parametrize(
    ("code", "version"),
    [(8500, (8, 5, 0)), (8905, (8, 9, 5)), (90100, (9, 1, 0)), (91002, (9, 10, 2)), (92400, (9, 24, 0))],
)
def test_cudnn_code_changed_its_base_at_9(code: int, version: tuple[int, ...]) -> None:
    assert cudnn_version(code) == version


@pytest.mark.parametrize(
    ("code", "version"), [(2708, (2, 7, 8)), (20903, (2, 9, 3)), (22105, (2, 21, 5)), (23007, (2, 30, 7))]
)
def test_nccl_code_changed_its_base_at_2_9(code: int, version: tuple[int, ...]) -> None:
    assert nccl_version(code) == version


def test_cuda_and_cublas_codes() -> None:
    assert cuda_version(12040) == (12, 4)
    assert cuda_version(11070) == (11, 7)
    assert cublas_version(120405) == (12, 4, 5)
    assert cublas_version(111103) == (11, 11, 3)


def test_versions_compare_as_far_as_the_shorter_one_tells() -> None:
    assert same("9.1.0", "9.1.0.70")
    assert same("3.11.2", "3.11")
    assert not same("9.10.0", "9.1.0.70")
    assert not same("", "9.1")
    assert release("2.6.0+cu124") == (2, 6, 0)
    assert release("2.1.0a0+29c30b1") == (2, 1, 0)


@pytest.mark.parametrize(
    ("version", "specifier"),
    [
        ("12.4.5.8", "==12.4.5.8"),
        ("12.4.5.9", "==12.4.5.8"),
        ("1.13.1", ">=1.13.1,<2"),
        ("4.9.0", ">=4.10.0"),
        ("3.2", "==3.2.0"),
        ("3.2.0+local", "==3.2.0"),
        ("3.2.1", "~=3.2.0"),
        ("3.3.0", "~=3.2.0"),
        ("13.0.2", "==13.*"),
        ("12.9", "!=13.*"),
        ("2.0.0rc1", ">=2.0.0"),
        ("2.0.0", ">2.0.0rc1"),
        ("1.10", ">1.9"),
    ],
)
def test_specifiers_hold_as_packaging_says(version: str, specifier: str) -> None:
    expected = SpecifierSet(specifier, prereleases=True).contains(version)
    assert parse_requirement(f"name{specifier}").holds(version) is expected


@pytest.mark.parametrize(
    "marker",
    [
        'platform_system == "Linux" and platform_machine == "x86_64"',
        "platform_system == 'Linux' and (platform_machine == 'x86_64' or platform_machine == 'aarch64')",
        'python_version >= "3.12"',
        'python_version < "3.10" or python_version > "3.9"',
        "python_version not in '2.7, 3.0' and sys_platform != 'win32'",
        "python_full_version >= '3.8.1' and implementation_name == 'cpython'",
    ],
)
def test_markers_hold_as_packaging_says(marker: str) -> None:
    assert parse_requirement(f"name==1; {marker}").applies() is Marker(marker).evaluate()


def test_requirements_of_an_extra_do_not_apply() -> None:
    assert not parse_requirement('optree (>=0.13.0) ; extra == "optree"').applies()


@pytest.mark.parametrize(
    "text", ["=1.0", "name @ https://host/file.whl", "name==1; python_version", "name==1; what == '1'"]
)
def test_what_cannot_be_read_is_never_taken_for_satisfied(text: str) -> None:
    with pytest.raises(ValueError, match=r"marker|requirement|specifier"):
        parse_requirement(text).applies()


def test_old_and_new_spelling_of_metadata_are_one() -> None:
    old = parse_requirement(f'nvidia_cudnn.cu12 (==9.1.0.70) ; platform_system == "{platform.system()}"')
    assert (old.name, old.pin, old.applies()) == ("nvidia-cudnn-cu12", "9.1.0.70", True)
    assert parse_requirement("cuda-toolkit[cublas,cudart]==13.0.2").pin == "13.0.2"
    assert parse_requirement("filelock").holds("1")


def test_library_is_found_with_the_hash_of_a_repaired_wheel() -> None:
    assert plain_name("/torch/lib/libcudart-d0da41ae.so.11.0") == "libcudart.so.11.0"
    paths = ("/a/libcudnn_ops.so.9", "/a/libcublasLt.so.12", "/a/libcudnn.so.9")
    assert locate("libcudnn", paths) == "/a/libcudnn.so.9"
    assert locate("libcublas", paths) is None


@pytest.mark.parametrize(
    ("value", "torch", "problem"),
    [
        ("expandable_segments:True", (2, 1, 0), None),
        ("expandable_segments:True", (2, 0, 1), "known from torch 2.1 on"),
        ("expandable_segments:true", (2, 6, 0), "must be True or False"),
        ("expandable_segment:True", (2, 6, 0), "no option"),
        ("garbage_collection_threshold:0.8,max_split_size_mb:128", (2, 0, 1), None),
        ("garbage_collection_threshold:1.5", (2, 6, 0), "must be below 1"),
        ("max_split_size_mb:8", (2, 6, 0), "must be at least 21"),
        ("roundup_power2_divisions:[256:1,512:2,>:8],backend:native", (2, 6, 0), None),
        ("roundup_power2_divisions:[256]", (2, 6, 0), "must be a power of two"),
        ("backend:cudaMalloc", (2, 6, 0), "must be native or cudaMallocAsync"),
        ("throw_on_cudamalloc_oom:True", (2, 11, 0), "known from torch 2.12 on"),
        ("True", (2, 6, 0), "is not key:value"),
        ("", (2, 6, 0), "it is empty"),
    ],
)
def test_allocator_setting_is_judged_by_the_torch_that_reads_it(
    value: str, torch: tuple[int, ...], problem: str | None
) -> None:
    found = allocator_problems(value, torch)
    assert (not found) if problem is None else problem in found[0]


def test_allocator_lists_keep_their_commas() -> None:
    pairs = parse_allocator("roundup_power2_divisions:[256:1,>:8],backend:native")
    assert pairs == (("roundup_power2_divisions", "[256:1,>:8]"), ("backend", "native"))


@pytest.mark.parametrize(
    ("variable", "torch", "read"),
    [
        ("PYTORCH_CUDA_ALLOC_CONF", (2, 0, 1), True),
        ("PYTORCH_CUDA_ALLOC_CONF", (2, 15, 0), True),
        ("PYTORCH_ALLOC_CONF", (2, 9, 1), False),
        ("PYTORCH_ALLOC_CONF", (2, 10, 0), True),
        ("PYTORCH_HIP_ALLOC_CONF", (2, 10, 0), False),
    ],
)
def test_each_torch_reads_its_own_variables(variable: str, torch: tuple[int, ...], read: bool) -> None:
    assert (allocator_variable_problem(variable, torch) is None) is read


@pytest.mark.parametrize(
    ("torch", "python", "works"),
    [
        ((2, 0, 1), (3, 10), True),
        ((2, 0, 1), (3, 11), False),
        ((2, 3, 1), (3, 12), False),
        ((2, 4, 1), (3, 12), True),
        ((2, 6, 0), (3, 13), True),
        ((2, 9, 1), (3, 14), False),
        ((2, 10, 0), (3, 14), True),
    ],
)
def test_torch_compile_has_its_newest_python(torch: tuple[int, ...], python: tuple[int, ...], works: bool) -> None:
    assert (why_compile_cannot_work(torch, python) is None) is works


@pytest.mark.parametrize(
    ("capability", "flags", "runs"),
    [
        ((8, 9), ["sm_86"], True),
        ((9, 0), ["sm_80", "sm_86"], False),
        ((10, 3), ["sm_100"], True),
        ((12, 0), ["sm_50", "sm_90"], False),
        ((12, 0), ["sm_90", "compute_90"], True),
        ((12, 1), ["sm_120"], True),
        ((9, 0), ["sm_90a"], True),
        ((10, 3), ["sm_100a"], False),
        ((10, 3), ["sm_100f"], True),
        ((8, 0), ["sm_86"], False),
        ((8, 0), ["compute_90"], False),
    ],
)
def test_code_runs_on_its_own_major_and_ptx_on_what_comes_later(
    capability: tuple[int, int], flags: list[str], runs: bool
) -> None:
    assert covered(capability, flags) is runs
