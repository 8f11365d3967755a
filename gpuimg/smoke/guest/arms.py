"""One arm of the allocator's comparison, in a process of its own: the allocator reads its setting once, when it starts.

`probe` finds out what fits, `arm` runs a workload and records the allocator's statistics after every step.
"""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Mapping
from typing import Any, Callable

from . import workload
from .known import ALLOCATOR_VARIABLES
from .memory import CudaMemory, expandable, fitting_shape
from .outcome import Skip
from .simulated import SimulatedMemory

_PROBE_BATCH, _PROBE_LENGTH = 2, 512
_WARM_SHARE = 5  # the first fifth of the steps counts in peaks, not in times


def or_skip(program: Callable[[Mapping[str, Any]], Any]) -> Callable[[Mapping[str, Any]], Any]:
    """The program, with a Skip as its result: a process can't raise into another."""

    def run(arguments: Mapping[str, Any]) -> Any:
        try:
            return program(arguments)
        except Skip as reason:
            return {"skip": str(reason)}

    return run


@or_skip
def probe(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What is free, and what a step of the workload takes: bytes that stay, and bytes for each token.

    Arguments: ``workload``, ``index`` of the GPU, ``small`` (the smaller network), ``simulated``.
    """
    memory = _memory(arguments)
    free, total = memory.free_and_total()
    shape = _shape(arguments, free)
    with memory.recording():
        trainer = workload.Trainer(memory.device, shape, dropout=True)
        for _ in range(2):
            memory.reset_peaks()
            trainer.step(_PROBE_BATCH, _PROBE_LENGTH)
    stats = memory.stats()
    stays, peak = stats["allocated_bytes.all.current"], stats["allocated_bytes.all.peak"]
    return {
        "shape": shape.name,
        "free": free,
        "total": total,
        "stays": stays,
        "per_token": (peak - stays) / (_PROBE_BATCH * _PROBE_LENGTH),
    }


@or_skip
def arm(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run a workload; what came of it, and the statistics of every step.

    Arguments: those of `probe` and ``seed``, ``batch``, ``longest``, ``steps``, ``cap`` (bytes, or None) and
    ``longest_first``. A run that does not fit ends with ``ran`` False.
    """
    memory = _memory(arguments)
    free, _ = memory.free_and_total()
    if arguments["cap"] is not None:
        memory.limit(arguments["cap"])
    choose = random.Random(arguments["seed"])
    lengths = workload.lengths(arguments["workload"], arguments["steps"], arguments["longest"], choose)
    if arguments["longest_first"]:
        lengths.sort(reverse=True)
    steps: list[dict[str, Any]] = []
    ran = True
    shape = _shape(arguments, free)
    try:
        with memory.recording():
            trainer = workload.Trainer(memory.device, shape, dropout=True, choose=choose)
            for length in lengths:
                memory.reset_peaks()
                seconds = memory.timed(lambda: trainer.step(arguments["batch"], length))  # noqa: B023
                steps.append({"length": length, "seconds": seconds, **_numbers(memory.stats())})
    except memory.out_of_memory:
        ran = False
    found = _numbers(memory.stats())
    fullest = max(steps, key=lambda step: (step["allocated_peak"], step["reserved_peak"]), default=found)
    timed = [step["seconds"] for step in steps[len(lengths) // _WARM_SHARE :]]
    return {
        "ran": ran,
        "shape": shape.name,
        "free": free,
        "lengths": lengths,
        "expandable": expandable(memory.snapshot()["segments"]),
        "peak_reserved": max((step["reserved_peak"] for step in steps), default=found["reserved_peak"]),
        "peak_allocated": fullest["allocated_peak"],
        # Of one step, since peaks of different ones don't divide; of the fullest, since what is reserved hardly falls:
        # a short step later, which needs one page more, would be held against all that the long one left.
        "fragmentation": 1 - fullest["allocated_peak"] / fullest["reserved_peak"] if fullest["reserved_peak"] else 0.0,
        "retries": found["retries"],
        "ooms": found["ooms"],
        "mallocs": found["mallocs"],
        "step_ms": statistics.median(timed) * 1000 if timed else None,
        "steps": len(steps),
        "reserved": [step["reserved_peak"] for step in steps],
        "allocated": [step["allocated_peak"] for step in steps],
        "requested": [step["requested"] for step in steps],
        "inactive_split": [step["inactive_split"] for step in steps],
        "retried": [step["retries"] for step in steps],
    }


def _memory(arguments: Mapping[str, Any]) -> Any:
    if arguments["simulated"] is None:
        return CudaMemory(arguments["index"])
    setting = next((os.environ[name] for name in ALLOCATOR_VARIABLES if os.environ.get(name)), "")
    simulated = arguments["simulated"]
    return SimulatedMemory(setting, total=simulated["total"], retries=simulated.get("retries", 0))


def _shape(arguments: Mapping[str, Any], free: int) -> workload.Shape:
    simulated = arguments["simulated"]
    shape = fitting_shape(arguments["workload"], free, small=arguments["small"])
    if simulated is None or "layers" not in simulated:
        return shape
    return workload.Shape(
        f"{shape.name} of {simulated['layers']} layers", simulated["layers"], shape.hidden, shape.experts
    )


def _numbers(stats: Mapping[str, Any]) -> dict[str, int]:
    names = {
        "allocated_peak": "allocated_bytes.all.peak",
        "reserved_peak": "reserved_bytes.all.peak",
        "requested": "requested_bytes.all.current",
        "inactive_split": "inactive_split_bytes.all.current",
        "retries": "num_alloc_retries",
        "ooms": "num_ooms",
        "mallocs": "segment.all.allocated",
    }
    return {name: int(stats.get(key, 0)) for name, key in names.items()}
