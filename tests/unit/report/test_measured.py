"""What checks say → numbers: of savings, rates and errors, whole, in part, and where it makes no sense."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpuimg.model import Check, Measurement, Report, Status
from gpuimg.report import products, readings, savings, speeds
from tests.unit.report import made_up


def saving(**data: Any) -> savings.Saving | None:
    """What is read of a good saving whose data has these fields instead."""
    good = made_up.saving("bert", peaks=[(10, 8), (20, 15), (10, 9)], caps=(8, 7))
    return savings.read_saving(replace(good, data={**good.data, **data}))


def test_every_field_of_the_contract_is_read(measured: Report) -> None:
    bert, long, moe, fixed = savings.read_savings(measured)
    assert (bert.key, bert.name, bert.setting) == ("bert", "bert-large", "expandable_segments:True")
    assert (bert.claim, long.claim, moe.claim, fixed.claim) == ((12, 18), (20, None), None, None)
    assert bert.peak is not None
    assert round(bert.peak.median, 1) == 29.2
    assert (bert.pair_count, bert.steps, bert.retries) == (5, 40, (30, 0))
    assert bert.default_cap is not None
    assert not bert.default_cap.at_most
    assert bert.tuned_cap is not None
    assert bert.tuned_cap.at_most
    assert bert.fragmentation == (0.32, 0.04)
    assert bert.course is not None
    assert bert.course.default_retries == (21, 22, 23, 24, 25, 26)
    assert (moe.cap_saving, moe.default_cap) == (None, None)


def test_what_did_not_run_is_never_read(measured: Report, without_gpu: Report) -> None:
    """A check that was skipped may carry numbers; they are none of this run."""
    skipped = tuple(replace(check, status=Status.SKIP, reason="not here") for check in measured.checks)
    for report in (without_gpu, replace(measured, checks=skipped)):
        assert not savings.read_savings(report)
        assert not speeds.read_matmul(report)
        assert not speeds.read_links(report)
        assert not products.read_errors(report)


def test_a_failed_check_that_measured_shows_its_numbers() -> None:
    check = made_up.saving("bert", peaks=[(10, 8)])
    assert savings.read_saving(replace(check, status=Status.FAIL, reason="saved too little")) is not None


@pytest.mark.parametrize(
    ("data", "field", "expected"),
    [
        ({"claim_percent": [12]}, "claim", None),
        ({"claim_percent": ["nan", 18]}, "claim", None),
        ({"claim_percent": [18, 12]}, "claim", None),
        ({"claim_percent": [20, None]}, "claim", (20, None)),
        ({"pairs": "many"}, "pairs", ()),
        ({"pairs": [{"default": {"peak_reserved": 4}, "tuned": {"peak_reserved": 0}}]}, "pairs", ()),
        ({"pairs": [{"default": {"retries": -1}, "tuned": {"retries": 1}}]}, "retries", None),
        ({"caps": None}, "default_cap", None),
        ({"caps": {"default": {"smallest": None}}}, "default_cap", None),
        ({"budget_bytes": 10**400}, "budget_bytes", None),
        ({"budget_bytes": True}, "budget_bytes", None),
        ({"workload": ["a"]}, "workload", "bert"),
        ({"series": {"step": [0], "default_reserved": [1]}}, "course", None),
        ({"series": None}, "course", None),
    ],
)
def test_what_makes_no_sense_is_left_out(data: dict[str, Any], field: str, expected: object) -> None:
    found = saving(**data)
    assert found is not None
    assert getattr(found, field) == expected


def test_points_that_are_no_numbers_are_left_out() -> None:
    found = saving(series={"step": [0, 1, "x", 3], "default_reserved": [5, "nan", 7, 8], "tuned_reserved": [1, 2]})
    assert found is not None
    assert found.course is not None
    assert found.course.default_reserved == ((0, 5), (3, 8))
    assert found.course.tuned_reserved == ((0, 1), (1, 2))


def test_a_saving_without_any_number_is_none() -> None:
    check = made_up.saving("bert", peaks=[(10, 8)])
    assert savings.read_saving(replace(check, measured={}, data={})) is None


def test_a_range_holds_its_median_and_lacking_ends_are_the_median() -> None:
    check = made_up.saving("bert", peaks=[(10, 8)])
    odd = {"peak_saving": Measurement(value=-3), "peak_saving_min": Measurement(value=4)}
    found = savings.read_saving(replace(check, measured=odd))
    assert found is not None
    assert found.peak == savings.Spread(median=-3, low=-3, high=-3)


def test_a_saving_below_zero_is_said_as_it_is() -> None:
    found = savings.read_saving(made_up.saving("bert", peaks=[(10, 12)]))
    assert found is not None
    assert savings.sentence(found).startswith("peak reserved saves -20 %")


def test_percent_of_the_peak_is_only_told_where_a_peak_is_known() -> None:
    known, unknown = made_up.matmul("bf16", best=700, median=650, peak=1000), made_up.matmul("bf16", best=7, median=6)
    rates = speeds.read_matmul(report(known, unknown))
    assert [speeds.rate_text(rate) for rate in rates] == [
        "650 TFLOP/s, best 700 of 1000 (70 %)",
        "6 TFLOP/s, best 7 (– % of peak)",
    ]


def test_gpus_are_told_apart_where_there_are_several() -> None:
    checks = [replace(made_up.matmul("bf16", best=7, median=6), gpu=gpu) for gpu in (0, 1)]
    several = replace(report(*checks), gpus=({}, {}))
    assert [rate.name for rate in speeds.read_matmul(several)] == ["bf16 (GPU 0)", "bf16 (GPU 1)"]
    assert [rate.name for rate in speeds.read_matmul(report(*checks))] == ["bf16", "bf16"]


def test_what_ran_on_the_cpu_says_so() -> None:
    check = made_up.rounding("fp32", unit=2**-24, bounds={"max_z": 320}, values={"max_z": 23})
    on_cpu = replace(check, measured={**check.measured, "device": Measurement(value="cpu")})
    assert [error.name for error in products.read_errors(report(check, on_cpu))] == ["fp32", "fp32 (CPU)"]


def test_only_the_mode_that_is_over_its_bound_has_failed() -> None:
    check = made_up.rounding(
        "bf16", unit=2**-8, bounds={"max_z": 8, "max_z_reduced": 16}, values={"max_z": 9, "max_z_reduced": 5}
    )
    errors = products.read_errors(report(check))
    assert [(error.name, error.failed) for error in errors] == [("bf16", True), ("bf16, reduced", False)]
    assert products.error_text(errors[0]) == "✗ 9 u, bound 8 u"


def test_an_error_that_is_no_number_has_failed_with_its_check() -> None:
    bad = made_up.rounding("bf16", unit=2**-8, bounds={"max_z": 8}, values={"max_z": 9})
    (error,) = products.read_errors(report(replace(bad, measured={"max_z": Measurement(value="nan", unit="u")})))
    assert (error.max_z, error.failed, error.told) == (None, True, "nan u")


@pytest.mark.parametrize(("values", "middle"), [([], None), ([3], 3), ([1e308, 1e308], 1e308), ([4, 1, 2], 2)])
def test_the_median_of_few_values(values: list[float], middle: float | None) -> None:
    assert readings.median(values) == middle


def report(*checks: Check) -> Report:
    return Report(image=None, torch=None, python=None, gpus=(), checks=checks, seconds=0)
