"""A report against an earlier one. The numbers are made up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gpuimg.model import Check, Measurement, Report, Status
from gpuimg.report.changes import render_comparison
from gpuimg.report.compare import Comparison, Pair, compare
from gpuimg.report.metrics import METRICS, Change, find_metric
from gpuimg.text import cell_width
from tests.unit.report.conftest import IMAGE, check, skip

GOLDEN = Path(__file__).parents[2] / "golden" / "reports"
H100 = {"index": 0, "name": "NVIDIA H100 80GB HBM3", "cc": "9.0", "memory_bytes": 85_045_000_000}
L4 = {**H100, "name": "NVIDIA L4", "cc": "8.9"}


def report(*checks: Check, gpus: tuple[Mapping[str, object], ...] = (H100,), name: str = IMAGE.reference) -> Report:
    return Report(
        image=replace(IMAGE, reference=name),
        torch="2.6.0+cu124",
        python="3.11.2",
        gpus=gpus,
        checks=checks,
        seconds=1.0,
    )


def measured_value(name: str, value: str, number: float | str, unit: str) -> Check:
    return replace(check(name), measured={value: Measurement(value=number, unit=unit)})


def pair(before: Report, now: Report) -> Pair:
    (found,) = compare([before], [now]).pairs
    return found


def told(before: Report, now: Report) -> dict[str, tuple[Change, str]]:
    return {item.subject: (item.change, item.text) for item in pair(before, now).differences}


def failed(name: str, reason: str) -> Check:
    return replace(check(name, Status.FAIL), reason=reason)


# --- checks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "now", "change", "text"),
    [
        (check("a.b"), failed("a.b", "it\nbroke"), Change.WORSE, "PASS → FAIL: it broke"),
        (check("a.b"), skip("a.b", "no GPU"), Change.WORSE, "PASS → SKIP: no GPU"),
        (skip("a.b"), failed("a.b", "it broke"), Change.WORSE, "SKIP → FAIL: it broke"),
        (failed("a.b", "it broke"), check("a.b"), Change.BETTER, "FAIL → PASS"),
        (skip("a.b"), check("a.b"), Change.BETTER, "SKIP → PASS"),
        (failed("a.b", "it broke"), skip("a.b", "no GPU"), Change.OTHER, "FAIL → SKIP: no GPU"),
    ],
)
def test_another_status_is_told(before: Check, now: Check, change: Change, text: str) -> None:
    assert told(report(before), report(now)) == {"a.b": (change, text)}


def test_a_check_that_held_and_is_gone_is_worse() -> None:
    before = report(check("a.held"), skip("a.skipped"), failed("a.failed", "it broke"))
    assert told(before, report()) == {"a.held": (Change.WORSE, "passed before, and is gone")}


def test_a_check_that_was_not_asked_for_is_not_missed() -> None:
    found = compare([report(check("a.held"))], [report()], asked=lambda missing: missing.group != "a")
    assert found.worse == 0


def test_a_new_check_is_new_whatever_came_of_it() -> None:
    now = report(check("a.b"), failed("a.c", "it broke"))
    assert told(report(), now) == {"a.b": (Change.NEW, "PASS"), "a.c": (Change.NEW, "FAIL: it broke")}


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "unit", "noise", "worse", "better"),
    [
        ("rate.matmul_bf16", "best", "TFLOP/s", (700.0, 666.0), (700.0, 664.0), (700.0, 736.0)),
        ("rate.matmul_bf16", "median", "TFLOP/s", (700.0, 734.0), (700.0, 600.0), (700.0, 800.0)),
        ("rate.memory", "rate", "GB/s", (2000.0, 1901.0), (2000.0, 1899.0), (2000.0, 2101.0)),
        ("distributed.nccl", "bus_all_reduce", "GB/s", (300.0, 290.0), (300.0, 200.0), (200.0, 300.0)),
        ("numerics.matmul_bf16_rounding", "max_z", "u", (3.0, 5.9), (3.0, 6.1), (6.1, 3.0)),
        ("numerics.matmul_bf16_rounding", "max_z_reduced", "u", (0.01, 1.9), (0.01, 2.1), (3.0, 0.0)),
        ("numerics.conv", "error_fp16_weight", "u", (2.0, 3.9), (2.0, 4.1), (4.1, 2.0)),
        ("allocator.saving_bert", "peak_saving", "%", (20.0, 15.5), (20.0, 14.5), (-4.0, 2.0)),
        ("allocator.saving_long", "cap_saving", "%", (5.0, 9.5), (-1.0, -7.0), (5.0, 11.0)),
    ],
)
def test_a_value_is_worse_from_its_noise_on(
    name: str,
    value: str,
    unit: str,
    noise: tuple[float, float],
    worse: tuple[float, float],
    better: tuple[float, float],
) -> None:
    def changes(numbers: tuple[float, float]) -> list[Change]:
        before, now = (report(measured_value(name, value, number, unit)) for number in numbers)
        return [change for change, _ in told(before, now).values()]

    assert changes(noise) == []
    assert changes(worse) == [Change.WORSE]
    assert changes(better) == [Change.BETTER]


def test_both_values_and_their_distance_are_told() -> None:
    before = report(check("rate.matmul_bf16", best=(700.0, "TFLOP/s"), median=(690.0, "TFLOP/s")))
    now = report(check("rate.matmul_bf16", best=(630.0, "TFLOP/s"), median=(600.0, "TFLOP/s")))
    (told_of,) = pair(before, now).differences
    assert told_of.text == "best 700 → 630 TFLOP/s (-10.0 %), median 690 → 600 TFLOP/s (-13.0 %)"
    before = report(check("allocator.saving_bert", peak_saving=(20.0, "%")))
    now = report(check("allocator.saving_bert", peak_saving=(10.0, "%")))
    (told_of,) = pair(before, now).differences
    assert told_of.text == "peak_saving 20 → 10 % (-10.0 points)"


@pytest.mark.parametrize(("size", "change"), [(1.04, None), (1.06, Change.WORSE), (0.94, Change.BETTER)])
def test_an_image_that_grew_is_worse(size: float, change: Change | None) -> None:
    before = report()
    assert before.image is not None
    grown = replace(before.image, size_bytes=int(before.image.size_bytes * size))
    found = told(before, replace(before, image=grown))
    assert {subject: item[0] for subject, item in found.items()} == ({"image size": change} if change else {})


def test_a_datasheet_is_no_measurement() -> None:
    assert find_metric("rate.matmul_bf16", "peak", "TFLOP/s") is None
    assert find_metric("rate.memory", "rate", "%") is None
    assert {metric.unit for metric in METRICS} == {"TFLOP/s", "GB/s", "u", "%"}


def test_what_did_not_run_has_no_value() -> None:
    before = report(check("numerics.matmul_tf32_rounding", Status.SKIP, max_z=(0.1, "u")))
    now = report(check("numerics.matmul_tf32_rounding", Status.SKIP, max_z=(9.0, "u")))
    assert told(before, now) == {}


@pytest.mark.parametrize("value", ["nan", math.nan, math.inf, 10**400, "fast"])
def test_what_is_no_number_is_compared_with_nothing(value: float | str) -> None:
    before, now = (report(measured_value("rate.memory", "rate", number, "GB/s")) for number in (2000.0, value))
    assert told(before, now) == told(now, before) == {}


# --- what is around it ------------------------------------------------------------------------------------------------


def measured(gpus: tuple[Mapping[str, object], ...], rate: float) -> Report:
    return report(
        check("rate.memory", rate=(rate, "GB/s")),
        check("distributed.nccl", bus_all_reduce=(rate, "GB/s")),
        gpus=gpus,
    )


def test_rates_of_other_gpus_are_not_compared_and_that_is_said() -> None:
    found = pair(measured((H100,), 2000), measured((L4,), 200))
    assert found.differences == ()
    assert found.notices == (
        "GPUs: 1 × NVIDIA H100 80GB HBM3 then, 1 × NVIDIA L4 now",
        "the GPUs are of other models: rates, errors and savings are not compared",
    )


def test_as_many_gpus_are_needed_for_the_bandwidth_between_them_alone() -> None:
    found = pair(measured((H100, H100), 2000), measured((H100,), 1000))
    assert [item.subject for item in found.differences] == ["rate.memory"]


def test_another_driver_torch_or_python_is_said_and_rates_are_compared() -> None:
    before = report(check("host.driver", driver="550.54"), check("rate.memory", rate=(2000.0, "GB/s")))
    now = report(check("host.driver", driver="580.65"), check("rate.memory", rate=(1000.0, "GB/s")))
    found = pair(before, replace(now, torch="2.7.0", python="3.12.1"))
    assert found.notices == (
        "driver: 550.54 then, 580.65 now",
        "torch: 2.6.0+cu124 then, 2.7.0 now",
        "Python: 3.11.2 then, 3.12.1 now",
    )
    assert [item.change for item in found.differences] == [Change.WORSE]


@pytest.mark.parametrize("key", ["workload", "network", "run"])
def test_another_workload_or_device_is_not_the_same_measurement(key: str) -> None:
    """On a small card the allocator's workload is a smaller net; without a GPU the CPU multiplies."""
    large, small = (
        replace(check("allocator.saving_bert", peak_saving=(saving, "%")), data={key: workload})
        for workload, saving in (("bert-large", 30.0), ("bert-base", 2.0))
    )
    assert told(report(large), report(small)) == {}
    name = "numerics.matmul_fp32_rounding"
    gpu, cpu = (check(name, max_z=(z, "u"), device=device) for z, device in ((2.0, "cuda:0"), (23.0, "cpu")))
    assert told(report(gpu), report(cpu)) == {}
    other = check(name, max_z=(23.0, "u"), device="cuda:1")
    assert told(report(gpu), report(other))[name][0] is Change.WORSE


