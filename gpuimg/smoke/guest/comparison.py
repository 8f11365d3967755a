"""The allocator's tuned setting against its default: which runs, in which order, with which seeds.

Each arm is a fresh process. The two of a pair share their seed, pairs have different ones, and who goes first changes
(ABBA BAAB), so that what drifts with time does not look like a difference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import workload
from .config import DEFAULT, FULL, QUICK, Config, Expect
from .env import Env
from .known import ALLOCATOR_VARIABLES, tuned_allocator
from .memory import GIB
from .outcome import Skip
from .parts import run_part

PAIRS = {QUICK: 2, DEFAULT: 5, FULL: 5}
QUICK_WORKLOADS = (workload.BERT, workload.LONG)
"""What the quick run measures, and the default run looks for the smallest memory of: the workloads with a claim."""
_BUDGET = 0.8
_ROOM = 1.6
"""Reserved over allocated bytes that the default arm may need without a retry: the models see up to 1.55."""
_LARGEST_BATCH = 32
_OTHERS_SHARE, _DRIFT_BYTES = 0.9, 64 << 20
_CAP_FACTORS = (1.02, 1.06, 1.12)
"""Times peak allocated: between them lie the smallest caps of both arms in the models."""
_LARGEST_CAP_SHARE = 0.6
_PRECISION = 0.01  # of the budget
_SEARCH_RUNS = 8
_PROBES = 2  # of the network that fits, and of the smaller one


class ArmError(Exception):
    """An arm that did not end as it should."""


@dataclass(frozen=True)
class Comparison:
    """What is compared on which GPU: the same for every run of it."""

    env: Env
    name: str
    setting: str
    index: int
    small: bool
    budget: int
    free: int
    batch: int
    longest: int
    steps: int

    def run(self, arm: str, *, seed: int, cap: int | None = None, **changes: Any) -> dict[str, Any]:
        """One run of an arm: ``default``, ``longest_first``, or a setting's name. Raises ArmError."""
        arguments = {
            "workload": self.name,
            "index": self.index,
            "small": self.small,
            "simulated": self.env.simulation,
            "seed": seed,
            "batch": self.batch,
            "longest": self.longest,
            "steps": self.steps,
            "cap": cap,
            "longest_first": arm == "longest_first",
            **changes,
        }
        found = _part(self.env, "arm", arguments, self.setting_of(arm), f"the {arm} arm with seed {seed}")
        if abs(found["free"] - self.free) > _DRIFT_BYTES:
            raise Skip(
                f"free memory changed by {abs(found['free'] - self.free) / 2**20:.0f} MiB between runs: "
                "another process uses this GPU"
            )
        return found

    def setting_of(self, arm: str) -> str:
        """The allocator setting of an arm."""
        if self.env.part_fault == "exchanged":
            arm = {"default": "tuned", "tuned": "default"}.get(arm, arm)
        if self.env.part_fault == "ineffective" and arm == "tuned":
            return ""
        return {"default": "", "longest_first": "", "tuned": self.setting}.get(arm, arm)


def measured(env: Env, expect: Expect, name: str) -> Mapping[str, Any]:
    """All runs of a workload, measured once for all checks of this run. Raises Skip or ArmError."""
    kind = "-".join((name, env.config.mode, env.part_fault, *map(str, (env.simulation or {}).values())))
    path = env.shared / f"{kind}.json" if env.shared else None
    if path is not None and path.exists():
        record = json.loads(path.read_text(encoding="utf-8"))
    else:
        record = _record(env, expect, name)
        if path is not None:
            path.write_text(json.dumps(record), encoding="utf-8")
    if "skip" in record:
        raise Skip(record["skip"])
    if "error" in record:
        raise ArmError(record["error"])
    return dict(record)


def most_runs(config: Config) -> int:
    """How many arms a workload takes at the most, for the time that its check is given."""
    runs = _PROBES + PAIRS[config.mode] * (2 + len(_more_arms(config)))
    searches = {QUICK: 0, DEFAULT: 2 * len(_CAP_FACTORS), FULL: 4 * _SEARCH_RUNS}[config.mode]
    return runs + searches


