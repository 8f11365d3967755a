"""What a host can run: each rule by itself, and that what isn't known is said and not guessed."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from gpuimg.errors import RequestError
from gpuimg.facts import UNKNOWN, Chip, Gpu, Matrix, Stack
from gpuimg.matrix import load_matrix
from gpuimg.matrix.answer import groups, names, what_helps
from gpuimg.matrix.query import Answer, Host, HostGpu, Verdict, Wishes, judge, select, select_compatible
from gpuimg.matrix.wishes import read_host, read_wishes
from gpuimg.versions import ComputeCapability, CudaVersion, DriverVersion, Platform, PythonVersion
from tests.unit.stacks import a_platform, a_stack, with_stacks

MATRIX = load_matrix()
BRANCHES = st.integers(450, 620)
ALL_CHIPS = "3.5 3.7 5.0 6.0 7.0 7.5 8.0 8.6 8.9 9.0 10.0 12.0"


def host(driver: str | None = None, *gpus: str) -> Host:
    """A host by driver and compute capabilities."""
    return Host(
        driver=None if driver is None else DriverVersion.parse(driver),
        gpus=tuple(HostGpu(label=None, compute_capability=ComputeCapability.parse(gpu)) for gpu in gpus),
    )


def verdict(name: str, code: str | None, on: Host, matrix: Matrix = MATRIX) -> Verdict:
    return judge(a_stack(name, a_platform(code=code)), on, matrix)


# --- drivers and CUDA ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "name", "answer"),
    [
        ("450.80.02", "2.6.0-cu118", Answer.RUNS),
        ("450.51.06", "2.6.0-cu118", Answer.CANNOT),
        ("525.60.13", "2.9.1-cu128", Answer.RUNS),
        ("525.60.11", "2.9.1-cu128", Answer.CANNOT),
        ("575.51.03", "2.15.0-cu132", Answer.CANNOT),
        ("580.65.06", "2.15.0-cu132", Answer.RUNS),
        ("610.43.02", "2.1.2-cu121", Answer.RUNS),
    ],
)
def test_a_driver_runs_every_release_of_a_cuda_major(driver: str, name: str, answer: Answer) -> None:
    assert verdict(name, ALL_CHIPS, host(driver)).answer is answer


def test_the_reason_names_both_drivers_and_the_cuda_major() -> None:
    found = verdict("2.15.0-cu132", ALL_CHIPS, host("535.104"))
    assert found.reasons == ("driver 535.104 is below 580, which CUDA 13 needs",)


@pytest.mark.parametrize(
    ("driver", "answer"), [("525", Answer.UNKNOWN), ("525.60", Answer.UNKNOWN), ("524", Answer.CANNOT)]
)
def test_a_branch_alone_does_not_tell_the_release(driver: str, answer: Answer) -> None:
    """525 may be 525.60.11, which doesn't run CUDA 12, or 525.85.05, which does."""
    assert verdict("2.6.0-cu124", ALL_CHIPS, host(driver)).answer is answer


@pytest.mark.parametrize(("driver", "noted"), [("535.104.05", True), ("550.54.14", False), ("580.65.06", False)])
def test_an_older_driver_runs_it_with_the_limit_on_ptx(driver: str, noted: bool) -> None:
    found = verdict("2.6.0-cu124", ALL_CHIPS, host(driver))
    assert found.answer is Answer.RUNS
    assert any("PTX" in note for note in found.notes) == noted
    assert not found.reasons


@given(st.sampled_from(MATRIX.stacks), st.sampled_from(MATRIX.chips), st.tuples(BRANCHES, BRANCHES))
def test_a_newer_driver_takes_only_chips_away_that_it_dropped(
    stack: Stack, chip: Chip, branches: tuple[int, int]
) -> None:
    older, newer = sorted(branches)
    gpu = str(chip.compute_capability)
    first, second = (judge(stack, host(f"{branch}.999.99", gpu), MATRIX).answer for branch in (older, newer))
    if chip.last_driver is None or newer <= chip.last_driver.parts[0]:
        assert list(Answer).index(second) <= list(Answer).index(first)


# --- chips and code --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpu", "code", "answer"),
    [
        ("8.9", "8.6", Answer.RUNS),
        ("8.6", "8.9", Answer.CANNOT),
        ("10.0", "9.0", Answer.CANNOT),
        ("10.3", "10.0", Answer.RUNS),
        ("12.1", "12.0", Answer.RUNS),
        ("12.0", "10.0", Answer.CANNOT),
        ("7.5", "7.0", Answer.RUNS),
        ("9.0", None, Answer.UNKNOWN),
    ],
)
def test_a_chip_runs_code_of_its_major_up_to_its_minor(gpu: str, code: str | None, answer: Answer) -> None:
    assert verdict("2.9.1-cu128", code, host(None, gpu)).answer is answer


