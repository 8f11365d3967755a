"""Group `allocator`: the CUDA caching allocator keeps its settings, its contents and its word.

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
from ..memory import GIB, expandable, series
from ..outcome import Outcome, Skip, failed, on_gpu, verdict
from .allocator_env import in_force

_MIB = 1 << 20
_OPERATIONS, _MEAN_LIFETIME = 20_000, 200
_SMALLEST, _LARGEST = 512, 4 * _MIB
_WARM_UP, _STEPS = 10, 30
_REFUSALS = 5
_BUDGET = 0.8


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
    return _each_gpu(env, _churn)


def leak(env: Env, expect: Expect) -> Outcome:
    """30 identical training steps after 10 to warm up. Bounds: allocated bytes after steps 10, 20 and 30 are equal,
    reserved bytes don't rise in the last 20, and nothing is left once all is given back."""
    del expect
    return _each_gpu(env, _leak)


def oom_recovery(env: Env, expect: Expect) -> Outcome:
    """Under a cap, ask 5 times for the cap and 1 GiB more. Bounds: each raises OutOfMemoryError and is counted,
    allocated bytes are back exactly, and a training step then gives the loss of before to 1e-5."""
    del expect
    return _each_gpu(env, _oom_recovery)


def _each_gpu(env: Env, check: Callable[[Env, Any], Outcome]) -> Outcome:
    """The first failure, else the last outcome."""
    indices = range(1 if env.simulated else len(env.devices()))
    for index in indices:
        outcome = on_gpu(check(env, env.memory(index)), index)
        if outcome.status != "PASS":
            return outcome
    return outcome if len(indices) == 1 else on_gpu(outcome, None)


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


def _leak(env: Env, memory: Any) -> Outcome:
    trainer = memory.trainer()
    name = trainer.name
    for _ in range(_WARM_UP):
        trainer.step()
    samples: list[Mapping[str, int]] = []
    for step in range(1, _STEPS + 1):
        trainer.step()
        if step % 10 == 0:
            memory.collect()
        samples.append({"step": step, "allocated": memory.allocated(), "reserved": memory.reserved()})
        env.sample({"t": step, **{key: samples[-1][key] for key in ("allocated", "reserved")}})
    del trainer
    workspaces_cleared = memory.release()
    left = memory.allocated()
    marks = [samples[step - 1]["allocated"] for step in (10, 20, 30)]
    growth = max(sample["reserved"] for sample in samples[10:]) - samples[9]["reserved"]
    problems = []
    if len(set(marks)) > 1:
        problems.append(f"allocated after steps 10, 20 and 30: {', '.join(map(str, marks))} bytes")
    if growth > 0:
        problems.append(f"reserved rose by {growth} bytes in the last 20 steps")
    if workspaces_cleared and left:
        problems.append(f"{left} bytes are still allocated after everything was given back")
    return verdict(
        problems,
        measured={
            "workload": name,
            "allocated": (marks[-1], "bytes"),
            "reserved_growth": (growth, "bytes"),
            "left": (left, "bytes"),
        },
        expected="allocated equal after steps 10, 20 and 30; reserved not rising; 0 left"
        + ("" if workspaces_cleared else " but for cuBLAS's workspaces, which this torch can't clear"),
        data=series(samples),
    )


def _oom_recovery(env: Env, memory: Any) -> Outcome:
    del env
    trainer = memory.trainer()
    for _ in range(2):  # twice: the first run also allocates workspaces, which stay
        before = trainer.loss()
    memory.collect()
    cap = int(memory.free_and_total()[0] * _BUDGET) + memory.reserved()
    memory.limit(cap)
    start, counted = memory.allocated(), _ooms(memory)
    problems: list[str] = []
    for attempt in range(_REFUSALS):
        try:
            memory.take(cap + GIB)
        except memory.out_of_memory:
            continue
        return failed(
            f"attempt {attempt + 1} to take 1 GiB more than the cap of {cap} bytes succeeded",
            measured={"cap": (cap, "bytes")},
            expected="OutOfMemoryError each time",
        )
    memory.collect()
    refused, held = _ooms(memory) - counted, memory.allocated() - start
    if refused != _REFUSALS:
        problems.append(f"{refused} refusals were counted instead of {_REFUSALS}")
    if held:
        problems.append(f"{held} bytes more are allocated than before")
    after = trainer.loss()
    memory.collect()
    difference = abs(after - before) / abs(before)
    if not difference <= 1e-5:
        problems.append(f"the loss is {after:.7g} instead of {before:.7g}")
    held = memory.allocated() - start
    if held:
        problems.append(f"{held} bytes more are allocated after the step than before")
    return verdict(
        problems,
        measured={
            "workload": trainer.name,
            "refusals": (refused, "count"),
            "loss_difference": (difference, "relative"),
            "cap": (cap, "bytes"),
        },
        expected="5 refusals, the same memory and the same loss afterwards",
        remedy="run it again with the allocator variables unset, and report which setting breaks it",
    )


def _ooms(memory: Any) -> int:
    """Refusals that were counted: from 2.12 on, those by the allocator's own policy are counted apart."""
    stats = memory.stats()
    return int(stats.get("num_ooms", 0)) + int(stats.get("num_oom_rejections", 0))


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
