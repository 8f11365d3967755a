"""Group `allocator`, in training: equal steps leave equal memory, refusals leave none, other shapes give theirs back.

They run on a `memory.CudaMemory`, or on a fake with the same statistics where a fault is injected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config import Expect
from ..env import Env
from ..memory import GIB, series
from ..outcome import Outcome, Skip, failed, verdict
from .allocator import each_gpu

_WARM_UP, _STEPS = 10, 30
_REFUSALS = 5
_BUDGET = 0.8
_LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096, 8192)
_CYCLES, _GROWTH = 3, 2.0
_BATCH, _FEWEST = 4, 3
_ROOM = 1.6  # reserved over allocated bytes


def leak(env: Env, expect: Expect) -> Outcome:
    """30 identical training steps after 10 to warm up. Bounds: allocated bytes after steps 10, 20 and 30 are equal,
    reserved bytes don't rise in the last 20, and nothing is left once all is given back."""
    del expect
    return each_gpu(env, _leak)


def oom_recovery(env: Env, expect: Expect) -> Outcome:
    """Under a cap, ask 5 times for the cap and 1 GiB more. Bounds: each raises OutOfMemoryError and is counted,
    allocated bytes are back exactly, and a training step then gives the loss of before to 1e-5."""
    del expect
    return each_gpu(env, _oom_recovery)


def grow_shrink(env: Env, expect: Expect) -> Outcome:
    """Training steps whose sequences grow to the longest that fits and shrink again, three times over.

    Bound: reserved memory grows by at most 2 % from the second cycle to the third.
    """
    del expect
    return each_gpu(env, _grow_shrink)


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


def _grow_shrink(env: Env, memory: Any) -> Outcome:
    trainer = memory.trainer()
    trainer.step(length=_LENGTHS[0])  # the optimizer's state is there from the first step on
    spare = _BUDGET * memory.spare()
    up = [length for length in _LENGTHS if _BATCH * length * trainer.token_bytes * _ROOM < spare]
    if len(up) < _FEWEST:
        raise Skip(f"{spare / GIB:.1f} GiB hold too few lengths of sequences")
    reserved = []
    for cycle in range(_CYCLES):
        for length in [*up, *reversed(up[:-1])]:
            trainer.step(length=length)
        memory.collect()
        reserved.append(memory.reserved())
        env.sample({"t": cycle, "reserved": reserved[-1], "allocated": memory.allocated()})
    growth = 100 * (reserved[2] / reserved[1] - 1)
    return verdict(
        [f"reserved grew by {growth:.1f} % from the second cycle to the third"] if growth > _GROWTH else [],
        measured={
            "workload": trainer.name,
            "longest": (up[-1], "tokens"),
            "growth": (round(growth, 3), "%"),
            "reserved": (reserved[-1], "bytes"),
        },
        expected=f"growth ≤ {_GROWTH} %",
        remedy="set another allocator setting for sequences of many lengths, or pad them to a few",
        data={"cycle": list(range(1, _CYCLES + 1)), "reserved": reserved},
    )


def _ooms(memory: Any) -> int:
    """Refusals that were counted: from 2.12 on, those by the allocator's own policy are counted apart."""
    stats = memory.stats()
    return int(stats.get("num_ooms", 0)) + int(stats.get("num_oom_rejections", 0))