def test_ptx_serves_a_chip_that_its_cuda_knows() -> None:
    found = verdict("2.9.1-cu128", "9.0+PTX", host(None, "10.0"))
    assert found.answer is Answer.RUNS
    assert found.notes == ("only PTX for compute capability 10.0, and PTX of CUDA 12.8 needs driver 570.86.10",)


def test_ptx_of_a_higher_capability_is_no_help() -> None:
    assert verdict("2.9.1-cu128", "12.0+PTX", host(None, "10.0")).answer is Answer.CANNOT


@pytest.mark.parametrize(
    ("driver", "answer"),
    [("570.86.10", Answer.RUNS), ("570.80.01", Answer.CANNOT), ("570.86", Answer.UNKNOWN)],
)
def test_ptx_needs_the_driver_of_its_toolkit(driver: str, answer: Answer) -> None:
    assert verdict("2.9.1-cu128", "9.0+PTX", host(driver, "10.0")).answer is answer


def test_ptx_for_a_chip_that_its_cuda_does_not_know_is_no_promise() -> None:
    """CUDA 11.8 is older than Blackwell: the driver would compile the PTX, but nobody says that the libraries work."""
    found = verdict("2.7.1-cu118", "3.7+PTX 9.0", host(None, "12.0"))
    assert found.answer is Answer.UNKNOWN
    assert "newer than CUDA 11.8" in found.reasons[0]


def test_ptx_whose_driver_is_unknown_is_unknown() -> None:
    cudas = tuple(dataclasses.replace(row, toolkit_driver=UNKNOWN) for row in MATRIX.cudas)
    matrix = dataclasses.replace(MATRIX, cudas=cudas)
    assert verdict("2.9.1-cu128", "9.0+PTX", host("580.65.06", "10.0"), matrix).answer is Answer.UNKNOWN
    assert "is unknown" in verdict("2.9.1-cu128", "9.0", host("580.65.06", "9.0"), matrix).notes[0]


@pytest.mark.parametrize(("code", "answer"), [("8.7", Answer.RUNS), ("8.0 8.6", Answer.CANNOT)])
def test_a_jetson_runs_only_its_own_code(code: str, answer: Answer) -> None:
    """NVIDIA: binary compatibility is not supported for Tegra, nor between desktop and Tegra."""
    found = verdict("2.9.1-cu128", code, host(None, "8.7"))
    assert found.answer is answer
    assert not found.reasons or "a Jetson takes no other chip's" in found.reasons[0]


# --- chips and drivers -----------------------------------------------------------------------------------------------


def test_a_chip_needs_a_driver_that_knows_it() -> None:
    found = verdict("2.9.1-cu128", "12.0", host("535.104.05", "12.0"))
    assert found.answer is Answer.CANNOT
    assert found.reasons == ("driver 535.104.05 is below 570.26, the first for compute capability 12.0",)


def test_a_chip_loses_its_driver() -> None:
    found = verdict("2.9.1-cu128", "7.0", host("595.45.04", "7.0"))
    assert found.answer is Answer.CANNOT
    assert "580 was the last branch" in found.reasons[0]
    assert verdict("2.9.1-cu128", "7.0", host("580.95.05", "7.0")).answer is Answer.RUNS


def test_a_first_driver_that_is_only_derived_refuses_nothing() -> None:
    """580 is known to run GB10; that 575 doesn't, nobody says."""
    found = verdict("2.9.1-cu128", "12.0", host("575.51.03", "12.1"))
    assert found.answer is Answer.UNKNOWN
    assert found.reasons == ("whether driver 575.51.03 runs compute capability 12.1 is unknown; 580 does",)


def test_a_chip_without_a_known_driver_is_unknown() -> None:
    found = verdict("2.9.1-cu128", "8.7", host("580.65.06", "8.7"))
    assert found.answer is Answer.UNKNOWN
    assert "which driver is the first" in found.reasons[0]


def test_every_gpu_of_a_host_must_run_it() -> None:
    assert verdict("2.9.1-cu128", "7.5", host(None, "7.5", "12.0")).answer is Answer.CANNOT
    assert verdict("2.9.1-cu128", "7.5 12.0", host(None, "7.5", "12.0")).answer is Answer.RUNS


def test_what_cannot_run_is_not_called_unknown() -> None:
    """The driver is too old whatever the code is for."""
    assert verdict("2.15.0-cu132", None, host("535.104.05", "9.0")).answer is Answer.CANNOT


