"""What faults are made of: a fault takes the environment and the promises of a check, and gives them back broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable

from ..config import Expect
from ..env import Env

State = tuple[Env, Expect]
Fault = Callable[[Env, Expect], State]


def promise(**changes: Any) -> Fault:
    """Something else is promised."""
    return lambda env, expect: (env, replace(expect, **changes))


def world(**changes: Any) -> Fault:
    """Members of the environment are others."""
    return lambda env, expect: (replace(env, **changes), expect)


def simulated(**changes: Any) -> Fault:
    """As `world`, and what needs a GPU runs on the CPU."""
    return world(simulated=True, **changes)


def both(first: Fault, second: Fault) -> Fault:
    """One after the other."""
    return lambda env, expect: second(*first(env, expect))
