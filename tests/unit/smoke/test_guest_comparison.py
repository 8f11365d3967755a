"""What is said of the arms: savings with their spread, and what is no difference."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpuimg.smoke.guest.checks import allocator_arms
from gpuimg.smoke.guest.comparison import PAIRS, ArmError, most_runs
from gpuimg.smoke.guest.config import DEFAULT, FULL, QUICK, Config, Expect
from gpuimg.smoke.guest.env import Env
from gpuimg.smoke.guest.workload import BERT, FIXED, LONG, WORKLOADS

GIB = 2**30


@pytest.fixture
def env(tmp_path: Path) -> Env:
    return Env(shared=tmp_path)


def record(env: Env, workload: str, peaks: list[tuple[float, float]], **changes: Any) -> None:
    """Leave runs of `workload` as if they had been measured; peaks are the default's and the tuned arm's, in GiB."""
    pairs = [
        {"seed": seed, "first": "default", "default": run(default), "tuned": run(tuned)}
        for seed, (default, tuned) in enumerate(peaks)
    ]
    found = {
        "workload": workload,
        "network": "bert-large",
        "run": "B 32",
        "setting": "expandable_segments:True",
        "pairs": pairs,
        "caps": None,
        "searched": True,
        **changes,
    }
    assert env.shared is not None
    (env.shared / f"{workload}-{env.config.mode}-.json").write_text(json.dumps(found))


def run(peak: float, **changes: Any) -> dict[str, Any]:
    found = {"peak_reserved": int(peak * GIB), "fragmentation": 0.05, "retries": 0, "ooms": 0, "step_ms": 10.0}
    return {**found, **changes}


def test_saving_is_the_median_with_its_range_beside_the_claim(env: Env) -> None:
    record(env, BERT, [(20, 18), (20, 16), (20, 15), (20, 17), (20, 14)])
    outcome = allocator_arms.saving_bert(env, Expect())
    assert outcome.status == "PASS"
    assert outcome.measured["peak_saving"] == (20.0, "%")
    assert (outcome.measured["peak_saving_min"], outcome.measured["peak_saving_max"]) == ((10.0, "%"), (30.0, "%"))
    assert outcome.measured["claim"] == "12 to 18 %"
    assert outcome.measured["verdict"] == "tuned reserves less"


@pytest.mark.parametrize(
    ("peaks", "words"),
    [
        ([(20, 10)] * 4, "no difference shown"),
        ([(20, 10)] * 4 + [(20, 21)], "no difference shown"),
        ([(20, 21)] * 5, "tuned reserves more"),
    ],
)
def test_few_pairs_or_a_range_across_zero_show_nothing(env: Env, peaks: list[tuple[float, float]], words: str) -> None:
    record(env, BERT, peaks)
    assert allocator_arms.saving_bert(env, Expect()).measured["verdict"] == words


def test_required_saving_fails_below_it(env: Env) -> None:
    record(env, BERT, [(20, 18)] * 5)
    for percent, status in ((9.0, "PASS"), (11.0, "FAIL")):
        asked = replace(env, config=replace(env.config, require_saving=percent))
        assert allocator_arms.saving_bert(asked, Expect()).status == status


def test_smallest_caps_give_the_second_saving(env: Env) -> None:
    caps = {"default": {"smallest": 20 * GIB}, "tuned": {"smallest": 18 * GIB}}
    record(env, BERT, [(20, 18)] * 5, caps=caps)
    assert allocator_arms.saving_bert(env, Expect()).measured["cap_saving"] == (10.0, "%")


def test_arm_that_died_fails_the_check_that_ran_it(env: Env) -> None:
    assert env.shared is not None
    (env.shared / "bert-default-.json").write_text(
        json.dumps({"error": "the tuned arm with seed 2: it died of SIGABRT"})
    )
    outcome = allocator_arms.saving_bert(env, Expect())
    assert (outcome.status, outcome.reason) == ("FAIL", "the tuned arm with seed 2: it died of SIGABRT")


def test_no_worse_looks_at_memory_time_and_caps(env: Env) -> None:
    for workload in WORKLOADS:
        record(env, workload, [(20, 18)] * 5)
    assert allocator_arms.no_worse(env, Expect()).status == "PASS"
    slow = {"seed": 0, "default": run(20), "tuned": run(20, step_ms=12.0)}
    for changes, part in (
        ({"caps": {"default": {"smallest": 18 * GIB}, "tuned": {"smallest": 19 * GIB}}}, "needs 19.00 GiB"),
        ({"pairs": [slow] * 5}, "1.20 × as long"),
    ):
        record(env, LONG, [(20, 18)] * 5, **changes)
        outcome = allocator_arms.no_worse(env, Expect())
        assert outcome.status == "FAIL"
        assert part in str(outcome.reason)
    record(env, LONG, [(20, 21)] * 5)
    assert "long reserves 21.00 GiB" in str(allocator_arms.no_worse(env, Expect()).reason)


def test_tried_caps_allow_the_next_one_and_searched_ones_do_not(env: Env) -> None:
    caps = {"default": {"smallest": 1020}, "tuned": {"smallest": 1060}}
    for searched, status in ((False, "PASS"), (True, "FAIL")):
        for workload in WORKLOADS:
            record(env, workload, [(20, 18)] * 5, caps=caps, searched=searched)
        assert allocator_arms.no_worse(env, Expect()).status == status


def test_arm_that_died_is_no_workload_to_leave_out(env: Env) -> None:
    assert env.shared is not None
    for workload in WORKLOADS:
        record(env, workload, [(20, 18)] * 5)
    (env.shared / "moe-default-.json").write_text(json.dumps({"error": "the tuned arm with seed 1 ran out of memory"}))
    with pytest.raises(ArmError, match="ran out of memory"):
        allocator_arms.retries(env, Expect())


def test_workload_that_could_not_run_is_left_out_of_the_judgement(env: Env) -> None:
    assert env.shared is not None
    for workload in WORKLOADS[1:]:
        (env.shared / f"{workload}-default-.json").write_text(json.dumps({"skip": "too small"}))
    record(env, BERT, [(20, 18)] * 5)
    assert allocator_arms.retries(env, Expect()).measured["workloads"] == BERT


def test_quick_run_measures_the_workloads_with_a_claim() -> None:
    assert allocator_arms.workloads(Config(mode=QUICK)) == (BERT, LONG)
    assert FIXED in allocator_arms.workloads(Config())


def test_time_for_all_arms_grows_with_thoroughness() -> None:
    runs = [most_runs(Config(mode=mode)) for mode in (QUICK, DEFAULT, FULL)]
    assert runs == sorted(set(runs))
    probes = 2
    assert runs[0] == probes + 2 * PAIRS[QUICK]
    assert most_runs(Config(mode=QUICK, candidates=("max_split_size_mb:128",))) == probes + 3 * PAIRS[QUICK]