# --- pairs -----------------------------------------------------------------------------------------------------------


def labelled(name: str, stack: str, flavor: str = "runtime") -> Report:
    labels = {"io.gpuimg.stack": stack, "io.gpuimg.flavor": flavor, "io.gpuimg.python": "3.11"}
    return replace(report(), image=replace(IMAGE, reference=name, labels=labels))


def paired(before: list[Report], now: list[Report]) -> list[str | None]:
    return [found.before for found in compare(before, now).pairs]


def test_the_same_reference_is_the_pair() -> None:
    before = [labelled("gpuimg:a", "2.6.0-cu124"), labelled("gpuimg:b", "2.6.0-cu124")]
    assert paired(before, [labelled("gpuimg:b", "2.7.0-cu126")]) == ["gpuimg:b"]


def test_else_the_same_stack_flavor_and_python() -> None:
    before = [labelled("old:devel", "2.6.0-cu124", "devel"), labelled("old:runtime", "2.6.0-cu124")]
    now = [labelled("new:runtime", "2.6.0-cu124"), labelled("new:other", "2.7.0-cu126")]
    assert paired(before, now) == ["old:runtime", None]
    assert compare(before, now).missing == ("old:devel",)


def test_else_the_only_one_on_either_side() -> None:
    assert paired([report(name="a:1")], [report(name="b:1")]) == ["a:1"]
    assert paired([report(name="a:1"), report(name="c:1")], [report(name="b:1")]) == [None]


