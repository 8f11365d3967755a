"""Many reads of an index at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from gpuimg.pool import run_each
from gpuimg.update.session import Session

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_all(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    session: Session,
    workers: int,
    done: Callable[[Item], None],
) -> list[Result]:
    """Give `function(item)` of all items, in their order; `done` is called in this thread as each is ready.

    The first error ends the others and is raised. So does Ctrl-C, at once: no server that a thread still listens to is
    waited for.
    """
    results: dict[int, Result] = {}

    def take(number: int, result: Result | BaseException) -> None:
        if isinstance(result, BaseException):
            raise result
        results[number] = result
        done(items[number])

    run_each(lambda item, _: function(item), items, slots=range(workers), done=take, cancel=session.cancel)
    return [results[number] for number in range(len(items))]
