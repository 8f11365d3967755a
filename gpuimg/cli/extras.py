"""Extras on the command line: what is resolved, what the stack has already, and what that comes to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.facts import Matrix
    from gpuimg.model import Plan


def with_extras(plan: Plan, matrix: Matrix, asked: Sequence[str], console: Console, *, unlocked: bool) -> Plan:
    """Give `plan` with its extras resolved, and say so; `asked` is what was typed. Raises as `lock_extras` does."""
    if not asked and not plan.extras:  # a flavor of one's own may ask for some
        return plan
    from gpuimg.extras.checks import included_extras
    from gpuimg.extras.lock import can_lock_extras, lock_extras

    included = included_extras(asked, plan, matrix)
    if included:
        names = ", ".join(f"{wheel.name} {wheel.version}" for wheel in included)
        console.info(f"{plan.stack.name} has {names} already: nothing to add")
    if not plan.extras:
        return plan
    if unlocked or not can_lock_extras(plan):
        why = "as --unlocked-extras says" if unlocked else f"since not all that {plan.stack.name} fixes is known here"
        console.notice(f"the build resolves the extras, {why}: they are held to the stack, but not by hash.")
        return plan
    count = len(plan.extras)
    console.transient(f"resolving {count} extras against {plan.stack.name} …")
    locked = lock_extras(plan, matrix, environ=os.environ)
    console.transient("")
    console.info(_summary(plan, locked))
    return locked


def _summary(plan: Plan, locked: Plan) -> str:
    """One line: the extras that were named with their versions, and how much comes with them."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    files = [*(locked.extra_wheels or ()), *(extra.sdist for extra in locked.extra_sdists)]
    if not files:
        return f"{plan.stack.name} has all of the extras already: nothing to add"
    named = {canonicalize_name(Requirement(text).name) for text in plan.extras}
    shown = ", ".join(f"{file.name} {file.version}" for file in files if file.name in named)
    others = sum(file.name not in named for file in files)
    size = sum(file.size_bytes or 0 for file in files)
    text = f"resolved extras against {plan.stack.name}: {shown or 'none but what they need'}"
    text += f" and {others} that they need" if others else ""
    text += f" ({size / 1e6:.0f} MB)" if size else ""
    built = [extra.row.name for extra in locked.extra_sdists]
    return f"{text}; {', '.join(built)} from source" if built else text