def _record(env: Env, expect: Expect, name: str) -> dict[str, Any]:
    try:
        return _compare(_prepared(env, expect, name))
    except Skip as reason:
        return {"skip": str(reason)}
    except ArmError as error:
        return {"error": str(error)}


def _prepared(env: Env, expect: Expect, name: str) -> Comparison:
    """Ask what is free and what a step takes, and choose the batch, or the longest sequence, that fits."""
    for small in (False, True):
        found = _prepare_with(env, expect, name, small=small)
        if found is not None:
            return found
    raise Skip("what is free holds no step of this workload")


def _prepare_with(env: Env, expect: Expect, name: str, *, small: bool) -> Comparison | None:
    """With the network that fits, or the smaller one; None where a step of it doesn't."""
    simulated = env.simulation
    arguments = {"workload": name, "index": 0, "small": small, "simulated": simulated}
    found = _part(env, "probe", arguments, "", f"the probe of {name}")
    if found["free"] < _OTHERS_SHARE * found["total"]:
        raise Skip(
            f"{found['free'] / GIB:.1f} of {found['total'] / GIB:.1f} GiB are free: another process uses this GPU"
        )
    budget = int(_BUDGET * found["free"])
    tokens = int((budget / _ROOM - found["stays"]) / found["per_token"])
    longest, batch = workload.LONGEST[name], 1
    if name == workload.LONG:
        longest = min(longest, tokens // 64 * 64)
    else:
        batch = min(_LARGEST_BATCH, tokens // longest)
    if batch < 1 or (name == workload.LONG and longest <= workload.SHORTEST_LONG):
        return None
    steps = simulated["steps"] if simulated else workload.STEPS[name]
    return Comparison(
        env=env,
        name=name,
        setting=tuned(env, expect),
        index=0,
        small=small,
        budget=budget,
        free=found["free"],
        batch=batch,
        longest=longest,
        steps=steps,
    )


def tuned(env: Env, expect: Expect) -> str:
    """The setting to compare with the default: the image's own, or what its torch is best given."""
    from .checks.allocator_env import in_force

    promised = expect.allocator["value"] if expect.allocator else ""
    return promised or in_force(env)[1] or tuned_allocator(env.torch_release)


def _compare(this: Comparison) -> dict[str, Any]:
    config = this.env.config
    arms = ("default", "tuned", *_more_arms(config))
    pairs = []
    for number in range(PAIRS[config.mode]):
        first = number % 4 in (0, 3)
        order = arms if first else tuple(reversed(arms))
        runs = {arm: this.run(arm, seed=number) for arm in order}
        for arm, run in runs.items():
            if not run["ran"]:
                raise ArmError(f"the {arm} arm with seed {number} ran out of memory at {run['peak_reserved']} bytes")
        pairs.append({"seed": number, "first": order[0], **{arm: _summary(run) for arm, run in runs.items()}})
        this.env.sample({"t": number, **{arm: run["peak_reserved"] for arm, run in runs.items()}})
        if number == 0:
            shown = runs
    return {
        "workload": this.name,
        "network": shown["default"]["shape"],
        "run": f"B {this.batch}, S {'' if this.name == workload.FIXED else 'up to '}{this.longest}, {this.steps} steps",
        "searched": config.mode == FULL,
        "setting": this.setting,
        "batch": this.batch,
        "longest": this.longest,
        "expandable": shown["tuned"]["expandable"],
        "pairs": pairs,
        "series": _series(shown),
        "budget_bytes": this.budget,
        "caps": _caps(this, shown),
        "largest": _largest(this) if config.mode == FULL else None,
    }


def _more_arms(config: Config) -> tuple[str, ...]:
    """Beside the two: longest first, which is free and helps the default, and what the user asks for."""
    return (*(("longest_first",) if config.mode == FULL else ()), *config.candidates)


def _caps(this: Comparison, shown: Mapping[str, Any]) -> dict[str, Any] | None:
    """The smallest memory in which the workload of seed 0 runs, for both arms."""
    if this.env.config.mode == QUICK or (this.env.config.mode == DEFAULT and this.name not in QUICK_WORKLOADS):
        return None
    live = max(run["peak_allocated"] for run in shown.values())
    if this.env.config.mode == DEFAULT:
        return {arm: _tried(this, arm, [int(factor * live) for factor in _CAP_FACTORS]) for arm in ("default", "tuned")}
    return {arm: _smallest(this, arm, live, shown[arm]["peak_reserved"]) for arm in ("default", "tuned")}


def _tried(this: Comparison, arm: str, caps: list[int]) -> dict[str, Any]:
    """Try caps from the largest down, until one does not hold."""
    tried: list[list[Any]] = []
    for cap in sorted(caps, reverse=True):
        tried.append([cap, this.run(arm, seed=0, cap=cap)["ran"]])
        if not tried[-1][1]:
            break
    held = [cap for cap, ran in tried if ran]
    return {"tried": tried, "smallest": min(held, default=None), "at_most": len(held) == len(caps)}


def _smallest(this: Comparison, arm: str, low: int, high: int) -> dict[str, Any]:
    """Bisect between the live peak, which can't hold, and the peak reserved without a cap, which does."""
    tried: list[list[Any]] = [[high, True]]
    low = int(low * 0.98)
    while high - low > _PRECISION * this.budget and len(tried) < _SEARCH_RUNS:
        middle = (low + high) // 2
        tried.append([middle, this.run(arm, seed=0, cap=middle)["ran"]])
        low, high = (low, middle) if tried[-1][1] else (middle, high)
    return {"tried": tried, "smallest": high, "at_most": False}


def _largest(this: Comparison) -> dict[str, Any] | None:
    """The largest batch (bert) or longest sequence (long) for which all steps run in 60 % of what is free."""
    if this.name not in QUICK_WORKLOADS:
        return None
    what, unit = ("longest", 64) if this.name == workload.LONG else ("batch", 1)
    cap = int(_LARGEST_CAP_SHARE * this.free)
    found: dict[str, Any] = {"what": what, "cap_bytes": cap}
    most = workload.LONGEST[workload.LONG] if what == "longest" else 4 * _LARGEST_BATCH
    for arm in ("default", "tuned"):
        low, high = (workload.SHORTEST_LONG // unit if what == "longest" else 0), most // unit + 1
        for _ in range(_SEARCH_RUNS):
            middle = (low + high) // 2
            if middle in (low, high):
                break
            ran = this.run(arm, seed=0, cap=cap, **{what: middle * unit})["ran"]
            low, high = (middle, high) if ran else (low, middle)
        found[arm] = low * unit
    return found


def _summary(run: Mapping[str, Any]) -> dict[str, Any]:
    names = ("peak_reserved", "peak_allocated", "fragmentation", "retries", "ooms", "mallocs", "step_ms", "steps")
    return {name: run[name] for name in names}


def _series(runs: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"step": list(range(len(runs["default"]["reserved"])))}
    for arm in ("default", "tuned"):
        found |= {
            f"{arm}_reserved": runs[arm]["reserved"],
            f"{arm}_allocated": runs[arm]["allocated"],
            f"{arm}_retries": runs[arm]["retried"],
        }
    return found


def _part(env: Env, name: str, arguments: Mapping[str, Any], setting: str, what: str) -> dict[str, Any]:
    environ = {key: text for key, text in env.environ.items() if key not in ALLOCATOR_VARIABLES}
    if setting:
        # The older name: every release reads it, 2.9 only that.
        environ["PYTORCH_CUDA_ALLOC_CONF"] = setting
    end = run_part(name, arguments, environ, timeout=env.config.timeout("allocator"))
    if end.problem:
        raise ArmError(f"{what}: {end.problem}")
    if "skip" in end.result:
        raise Skip(end.result["skip"])
    return dict(end.result)