# --- platforms -------------------------------------------------------------------------------------------------------

TWO = a_stack("2.9.1-cu128", a_platform(code="7.5 9.0"), a_platform(Platform.ARM64, code="9.0 10.0"))


def test_a_verdict_names_the_platforms_that_it_is_about() -> None:
    assert judge(TWO, host(None, "7.5"), MATRIX).platforms == (Platform.AMD64,)
    assert judge(TWO, host(None, "9.0"), MATRIX).platforms == (Platform.AMD64, Platform.ARM64)
    assert judge(TWO, host(None, "7.5"), MATRIX, wishes=Wishes(platform=Platform.ARM64)).answer is Answer.CANNOT


def test_a_reason_on_one_platform_is_none_beside_one_on_all() -> None:
    """7.5 has code on amd64: only 12.0 keeps it from running there."""
    found = judge(TWO, host(None, "7.5", "12.0"), MATRIX)
    assert found.reasons == ("no code for compute capability 12.0",)


def test_reasons_that_differ_by_platform_name_it() -> None:
    found = judge(TWO, host(None, "7.5", "10.0"), MATRIX)
    assert found.reasons == (
        "no code for compute capability 10.0 (linux/amd64)",
        "no code for compute capability 7.5 (linux/arm64)",
    )


# --- what is selected ------------------------------------------------------------------------------------------------

SMALL = with_stacks(
    MATRIX,
    a_stack("2.5.1-cu121", a_platform(pythons="3.12")),
    a_stack("2.6.0-cu118", a_platform(pythons="3.12")),
    a_stack("2.6.0-cu124", a_platform(pythons="3.12")),
    a_stack("2.11.0-cu130", a_platform(pythons="3.12 3.13t"), a_platform(Platform.ARM64, pythons="3.12")),
)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["2.11.0-cu130", "2.6.0-cu124", "2.6.0-cu118", "2.5.1-cu121"]),
        ({"torch": ">=2.6"}, ["2.11.0-cu130", "2.6.0-cu124", "2.6.0-cu118"]),
        ({"torch": "2.6"}, ["2.6.0-cu124", "2.6.0-cu118"]),
        ({"torch": "2"}, ["2.11.0-cu130", "2.6.0-cu124", "2.6.0-cu118", "2.5.1-cu121"]),
        ({"torch": "2.5.1"}, ["2.5.1-cu121"]),
        ({"torch": ">=2.5,<2.6"}, ["2.5.1-cu121"]),
        ({"cuda": "12"}, ["2.6.0-cu124", "2.5.1-cu121"]),
        ({"cuda": "cu12"}, ["2.6.0-cu124", "2.5.1-cu121"]),
        ({"cuda": "12.4"}, ["2.6.0-cu124"]),
        ({"cuda": "cu124"}, ["2.6.0-cu124"]),
        ({"python": "3.13t"}, ["2.11.0-cu130"]),
        ({"python": "3.13"}, []),
        ({"platform": "linux/arm64"}, ["2.11.0-cu130"]),
        ({"platform": "linux/arm64", "python": "3.13t"}, []),
    ],
)
def test_stacks_are_selected_by_all_wishes_newest_first(wanted: dict[str, str], expected: list[str]) -> None:
    assert [stack.name for stack in select(SMALL, read_wishes(**wanted))] == expected


@pytest.mark.parametrize(("cuda", "expected"), [("12.1", ["2.6.0-cu121"]), ("12.4", []), ("12", ["2.6.0-cu121"])])
def test_a_compatible_name_is_selected_by_its_own_cuda(cuda: str, expected: list[str]) -> None:
    assert [row.name for row in select_compatible(SMALL, read_wishes(cuda=cuda))] == expected


@pytest.mark.parametrize(
    ("option", "text"),
    [
        *(("torch", text) for text in ("", "latest", "2.x", ">=two", "2.6.0.1.2")),
        *(("cuda", text) for text in ("", "1", "124", "cu1", "twelve", "12.4.1.2")),
        *(("python", text) for text in ("", "2.7", "three", "3")),
        *(("platform", text) for text in ("", "arm64", "windows/amd64")),
    ],
)
def test_a_filter_that_is_none_is_refused_with_how_to_write_it(option: str, text: str) -> None:
    with pytest.raises(RequestError, match=f"is no value for --{option}") as caught:
        read_wishes(**{option: text})
    assert caught.value.hints
    assert caught.value.exit_code == 2


def test_a_specifier_is_pep_440() -> None:
    assert read_wishes(torch="~=2.6").torch == SpecifierSet("~=2.6")
    assert read_wishes(cuda="12", python="3.12", platform="linux/amd64") == Wishes(
        cuda=12, python=PythonVersion(3, 12), platform=Platform.AMD64
    )
    assert read_wishes(cuda="12.4.1").cuda == CudaVersion(12, 4)


