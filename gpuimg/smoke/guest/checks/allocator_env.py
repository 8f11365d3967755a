"""allocator.env_valid: the allocator setting as text, judged without a GPU."""

from __future__ import annotations

from ..config import Expect
from ..env import Env
from ..known import ALLOCATOR_VARIABLES, allocator_problems, allocator_variable_problem
from ..outcome import Outcome, skipped, verdict


def env_valid(env: Env, expect: Expect) -> Outcome:
    """Every allocator variable that is set is one that this torch reads, and its value parses for this torch.

    An unknown option, or `true` for `True`, aborts at the first use of CUDA, and a variable of another release is
    ignored in silence: both show on a machine without a GPU here. What the image promises is set as promised.
    """
    found = settings(env)
    problems: list[str] = []
    if expect.allocator is not None:
        variable, value = expect.allocator["variable"], expect.allocator["value"]
        if found.get(variable) != value:
            problems.append(f"{variable} is `{found.get(variable, 'unset')}` instead of `{value}`")
    elif not found:
        return skipped("no allocator setting is made or promised")
    torch = env.torch_release
    for variable, value in found.items():
        unread = allocator_variable_problem(variable, torch)
        if unread is None:
            problems += [f"{variable}: {text}" for text in allocator_problems(value, torch)]
        elif value != in_force(env)[1]:  # the same value under both names is harmless
            problems.append(unread)
    return verdict(
        problems,
        measured=dict(found),
        expected="{variable}={value}".format(**expect.allocator) if expect.allocator else "this torch understands it",
        remedy="booleans are True and False; see `gpuimg why` for the setting of this torch",
    )


def settings(env: Env) -> dict[str, str]:
    """The allocator variables that are set."""
    return {name: env.environ[name] for name in ALLOCATOR_VARIABLES if env.environ.get(name)}


def in_force(env: Env) -> tuple[str, str]:
    """The variable that this torch's CUDA allocator takes, and its value; empty where none is set.

    With both set the older name wins on every release that was run.
    """
    readable = (
        (name, value) for name, value in settings(env).items() if ALLOCATOR_VARIABLES[name] <= env.torch_release
    )
    return next(readable, ("", ""))
