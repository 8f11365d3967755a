"""What only several machines together show. Rates and GPUs in here are made up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from gpuimg.model import Check, Image, Measurement, Report, Status
from gpuimg.report.nodes import compare_nodes

IMAGE = Image(reference="a:1", id="sha256:1", tags=(), size_bytes=1, platform="linux/amd64", labels={})


def check(name: str, unit: str | None = None, **values: Any) -> Check:
    measured = {key: Measurement(value=value, unit=unit) for key, value in values.items()}
    return Check(name=name, group=name.partition(".")[0], status=Status.PASS, measured=measured)


def node(
    name: str, *checks: Check, torch: str | None = "2.6.0+cu124", gpu: str = "Made Up 9000", image: Image | None = None
) -> Report:
    python = None if torch is None else "3.11.2"
    gpus = ({"index": 0, "name": gpu}, {"index": 1, "name": gpu})
    return Report(image=image, torch=torch, python=python, gpus=gpus, checks=checks, seconds=2.0, node=name)


def pods(count: int) -> list[Report]:
    return [node(f"smoke-{index}-x2x4z") for index in range(count)]


def matmul(tflops: float | str) -> Check:
    return check("rate.matmul_bf16", "TFLOP/s", best=9e9, median=tflops)


def found(reports: list[Report], *, expected: int | None = None) -> Mapping[str, Check]:
    return {item.name.removeprefix("nodes."): item for item in compare_nodes(reports, expected=expected).checks}


# --- who reported ----------------------------------------------------------------------------------------------------


def test_all_that_were_expected_have_reported() -> None:
    reported = found(pods(3), expected=3)["reported"]
    assert reported.status is Status.PASS
    assert reported.measured["nodes"].value == 3


def test_missing_indexes_are_named() -> None:
    reports = [report for report in pods(6) if "-1-" not in str(report.node) and "-4-" not in str(report.node)]
    reported = found(reports, expected=8)["reported"]
    assert (reported.status, reported.reason) == (Status.FAIL, "no report of indexes 1, 4, 6, 7")


def test_a_gap_between_indexes_is_missed_without_being_asked() -> None:
    reported = found(pods(3)[1:])["reported"]
    assert (reported.status, reported.reason) == (Status.FAIL, "no report of index 0")


def test_pods_that_nobody_expected_are_named() -> None:
    reported = found(pods(3), expected=2)["reported"]
    assert reported.reason == "index 2 reported, beyond the 2 that were expected"


def test_machines_without_an_index_are_counted() -> None:
    reports = [node("rack-7"), node("rack-9")]
    assert found(reports)["reported"].status is Status.PASS
    assert found(reports, expected=3)["reported"].reason == "2 nodes reported, and 3 were expected"


def test_several_images_of_one_machine_are_one_node() -> None:
    other = replace(IMAGE, reference="b:1")
    reports = [node(name, image=image) for name in ("rack-7", "rack-9") for image in (IMAGE, other)]
    assert found(reports, expected=2)["reported"].status is Status.PASS


def test_a_pod_that_was_replaced_is_told() -> None:
    (notice,) = compare_nodes([*pods(2), node("smoke-1-7kq9d")], expected=2).notices
    assert notice.startswith("index 1 reported 2 times")


# --- the same everywhere ---------------------------------------------------------------------------------------------


def test_nodes_that_have_the_same_agree() -> None:
    agree = found(pods(2))["agree"]
    assert agree.status is Status.PASS
    assert agree.measured["torch"].value == "2.6.0+cu124"
    assert agree.measured["GPUs"].value == "2 x Made Up 9000"


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (node("odd", torch="2.6.0+cu126"), "torch: 2.6.0+cu124 on smoke-0-x2x4z, smoke-1-x2x4z; 2.6.0+cu126 on odd"),
        (node("odd", gpu="Made Up 8000"), "GPUs: 2 x Made Up 9000 on smoke-0-x2x4z, smoke-1-x2x4z; 2 x Made Up 8000"),
        (replace(node("odd"), gpus=()), "GPUs: 2 x Made Up 9000 on smoke-0-x2x4z, smoke-1-x2x4z; none on odd"),
        (replace(node("odd"), python="3.12.1"), "Python: 3.11.2 on smoke-0-x2x4z, smoke-1-x2x4z; 3.12.1 on odd"),
    ],
)
def test_the_odd_one_is_named(odd: Report, reason: str) -> None:
    agree = found([odd, *pods(2)])["agree"]
    assert agree.status is Status.FAIL
    assert str(agree.reason).startswith(reason)
    assert agree.remedy


@pytest.mark.parametrize(
    ("name", "key", "told"),
    [
        ("stack.torch", "cuda", "CUDA"),
        ("stack.cudnn", "cudnn", "cuDNN"),
        ("stack.nccl", "nccl", "NCCL"),
        ("host.driver", "driver", "driver"),
    ],
)
def test_libraries_and_driver_must_be_the_same(name: str, key: str, told: str) -> None:
    reports = [node("a", check(name, **{key: "1"})), node("b", check(name, **{key: "2"}))]
    assert found(reports)["agree"].reason == f"{told}: 1 on a; 2 on b"


def test_the_same_name_for_another_image_is_found() -> None:
    """A tag that moved between two pulls."""
    reports = [node("a", image=IMAGE), node("b", image=replace(IMAGE, id="sha256:2"))]
    assert found(reports)["agree"].reason == "image: sha256:1 on a; sha256:2 on b"


def test_different_images_need_not_agree() -> None:
    reports = [node("a", image=IMAGE), node("a", image=replace(IMAGE, reference="b:1"), torch="2.9.0+cu128")]
    assert found(reports)["agree"].status is Status.SKIP


def test_what_a_dead_guest_could_not_say_is_no_disagreement() -> None:
    dead = replace(node("dead", torch=None), gpus=())
    assert found([*pods(2), dead])["agree"].status is Status.PASS


# --- equally fast ----------------------------------------------------------------------------------------------------


def test_a_straggler_is_named_with_its_rate() -> None:
    reports = [node(name, matmul(rate)) for name, rate in (("a", 700), ("b", 690), ("c", 710), ("slow", 600))]
    rates = found(reports)["rates"]
    assert rates.status is Status.FAIL
    assert rates.reason == "rate.matmul_bf16: 600 TFLOP/s on slow, 14 % below the median of 4 nodes, 695"
    assert rates.data["rates"] == [
        {
            "rate": "rate.matmul_bf16",
            "unit": "TFLOP/s",
            "gpus": "2 x Made Up 9000",
            "median": 695,
            "bound": 0.10,
            "nodes": {"a": 700.0, "b": 690.0, "c": 710.0, "slow": 600.0},
        }
    ]


def test_the_usual_spread_of_one_model_is_no_straggler() -> None:
    rates = found([node(name, matmul(rate)) for name, rate in (("a", 700), ("b", 661), ("c", 736))])["rates"]
    assert rates.status is Status.PASS
    assert rates.measured["rate.matmul_bf16"] == Measurement(value=5.6, unit="% below")


@pytest.mark.parametrize("name", ["rate.h2d", "rate.d2h"])
def test_a_copy_may_be_slower_than_a_chip_but_not_half_as_fast(name: str) -> None:
    def rates(slow: float) -> Check:
        reports = [node(str(number), check(name, "GB/s", rate=rate)) for number, rate in enumerate((50, 50, slow))]
        return found(reports)["rates"]

    assert rates(42).status is Status.PASS
    assert rates(25).status is Status.FAIL


def test_a_link_between_gpus_that_is_down_shows() -> None:
    reports = [
        node(name, check("distributed.nccl", "GB/s", bus_all_reduce=rate))
        for name, rate in zip("abc", (300, 300, 90), strict=True)
    ]
    assert "distributed.nccl bus_all_reduce: 90 GB/s on c" in str(found(reports)["rates"].reason)


def test_of_two_nodes_none_is_called_slow() -> None:
    assert found([node("a", matmul(700)), node("b", matmul(70))])["rates"].status is Status.SKIP


def test_other_gpus_are_not_measured_by_these() -> None:
    small = [node(str(number), matmul(100), gpu="Made Up 1000") for number in range(2)]
    assert found([*small, *(node(name, matmul(700)) for name in "abc")])["rates"].status is Status.PASS


@pytest.mark.parametrize("value", ["nan", float("nan"), float("inf"), 0, -1, "fast"])
def test_what_is_no_rate_is_not_compared(value: float | str) -> None:
    reports = [node("a", matmul(700)), node("b", matmul(700)), node("c", matmul(value))]
    assert found(reports)["rates"].status is Status.SKIP


def test_a_rate_that_failed_its_own_check_is_not_compared() -> None:
    reports = [
        node(name, replace(matmul(rate), status=Status.FAIL)) for name, rate in zip("abc", (1, 2, 3), strict=True)
    ]
    assert found(reports)["rates"].status is Status.SKIP