# --- names of GPUs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "capability"),
    [
        ("H100", "9.0"),
        ("h100", "9.0"),
        ("NVIDIA H100 80GB HBM3", "9.0"),
        ("NVIDIA H100 NVL", "9.0"),
        ("NVIDIA GH200 480GB", "9.0"),
        ("NVIDIA A100-SXM4-80GB", "8.0"),
        ("NVIDIA A100 80GB PCIe", "8.0"),
        ("NVIDIA A10", "8.6"),
        ("NVIDIA A10G", "8.6"),
        ("Tesla T4", "7.5"),
        ("Tesla V100-SXM2-16GB", "7.0"),
        ("NVIDIA GeForce RTX 4090", "8.9"),
        ("NVIDIA GeForce RTX 3080 Laptop GPU", "8.6"),
        ("rtx3090ti", "8.6"),
        ("4090", "8.9"),
        ("NVIDIA RTX 6000 Ada Generation", "8.9"),
        ("Quadro RTX 6000", "7.5"),
        ("NVIDIA RTX A6000", "8.6"),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "12.0"),
        ("NVIDIA GB10", "12.1"),
        ("DGX Spark", "12.1"),
        ("NVIDIA B200", "10.0"),
        ("NVIDIA Thor", "11.0"),
        ("Orin (nvgpu)", "8.7"),
        ("Hopper", "9.0"),
    ],
)
def test_a_gpu_is_known_by_what_nvidia_smi_prints_and_by_what_people_say(text: str, capability: str) -> None:
    (gpu,) = read_host(MATRIX, gpus=[text]).gpus
    assert gpu.compute_capability == ComputeCapability.parse(capability)


@pytest.mark.parametrize("product", MATRIX.gpus, ids=lambda product: str(product.name))
def test_every_product_is_found_by_its_own_name(product: Gpu) -> None:
    for prefix in ("", "NVIDIA ", "NVIDIA GeForce "):
        (gpu,) = read_host(MATRIX, gpus=[prefix + product.name]).gpus
        assert gpu.compute_capability == product.compute_capability


def test_every_product_has_a_chip_and_every_chip_a_source_for_its_drivers() -> None:
    chips = {chip.compute_capability for chip in MATRIX.chips}
    assert {gpu.compute_capability for gpu in MATRIX.gpus} <= chips
    for chip in MATRIX.chips:
        sourced = {field for source in chip.sources for field in source.fields}
        assert sourced >= {"architecture", "min_driver", "last_driver"}
        assert (chip.min_driver is UNKNOWN) == any(
            "min_driver" in source.fields and source.confidence == "unknown" for source in chip.sources
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RTX 6000", "may be several GPUs, of compute capability 7.5, 8.9, 12.0"),
        ("Blackwell", "may be several GPUs"),
        ("RTX", "may be several GPUs"),
        ("RTX 5095", "knows no GPU `RTX 5095`"),
        ("MI300X", "knows no GPU"),
        ("", "knows no GPU"),
        ("NVIDIA", "knows no GPU"),
        ("9.0", "is no GPU's name"),
        ("H100\x1b[2J", r"knows no GPU `H100\\x1b\[2J`"),
    ],
)
def test_a_name_that_is_none_or_several_is_refused(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read_host(MATRIX, gpus=[text])
    assert any("--compute-capability" in hint for hint in caught.value.hints)


def test_the_nearest_names_are_offered() -> None:
    with pytest.raises(RequestError) as caught:
        read_host(MATRIX, gpus=["RTX 5095"])
    assert "RTX 5090" in caught.value.hints[0]


@pytest.mark.parametrize("text", ["9", "9.9", "12.0+PTX", "sm_90", ""])
def test_a_capability_that_no_chip_has_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"compute.capability"):
        read_host(MATRIX, capabilities=[text])


@pytest.mark.parametrize("text", ["", "r535", "12", "535.104.05.1", "five"])
def test_a_driver_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="is no value for --driver"):
        read_host(MATRIX, driver=text)


@given(st.text(max_size=40), st.sampled_from(["driver", "gpu", "capability", "torch", "cuda", "python", "platform"]))
def test_no_text_crashes_the_reader(text: str, option: str) -> None:
    """Anything is a value or a RequestError that shows it harmlessly."""
    try:
        match option:
            case "gpu":
                read_host(MATRIX, gpus=[text])
            case "capability":
                read_host(MATRIX, capabilities=[text])
            case "driver":
                read_host(MATRIX, driver=text)
            case _:
                read_wishes(**{option: text})
    except RequestError as error:
        assert "\x1b" not in error.message  # noqa: PT017 - both outcomes are fine


