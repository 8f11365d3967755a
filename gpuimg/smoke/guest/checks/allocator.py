"""Group `allocator`, the settings and the contents: what is set is in force, and what is written stays.

They run on a `memory.CudaMemory`, or on a fake with the same statistics where a fault is injected.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any, Callable

from ..config import Expect
from ..env import Env
from ..known import parse_allocator
from ..memory import expandable, series
from ..outcome import Outcome, Skip, on_gpu, skipped, verdict
from .allocator_env import in_force

_MIB = 1 << 20
_OPERATIONS, _MEAN_LIFETIME = 20_000, 200
_SMALLEST, _LARGEST = 512, 4 * _MIB


def effective(env: Env, expect: Expect) -> Outcome:
    """The setting is in force: each option as the snapshot's ``allocator_settings`` tell it, and with expandable
    segments at least one segment that is expandable. A variable that torch doesn't read shows here as its default."""
    promised = expect.allocator["value"] if expect.allocator else ""
    value = promised or in_force(env)[1]
    if not value:
        raise Skip("no allocator setting is made or promised")
    memory = env.memory(0)
    held = memory.take(32 * _MIB)
    snapshot = memory.snapshot()
    settings, segments = snapshot.get("allocator_settings"), snapshot["segments"]
    del held
    if settings is None:
        raise Skip("this torch's snapshot has no allocator_settings")
    problems: list[str] = []
    unverified = []
    options = parse_allocator(value)
    for key, text in options:
        state = _state(key, text, settings)
        if state is None:
            unverified.append(key)
        elif not state[0]:
            problems.append(f"{key} is {state[1]} instead of {text}")
    last = next(
        (settings[name] for name in ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF") if name in settings), None
    )
    if unverified and last != value:
        problems.append(f"{', '.join(unverified)}: the settings in force are `{last}`")
    count = expandable(segments)
    if ("expandable_segments", "True") in options and count == 0:
        problems.append("no segment is expandable: the driver or the platform lacks virtual memory management")
    return verdict(
        problems,
        measured={"setting": value, "segments": (len(segments), "count"), "expandable": (count, "count")},
        expected=f"{value} is in force",
        remedy="set the variable that this torch reads: see allocator.env_valid",
        data={"allocator_settings": {str(key): str(item) for key, item in settings.items()}},
    )


def churn(env: Env, expect: Expect) -> Outcome:
    """20,000 allocations, log-uniform from 512 B to 4 MiB, of exponential lifetime, at most 10 % of free memory alive.
    Each is filled with its own number and read back when it is freed. Bound: 0 corrupted values."""
    del expect
    return each_gpu(env, _churn)


def each_gpu(env: Env, check: Callable[[Env, Any], Outcome]) -> Outcome:
    """The first failure, else what came of the last GPU on which it could run, else of the last."""
    indices = range(1 if env.simulated else len(env.devices()))
    outcomes = [_outcome_on(env, check, index) for index in indices]
    ran = [outcome for outcome in outcomes if outcome.status != "SKIP"]
    failed_on = next((outcome for outcome in ran if outcome.status != "PASS"), None)
    return failed_on or (ran or outcomes)[-1]


def _outcome_on(env: Env, check: Callable[[Env, Any], Outcome], index: int) -> Outcome:
    try:
        return on_gpu(check(env, env.memory(index)), index)
    except Skip as reason:
        return on_gpu(skipped(str(reason)), index)


def _churn(env: Env, memory: Any) -> Outcome:
    choose = random.Random(0)
    budget = int(memory.free_and_total()[0] * 0.1)
    ends: dict[int, list[int]] = {}
    alive: dict[int, tuple[Any, int]] = {}
    held = peak = 0
    wrong: Any = 0
    samples: list[Mapping[str, int]] = []

    def free(number: int) -> None:
        nonlocal held, wrong
        tensor, size = alive.pop(number)
        wrong = wrong + memory.wrong(tensor, number)
        held -= size

    for number in range(_OPERATIONS):
        for due in ends.pop(number, ()):
            if due in alive:
                free(due)
        size = int(math.exp(choose.uniform(math.log(_SMALLEST), math.log(_LARGEST)))) // 4 * 4
        while alive and held + size > budget:
            free(next(iter(alive)))
        alive[number] = memory.filled(size // 4, number), size
        held += size
        peak = max(peak, held)
        ends.setdefault(number + 1 + int(choose.expovariate(1 / _MEAN_LIFETIME)), []).append(number)
        if number % (_OPERATIONS // 200) == 0:
            samples.append({"operation": number, "allocated": memory.allocated(), "reserved": memory.reserved()})
            env.sample({"t": number, **{key: samples[-1][key] for key in ("allocated", "reserved")}})
    for number in list(alive):
        free(number)
    count = int(wrong)
    return verdict(
        [f"{count} values came back changed"] if count else [],
        measured={
            "corrupted": (count, "count"),
            "operations": (_OPERATIONS, "count"),
            "peak_live": (peak, "bytes"),
            "retries": (int(memory.stats().get("num_alloc_retries", 0)), "count"),
        },
        expected="0 corrupted values",
        remedy="run it again with the allocator variables unset; if it stays, the GPU's memory is suspect",
        data=series(samples),
    )


def _state(key: str, text: str, settings: Mapping[str, Any]) -> Any:
    """Whether an option is in force, and what is; None where the snapshot doesn't tell."""
    if key == "max_split_size_mb":
        found = settings.get("max_split_size")
        return None if found is None else (int(found) == int(text) * _MIB, found)
    found = settings.get(key)
    if found is None or isinstance(found, Mapping):
        return None
    if isinstance(found, bool):
        return str(found) == text, found
    try:
        return math.isclose(float(found), float(text)), found
    except ValueError:
        return str(found) == text, found
