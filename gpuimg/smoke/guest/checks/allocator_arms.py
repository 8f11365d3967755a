"""allocator.saving_* and what is judged from the same runs: the tuned setting against torch's default.

The measuring is `comparison`'s, once for all of these checks.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from .. import workload
from ..comparison import QUICK_WORKLOADS, ArmError, measured, tuned
from ..config import QUICK, Config, Expect
from ..env import Env
from ..memory import GIB
from ..outcome import Outcome, Skip, failed, on_gpu, verdict

# What the article that gpuimg starts from claims for an image with a tuned allocator: "12-18 % less on
# BERT-large-class training, over 20 % on long sequences". Shown beside what is measured, whatever that is.
_CLAIMS: Mapping[str, tuple[int, int | None]] = {workload.BERT: (12, 18), workload.LONG: (20, None)}
_PAIRS_TO_SHOW = 5
_PEAK_RATIO, _PEAK_ROOM, _TIME_RATIO, _CAP_RATIO = 1.02, 64 << 20, 1.10, 1.02
_GRID_RATIO = 1.06
"""From one of the caps that the default run tries to the next."""
_FRAGMENTATION, _FRAGMENTATION_FROM = 0.15, 4 * GIB
_REMEDY = "unset the allocator variable for this workload, and report torch, GPU and setting"


def saving_bert(env: Env, expect: Expect) -> Outcome:
    """BERT-large on sequences of 32 to 512: what the setting saves of peak reserved memory, and of the least that fits.

    Reported for all workloads, with the spread over the pairs and with what was claimed; bound only on request.
    """
    return _saving(env, expect, workload.BERT)


def saving_long(env: Env, expect: Expect) -> Outcome:
    """The same network on single sequences of 2048 to 8192."""
    return _saving(env, expect, workload.LONG)


def saving_moe(env: Env, expect: Expect) -> Outcome:
    """A mixture of 8 experts whose loads change with every layer and step."""
    return _saving(env, expect, workload.MIXTURE)


def saving_fixed(env: Env, expect: Expect) -> Outcome:
    """BERT-large with one shape throughout, where there is least to save."""
    return _saving(env, expect, workload.FIXED)


def retries(env: Env, expect: Expect) -> Outcome:
    """Within 0.8 of what is free, the tuned arm frees its cache for no allocation and refuses none. Bounds: 0 and 0."""
    records = _records(env, expect)
    found = {
        f"{key}_{arm}": (sum(pair[arm][key] for record in records.values() for pair in record["pairs"]), "count")
        for key in ("retries", "ooms")
        for arm in ("default", "tuned")
    }
    problems = [f"{found[f'{key}_tuned'][0]} {key}" for key in ("retries", "ooms") if found[f"{key}_tuned"][0]]
    outcome = verdict(
        [f"the tuned arm had {' and '.join(problems)}"] if problems else [],
        measured={**found, "workloads": " ".join(records)},
        expected="0 retries and 0 refusals",
        remedy=_REMEDY,
    )
    return on_gpu(outcome, 0)


def fragmentation(env: Env, expect: Expect) -> Outcome:
    """What is reserved and not allocated, at the step that allocates most. Bound: ≤ 0.15 with expandable segments.

    Their pages are 20 MiB, so that it holds from 4 GiB reserved on only.
    """
    if "expandable_segments:True" not in tuned(env, expect):
        raise Skip("the bound is that of expandable segments, which the setting doesn't ask for")
    found: dict[str, Any] = {}
    problems = []
    for name, record in _records(env, expect).items():
        runs = [pair["tuned"] for pair in record["pairs"] if pair["tuned"]["peak_reserved"] >= _FRAGMENTATION_FROM]
        if not runs:
            continue
        worst = max(run["fragmentation"] for run in runs)
        found[name] = (round(worst, 4), "share")
        if worst > _FRAGMENTATION:
            problems.append(f"{worst:.2f} of what {name} reserves is not allocated")
    if not found:
        raise Skip("no workload reserves 4 GiB here")
    expected = f"≤ {_FRAGMENTATION} at peak"
    return on_gpu(verdict(problems, measured=found, expected=expected, remedy=_REMEDY), 0)


def no_worse(env: Env, expect: Expect) -> Outcome:
    """The median over the pairs is no worse than the default's.

    Bounds: peak reserved ≤ 1.02 × and 64 MiB; step time ≤ 1.10 × over five pairs or more; smallest cap ≤ 1.02 × where
    it was searched, and of three tried caps not more than the next one.
    """
    found: dict[str, Any] = {}
    problems = []
    for name, record in _records(env, expect).items():
        pairs = record["pairs"]
        peaks = [statistics.median(pair[arm]["peak_reserved"] for pair in pairs) for arm in ("default", "tuned")]
        found[f"{name}_peak_ratio"] = (round(peaks[1] / peaks[0], 4), "×")
        if peaks[1] > _PEAK_RATIO * peaks[0] + _PEAK_ROOM:
            problems.append(f"{name} reserves {peaks[1] / GIB:.2f} GiB instead of {peaks[0] / GIB:.2f}")
        ratio = _time_ratio(pairs)
        found[f"{name}_step_time_ratio"] = (round(ratio, 3), "×")
        if ratio > _TIME_RATIO and len(pairs) >= _PAIRS_TO_SHOW:
            problems.append(f"a step of {name} takes {ratio:.2f} × as long")
        caps = _smallest(record)
        if caps is not None:
            found[f"{name}_cap_ratio"] = (round(caps[1] / caps[0], 4), "×")
            if caps[1] > (_CAP_RATIO if record["searched"] else _GRID_RATIO) * caps[0]:
                problems.append(f"{name} needs {caps[1] / GIB:.2f} GiB instead of {caps[0] / GIB:.2f}")
    expected = f"peak ≤ {_PEAK_RATIO} ×, step time ≤ {_TIME_RATIO} ×, smallest cap ≤ {_CAP_RATIO} × the default's"
    return on_gpu(verdict(problems, measured=found, expected=expected, remedy=_REMEDY), 0)


def _saving(env: Env, expect: Expect, name: str) -> Outcome:
    if env.config.mode == QUICK and name not in QUICK_WORKLOADS and f"allocator.saving_{name}" not in env.config.only:
        raise Skip("the quick run leaves it out")
    try:
        record = measured(env, expect, name)
    except ArmError as error:
        return on_gpu(failed(str(error), expected="both arms run"), 0)
    pairs = record["pairs"]
    savings = [_saved(pair["default"]["peak_reserved"], pair["tuned"]["peak_reserved"]) for pair in pairs]
    median, least, most = statistics.median(savings), min(savings), max(savings)
    found: dict[str, Any] = {
        "peak_saving": (round(median, 2), "%"),
        "peak_saving_min": (round(least, 2), "%"),
        "peak_saving_max": (round(most, 2), "%"),
        "pairs": (len(pairs), "count"),
        "step_time_ratio": (round(_time_ratio(pairs), 3), "×"),
        "setting": record["setting"],
        "run": f"{record['network']}, {record['run']}",
    }
    caps = _smallest(record)
    if caps is not None:
        found["cap_saving"] = (round(_saved(*caps), 2), "%")
    claim = _CLAIMS.get(name)
    if claim is not None:
        found["claim"] = _claim(claim)
    found["verdict"] = _words(len(pairs), least, most)
    required = env.config.require_saving
    problems = []
    if required is not None and not (median >= required and least > 0):
        problems.append(
            f"{median:.1f} % of peak reserved memory are saved ({least:.1f} to {most:.1f}), not {required:g} %"
        )
    outcome = verdict(
        problems,
        measured=found,
        expected="reported" if required is None else f"≥ {required:g} % saved",
        remedy="don't advertise it, or set another allocator setting",
        data={**record, "claim_percent": list(claim) if claim else None},
    )
    return on_gpu(outcome, 0)


def _records(env: Env, expect: Expect) -> dict[str, Mapping[str, Any]]:
    """Every workload that this run measures. Raises Skip, or ArmError, where there is none."""
    names = env.simulation["judged"] if env.simulation else workloads(env.config)
    tried = {name: _record(env, expect, name) for name in names}
    for record in tried.values():
        if isinstance(record, ArmError):
            raise record  # an arm that died is no workload to leave out
    found = {name: record for name, record in tried.items() if not isinstance(record, Exception)}
    if not found:
        raise next(record for record in tried.values() if isinstance(record, Exception))
    return found


def _record(env: Env, expect: Expect, name: str) -> Mapping[str, Any] | ArmError | Skip:
    try:
        return measured(env, expect, name)
    except (ArmError, Skip) as error:
        return error


def workloads(config: Config) -> Sequence[str]:
    """What this run measures."""
    return QUICK_WORKLOADS if config.mode == QUICK else workload.WORKLOADS


def _smallest(record: Mapping[str, Any]) -> tuple[int, int] | None:
    """The smallest memory that fits: default's and tuned's; None where one of them is not known."""
    caps = record["caps"] or {}
    default, tuned_arm = (caps.get(arm, {}).get("smallest") for arm in ("default", "tuned"))
    return None if default is None or tuned_arm is None else (default, tuned_arm)


def _saved(default: int, other: int) -> float:
    return 100 * (1 - other / default)


def _time_ratio(pairs: Sequence[Mapping[str, Any]]) -> float:
    return float(statistics.median(pair["tuned"]["step_ms"] / pair["default"]["step_ms"] for pair in pairs))


def _claim(claim: tuple[int, int | None]) -> str:
    low, high = claim
    return f"over {low} %" if high is None else f"{low} to {high} %"


def _words(pairs: int, least: float, most: float) -> str:
    """Fewer than five pairs, or a range across zero, show nothing."""
    if pairs < _PAIRS_TO_SHOW or least <= 0 <= most:
        return "no difference shown"
    return "tuned reserves less" if least > 0 else "tuned reserves more"