# --- the answer in words ---------------------------------------------------------------------------------------------


def test_stacks_are_named_in_few_words_without_ambiguity() -> None:
    among = tuple(
        a_stack(f"2.{minor}.0-{variant}") for minor in reversed(range(6)) for variant in ("cu130", "cu126", "cu118")
    )
    assert names(among, among) == "all 18"
    assert names(among[:2], among) == "2.5.0-cu130, 2.5.0-cu126"
    of_13 = tuple(stack for stack in among if stack.cuda.major == 13)
    assert names(of_13, among) == "all 6 of cu130"
    old_11 = tuple(stack for stack in among if stack.cuda.major == 11 and stack.torch.minor < 5)
    assert names((*of_13, *old_11), among) == "all 6 of cu130, 2.0.0-cu118 to 2.4.0-cu118 (5)"


def test_what_all_share_is_said_once_and_first() -> None:
    stacks = (a_stack("2.15.0-cu132", a_platform(code="12.0")), a_stack("2.6.0-cu124", a_platform(code="9.0")))
    verdicts = [judge(stack, host("535.104", "12.0"), MATRIX) for stack in stacks]
    found = groups(verdicts, Answer.CANNOT)
    assert [(len(group.stacks), len(group.texts)) for group in found] == [(2, 1), (1, 1), (1, 1)]
    assert "is below 570.26, the first for" in found[0].texts[0]
    assert "which CUDA 13 needs" in found[1].texts[0]
    assert "no code for" in found[2].texts[0]


@pytest.mark.parametrize(
    ("driver", "gpu", "torch", "expected"),
    [
        (
            "535.104",
            "12.0",
            None,
            ("with driver 570.26 or newer, 2.9.1-cu128", "with driver 580 or newer, 2.15.0-cu132"),
        ),
        ("535.104", "9.0", None, ("with driver 580 or newer, 2.15.0-cu132 runs",)),
        ("595.45.04", "7.0", None, ("with a driver of branch 580, 2.9.1-cu128 runs",)),
        (None, "12.0", "<2.7", ("without the filters 2.15.0-cu132 is the newest that runs",)),
        (
            "535.104",
            "12.0",
            "<2.7",
            ("without the filters and with driver 570.26", "without the filters and with driver 580"),
        ),
        ("580.65.06", "9.0", None, ()),
        (None, "3.5", None, ()),
    ],
)
def test_what_would_help_is_said(driver: str | None, gpu: str, torch: str | None, expected: tuple[str, ...]) -> None:
    matrix = with_stacks(
        MATRIX,
        a_stack("2.15.0-cu132", a_platform(code="8.0 9.0 12.0")),
        a_stack("2.9.1-cu128", a_platform(code="7.0 9.0 12.0")),
        a_stack("2.6.0-cu118", a_platform(code="7.0 9.0")),
    )
    wishes = read_wishes(torch=torch)
    verdicts = [judge(stack, host(driver, gpu), matrix, wishes=wishes) for stack in select(matrix, wishes)]
    said = what_helps(verdicts, host(driver, gpu), wishes, matrix)
    assert len(said) == len(expected)
    for line, start in zip(said, expected, strict=True):
        assert line.startswith(start)


def test_a_chip_that_its_cuda_can_t_compile_for_is_none_whatever_else_is_unknown(matrix: Matrix) -> None:
    dim = a_stack("2.13.0-cu129", a_platform(code=None))
    small = with_stacks(matrix, dim)
    assert judge(dim, host(None, "3.7"), small).answer is Answer.CANNOT
    assert judge(dim, host(None, "9.0"), small).answer is Answer.UNKNOWN


def test_a_gpu_with_a_cpu_of_its_own_is_judged_for_that_cpu(matrix: Matrix) -> None:
    both = a_stack("2.9.0-cu130", a_platform(code="9.0"), a_platform(Platform.ARM64, code=None))
    one = a_stack("2.5.0-cu124", a_platform(code="9.0"))
    small = with_stacks(matrix, both, one)
    grace = read_host(matrix, gpus=["GH200"])
    assert judge(both, grace, small).answer is Answer.UNKNOWN
    assert judge(one, grace, small).reasons == ("no build for linux/arm64",)
    card = read_host(matrix, gpus=["H100"])
    assert judge(both, card, small).platforms == (Platform.AMD64,)
    assert judge(both, card, small, wishes=Wishes(platform=Platform.ARM64)).answer is Answer.UNKNOWN
