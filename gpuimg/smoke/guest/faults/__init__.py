"""Faults that a test injects: each swaps one member of the environment, or a promise, for a broken one.

``inject`` of the config names a check and a fault. Real broken inputs are better, and the tests use those where a
machine without a GPU can have them; these are for the rest, and show that a check looks at what it says it looks at.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..config import ConfigError, Expect, nearest
from ..env import Env
from . import allocation, numbers, system
from .base import Fault, State

FAULTS: Mapping[str, Mapping[str, Fault]] = {**system.FAULTS, **numbers.FAULTS, **allocation.FAULTS}


def inject(check: str, fault: str | None, env: Env, expect: Expect) -> State:
    """The environment and the promises with the fault in them."""
    return (env, expect) if fault is None else find_fault(check, fault)(env, expect)


def find_fault(check: str, fault: str) -> Fault:
    """The fault of that name. Raises ConfigError for an unknown one."""
    faults = FAULTS.get(check, {})
    if fault not in faults:
        raise ConfigError(f"inject.{check}: no fault `{fault}`{nearest(fault, faults)}")
    return faults[fault]
