"""Faults of the allocator, of its settings and of what is said about them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from ..config import QUICK, Expect
from ..env import Env
from ..memory import GIB
from .base import Fault, State, both, promise, simulated, world


def _allocator(fault: str) -> Fault:
    from ..fakes import FakeMemory

    return simulated(memory=lambda _: FakeMemory(fault))


def _setting_in_force(found: bool, fault: str = "") -> Fault:
    """The image promises expandable segments; what the snapshot tells of them is `found`."""
    from ..fakes import FakeMemory

    value = "expandable_segments:True"
    setting = {"variable": "PYTORCH_CUDA_ALLOC_CONF", "value": value}
    settings = {"PYTORCH_CUDA_ALLOC_CONF": value if found else "", "expandable_segments": found}
    return both(simulated(memory=lambda _: FakeMemory(fault, settings)), promise(allocator=setting))


def _quick_arms(fault: str = "", *, check: str = "", retries: int = 0) -> Fault:
    """The arms run for real, in processes of their own, on a model of the allocator and a small network.

    The quick run has the fewest of them; `check` is one that it runs only by name.
    """
    simulation = {"total": 80 * GIB, "layers": 2, "steps": 6, "retries": retries, "judged": ["bert"]}

    def fault_of(env: Env, expect: Expect) -> State:
        config = replace(env.config, mode=QUICK, only=(check,))
        return replace(env, simulated=True, simulation=simulation, part_fault=fault, config=config), expect

    return fault_of


def _saving_required(percent: float) -> Fault:
    def fault(env: Env, expect: Expect) -> State:
        return replace(env, config=replace(env.config, require_saving=percent)), expect

    return fault


def _setting(value: str) -> Fault:
    return world(environ={**os.environ, "PYTORCH_CUDA_ALLOC_CONF": value})


FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "allocator.env_valid": {
        "lower_case": _setting("expandable_segments:true"),
        "unknown": _setting("expandable_segment:True"),
    },
    "allocator.effective": {
        "ineffective": _setting_in_force(False),
        "not_expandable": _setting_in_force(True, "not_expandable"),
        "healthy": _setting_in_force(True),
    },
    "allocator.churn": {"corruption": _allocator("corruption"), "healthy": _allocator("")},
    "allocator.leak": {"leak": _allocator("leak"), "growth": _allocator("growth"), "healthy": _allocator("")},
    "allocator.oom_recovery": {
        name: _allocator("" if name == "healthy" else name)
        for name in ("no_refusal", "not_counted", "held_after_oom", "other_loss", "healthy")
    },
    "allocator.grow_shrink": {"creep": _allocator("creep"), "healthy": _allocator("")},
    **{
        f"allocator.saving_{name}": {
            "exchanged": both(_quick_arms("exchanged", check=f"allocator.saving_{name}"), _saving_required(1)),
            **({"healthy": _quick_arms()} if name == "bert" else {}),
        }
        for name in ("bert", "long", "moe")
    },
    "allocator.saving_fixed": {
        "claimed": both(_quick_arms(check="allocator.saving_fixed"), _saving_required(50)),
    },
    "allocator.retries": {"retried": _quick_arms(retries=1), "healthy": _quick_arms()},
    "allocator.fragmentation": {"ineffective": _quick_arms("ineffective"), "healthy": _quick_arms()},
    "allocator.no_worse": {"exchanged": _quick_arms("exchanged"), "healthy": _quick_arms()},
}
