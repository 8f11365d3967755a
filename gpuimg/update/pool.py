"""Many reads of an index at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

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

    The first error ends the others and is raised. So does Ctrl-C, at once: `concurrent.futures` would wait for each
    server that a thread still listens to, so the threads here are daemons.
    """
    todo: queue.SimpleQueue[tuple[int, Item]] = queue.SimpleQueue()
    ready: queue.SimpleQueue[tuple[int, Result | BaseException]] = queue.SimpleQueue()
    stop = threading.Event()
    for pair in enumerate(items):
        todo.put(pair)

    def work() -> None:
        while not stop.is_set():
            try:
                n, item = todo.get_nowait()
            except queue.Empty:
                return
            try:
                ready.put((n, function(item)))
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
                ready.put((n, error))

    for _ in range(min(workers, len(items))):
        threading.Thread(target=work, daemon=True, name="index-reader").start()
    results: dict[int, Result] = {}
    try:
        for _ in items:
            n, result = ready.get()
            if isinstance(result, BaseException):
                raise result
            results[n] = result
            done(items[n])
    except BaseException:
        session.cancel()
        raise
    finally:
        stop.set()
    return [results[n] for n in range(len(items))]
