"""Records and typed rows → rows: what counts where the two speak of the same, and what is left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
import yaml
from packaging.version import Version

from gpuimg.errors import UpstreamError
from gpuimg.facts import Source
from gpuimg.update.builds import collect_builds
from gpuimg.update.derive import derive_stacks, dump_stacks
from gpuimg.update.pins import exact, wanted
from gpuimg.update.record import Inspected, Project, Record, RecordedMetadata, RecordedWheel, Release
from gpuimg.update.typed import Binary, Capabilities, IndexBuild, PythonRule, Typed
from gpuimg.versions import ComputeCapability, CudaVersion, Platform, PythonVersion
from gpuimg.wheels import Target

DAY = date(2026, 11, 24)
PY311 = PythonVersion(3, 11)
CU124, CU130 = CudaVersion(12, 4), CudaVersion(13, 0)
AMD64 = 'platform_machine == "x86_64"'


def source(*fields: str) -> tuple[Source, ...]:
    return (Source(fields=fields, source="a look", confidence="stated"),)


def wheel(file: str, *, yanked: str | None = None, metadata: int | None = 0) -> RecordedWheel:
    return RecordedWheel(
        file=file, size_bytes=1, sha256=f"{hash(file) & 0xFF:064x}", uploaded=DAY, yanked=yanked, metadata=metadata
    )


def release(
    project: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    tags: Sequence[str] = ("cp310-cp310", "cp311-cp311"),
    machines: Sequence[str] = ("x86_64",),
    cuda: str | None = None,
    platform: str = "manylinux_2_28",
    yanked: str | None = None,
) -> Release:
    files = [
        wheel(f"{project.replace('-', '_')}-{version}-{tag}-{platform}_{machine}.whl", yanked=yanked)
        for tag in tags
        for machine in machines
    ]
    inspected = tuple(
        Inspected(file=next(file.file for file in files if file.machine == machine), cuda=cuda, git_version=None)
        for machine in machines
        if cuda is not None
    )
    return Release(
        version=Version(version),
        files=tuple(files),
        metadata=(RecordedMetadata(requires_python=None, requires_dist=tuple(requires)),),
        inspected=inspected,
    )


def record(**projects: Sequence[Release]) -> Record:
    return Record(
        index="pypi",
        read_on=DAY,
        projects=tuple(
            Project(project=name.replace("_", "-"), variant=None, releases=tuple(releases))
            for name, releases in projects.items()
        ),
    )


def typed(**rows: Any) -> Typed:
    defaults: dict[str, Any] = {
        "oldest_torch": Version("2.0.0"),
        "index_builds": (),
        "binaries": (
            Binary(torch=">=2", cuda=None, cxx11_abi=True, glibc=Version("2.17"), sources=source("cxx11_abi", "glibc")),
        ),
        "compute_capabilities": (),
        "companions": (),
        "left_out": (PythonRule(torch=None, cuda=None, python="<3.9", reason="too old", sources=source("python")),),
    }
    return Typed(**{**defaults, **rows})


ASKS = ("nvidia-cudnn-cu12==9.1.0.70", "nvidia-nccl-cu12==2.21.5", f"triton==3.2.0; {AMD64}")


def whole(**changes: Any) -> Record:
    """PyPI with one release and what goes with it."""
    return record(
        torch=[release("torch", "2.6.0", **{"requires": ASKS, "cuda": "12.4", **changes})],
        torchvision=[release("torchvision", "0.21.0", requires=["torch==2.6.0"])],
        torchaudio=[release("torchaudio", "2.6.0", requires=["torch==2.6.0"])],
        triton=[release("triton", "3.2.0")],
    )


def derive(pypi: Record, rows: Typed | None = None) -> list[dict[str, Any]]:
    rows = rows or typed()
    stacks: list[dict[str, Any]] = derive_stacks(collect_builds({"pypi": pypi}, rows), rows, last_seen="never")[
        "stacks"
    ]
    return stacks


def test_a_row_says_what_the_wheels_say() -> None:
    (row,) = derive(whole())
    assert row["name"] == "2.6.0-cu124"
    assert (row["cudnn"], row["nccl"], row["triton"]) == ("9.1.0.70", "2.21.5", "3.2.0")
    assert (row["torchvision"], row["torchaudio"], row["last_seen"]) == ("0.21.0", "2.6.0", None)
    (on,) = row["platforms"]
    assert (on["platform"], on["index"], on["libraries"]) == ("linux/amd64", "pypi", "wheels")
    assert (on["pythons"], on["glibc"]) == (["3.10", "3.11"], "2.28")


def test_what_nobody_knows_is_unknown_and_says_so() -> None:
    (row,) = derive(whole(requires=("numpy", f"triton==3.2.0; {AMD64}")))
    assert (row["cudnn"], row["nccl"]) == ("unknown", "unknown")
    assert row["platforms"][0]["libraries"] == "bundled"
    assert row["platforms"][0]["compute_capabilities"] == "unknown"
    confidence = {field: item["confidence"] for item in row["sources"] for field in item["fields"]}
    assert confidence["compute_capabilities"] == "unknown"


def test_text_of_the_rows_loads_and_dumps_to_the_same_bytes() -> None:
    text = dump_stacks({"schema": 1, "stacks": derive(whole())})
    assert dump_stacks(yaml.safe_load(text)) == text


def test_cpu_builds_and_old_releases_are_no_stacks() -> None:
    assert derive(whole(cuda=None)) == []
    pypi = record(torch=[release("torch", "1.13.1", requires=ASKS, cuda="11.7")])
    assert derive(pypi) == []


def test_yanked_wheels_count_as_none() -> None:
    assert derive(whole(yanked="broken")) == []


def test_free_threaded_pythons_are_pythons_of_their_own() -> None:
    tags = ("cp313-cp313", "cp313-cp313t")
    pypi = record(
        torch=[release("torch", "2.9.0", requires=ASKS, cuda="12.4", tags=tags)],
        triton=[release("triton", "3.2.0", tags=tags[:1])],
    )
    (row,) = derive(pypi)
    assert row["platforms"][0]["pythons"] == ["3.13"]
    assert row["platforms"][0]["left_out"] == [{"python": "3.13t", "reason": "triton 3.2.0 has no wheel for it"}]


def test_a_python_for_which_torch_asks_for_no_triton_is_left_out() -> None:
    asks = (*ASKS[:2], f'triton==3.2.0; {AMD64} and python_version < "3.11"')
    (row,) = derive(whole(requires=asks))
    assert row["platforms"][0]["pythons"] == ["3.10"]
    assert "asks for no triton on Python 3.11" in row["platforms"][0]["left_out"][0]["reason"]


def test_a_python_may_be_left_out_of_some_builds_alone() -> None:
    rule = PythonRule(
        torch="==2.6.0", cuda=CU124, python="3.11", reason="numpy has no wheel for it", sources=source("python")
    )
    (row,) = derive(whole(), typed(left_out=(rule,)))
    assert row["platforms"][0]["pythons"] == ["3.10"]
    assert row["platforms"][0]["left_out"] == [{"python": "3.11", "reason": "numpy has no wheel for it"}]
    (row,) = derive(whole(), typed(left_out=(dataclasses.replace(rule, cuda=CU130),)))
    assert row["platforms"][0]["pythons"] == ["3.10", "3.11"]


def test_a_companion_that_names_no_one_torch_is_the_newest_that_allows_it() -> None:
    pypi = record(
        torch=[release("torch", "2.16.0", requires=ASKS, cuda="12.4")],
        torchvision=[
            release("torchvision", "0.29.0", requires=["torch==2.14.0"]),
            release("torchvision", "0.29.2", requires=["torch>=2.14.0"]),
            release("torchvision", "0.30.0", requires=["torch>=2.14.0"]),
            release("torchvision", "0.31.0", requires=["torch>=2.17"]),
        ],
        torchaudio=[release("torchaudio", "2.11.0")],
        triton=[release("triton", "3.2.0")],
    )
    (row,) = derive(pypi)
    assert (row["torchvision"], row["torchaudio"]) == ("0.30.0", None)
    (source,) = [item for item in row["sources"] if item["fields"] == ["torchvision"]]
    assert source["confidence"] == "derived"


def test_the_newest_triton_that_a_range_allows() -> None:
    pypi = record(
        torch=[release("torch", "2.14.0", requires=[*ASKS[:2], "triton~=3.8.0"], cuda="12.4")],
        triton=[
            release("triton", "3.8.0"),
            release("triton", "3.8.1"),
            release("triton", "3.8.2", yanked="broken"),
            release("triton", "3.9.0"),
        ],
    )
    assert derive(pypi)[0]["triton"] == "3.8.1"
    with pytest.raises(UpstreamError, match="asks for triton"):
        derive(record(torch=[release("torch", "2.14.0", requires=["triton==9"], cuda="12.4")], triton=[]))


def test_cuda_toolkit_is_written_out() -> None:
    toolkit = Project(
        project="cuda-toolkit",
        variant=None,
        releases=(
            release(
                "cuda-toolkit",
                "13.0.2.0",
                requires=[
                    'nvidia-cublas==13.1.0.3.*; extra == "cublas"',
                    'nvidia-nvjitlink<14,>=13.0.88; extra == "cusparse"',
                    'nvidia-cusparse==12.6.3.3.*; extra == "cusparse"',
                    'nvidia-npp==13.0.1.2.*; extra == "npp"',
                    'nvidia-cudla==13.0.0; extra == "cublas" and platform_machine == "aarch64"',
                ],
            ),
        ),
    )
    asked = wanted(
        ["cuda-toolkit[cublas,cusparse]==13.0.2", "nvidia-nvjitlink==13.0.88"],
        platform=Platform.AMD64,
        python=PY311,
        toolkit=toolkit,
    )
    assert sorted(asked) == ["cuda-toolkit", "nvidia-cublas", "nvidia-cusparse", "nvidia-nvjitlink"]
    assert exact(asked["nvidia-cublas"]) == Version("13.1.0.3")
    assert exact(asked["nvidia-nvjitlink"]) is None
    assert asked["nvidia-nvjitlink"].specifier.contains("13.0.88")
    assert not asked["nvidia-nvjitlink"].specifier.contains("13.1")
    with pytest.raises(LookupError):
        wanted(["cuda-toolkit[cublas]==99"], platform=Platform.AMD64, python=PY311, toolkit=toolkit)


def test_the_wheels_are_right_where_people_say_otherwise() -> None:
    told = IndexBuild(
        torch=(Version("2.6.0"),),
        cuda=CU124,
        platforms=(Platform.AMD64, Platform.ARM64),
        cudnn=Version("1.0"),
        nccl=Version("1.0"),
        libraries="unknown",
        requirements=(),
        sources=source("torch", "cuda", "platforms", "cudnn", "nccl", "libraries", "requirements"),
    )
    only_there = dataclasses.replace(told, platforms=(Platform.AMD64,))
    (row,) = derive(whole(), typed(index_builds=(only_there,)))
    assert row["cudnn"] == "9.1.0.70"
    assert row["last_seen"] is None
    alone = record(torch=[release("torch", "2.6.0", requires=ASKS, cuda="12.4")], triton=[release("triton", "3.2.0")])
    with pytest.raises(UpstreamError, match=r"cuDNN differs between platforms: 1\.0, 9\.1\.0\.70"):
        derive(alone, typed(index_builds=(told,)))


def test_chips_are_those_of_the_build_s_own_platform() -> None:
    chips = tuple(
        Capabilities(
            torch=(Version("2.6.0"),),
            cuda=CU124,
            platform=platform,
            compute_capabilities=(ComputeCapability(major, 0),),
            sources=source("compute_capabilities"),
        )
        for platform, major in ((Platform.AMD64, 8), (Platform.ARM64, 9))
    )
    both = ("x86_64", "aarch64")
    asks = (*ASKS[:2], "triton==3.2.0")
    pypi = record(
        torch=[release("torch", "2.6.0", requires=asks, cuda="12.4", machines=both)],
        triton=[release("triton", "3.2.0", machines=both)],
    )
    (row,) = derive(pypi, typed(compute_capabilities=chips))
    assert [on["compute_capabilities"] for on in row["platforms"]] == [["8.0"], ["9.0"]]


@pytest.mark.parametrize(
    ("python", "tag", "takes"),
    [
        ("3.11", "cp311-cp311-manylinux_2_28_x86_64", True),
        ("3.11", "cp39-abi3-manylinux2014_x86_64", True),
        ("3.11", "py3-none-any", True),
        ("3.11", "cp312-cp312-manylinux_2_28_x86_64", False),
        ("3.11", "cp311-cp311-manylinux_2_35_x86_64", False),
        ("3.11", "cp311-cp311-manylinux_2_28_aarch64", False),
        ("3.13", "cp313-cp313t-manylinux_2_28_x86_64", False),
        ("3.13t", "cp313-cp313t-manylinux_2_28_x86_64", True),
        ("3.13t", "cp313-cp313-manylinux_2_28_x86_64", False),
        ("3.13t", "cp39-abi3-manylinux_2_28_x86_64", False),
        ("3.13t", "py3-none-any", True),
    ],
)
def test_a_target_takes_what_an_installer_would_take(python: str, tag: str, takes: bool) -> None:
    target = Target(python=PythonVersion.parse(python), platform=Platform.AMD64)
    assert target.takes(wheel(f"torch-2.6.0-{tag}.whl").tags) == takes