def test_a_node_is_held_against_itself_where_there_are_several() -> None:
    before = [replace(labelled("gpuimg:a", "2.6.0-cu124"), node=node) for node in ("n1", "n2")]
    now = [replace(labelled("gpuimg:b", "2.6.0-cu124"), node=node) for node in ("n2", "n3")]
    assert paired(before, now) == ["gpuimg:a on n2", None]


def test_the_host_is_its_own_pair() -> None:
    host = replace(report(), image=None)
    assert paired([report(), host], [host]) == ["this host"]


# --- as a page -------------------------------------------------------------------------------------------------------


@pytest.fixture
def comparison(healthy: Report, failing: Report) -> Comparison:
    """One with differences of each kind, one without any, one that is new, one that is missing."""
    other = replace(healthy, image=replace(IMAGE, reference="gpuimg:same"))
    new = replace(healthy, image=replace(IMAGE, reference="gpuimg:new"))
    missing = replace(healthy, image=replace(IMAGE, reference="gpuimg:missing"))
    before = replace(healthy, checks=(*healthy.checks, failed("a.mended", "it broke"), failed("a.skipped", "it broke")))
    now = replace(failing, checks=(*failing.checks, check("a.mended"), skip("a.skipped"), check("a.new")))
    return compare([before, other, missing], [now, other, new])


def test_comparison_is_the_golden_page(comparison: Comparison, request: pytest.FixtureRequest) -> None:
    page = render_comparison(comparison, source="last-week.json", width=80, colour=False, unicode=True)
    path = GOLDEN / "comparison.txt"
    if request.config.getoption("--update-golden", default=False):
        path.write_text(page, encoding="utf-8")
    assert page == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [1, 40, 80, 132])
@pytest.mark.parametrize("unicode", [True, False])
def test_page_fits_and_holds_nothing_that_steers(width: int, unicode: bool, healthy: Report, hostile: Report) -> None:
    for before, now in ((healthy, hostile), (hostile, healthy)):
        found = compare([before], [now])
        page = render_comparison(found, source="a\x1b[2J.json", width=width, colour=False, unicode=unicode)
        assert max(map(cell_width, page.splitlines())) <= max(width, 40)
        assert not any(ord(char) < 32 and char != "\n" for char in page)
        assert unicode or page.isascii()


def test_nothing_to_compare_is_no_pass() -> None:
    found = compare([report(name="a:1"), report(name="c:1")], [report(name="b:1")])
    page = render_comparison(found, source="x.json", width=80, colour=False, unicode=True)
    assert page.splitlines()[-1] == "– SKIP  nothing to compare: no image there is one of these"
