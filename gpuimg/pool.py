"""Work on many items at once, in threads."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

_LOOK_S: Final = 0.5
Item = TypeVar("Item")
Slot = TypeVar("Slot")
Result = TypeVar("Result")


def run_each(
    function: Callable[[Item, Slot], Result],
    items: Sequence[Item],
    *,
    slots: Sequence[Slot],
    done: Callable[[int, Result | BaseException], None],
    cancel: Callable[[], None],
) -> None:
    """Call `function(item, slot)` for all items in their order, in each slot one at a time.

    `done(number, result)` is called in this thread as each is ready, with the error where it ended in one. What `done`
    raises ends the rest, and so does Ctrl-C, at once: nothing more is begun, `cancel` is called, which is to end what
    the threads still wait for, and the error is raised. `concurrent.futures` would first wait for each of them; the
    threads here are daemons.
    """
    todo: queue.SimpleQueue[tuple[int, Item]] = queue.SimpleQueue()
    ready: queue.SimpleQueue[tuple[int, Result | BaseException]] = queue.SimpleQueue()
    stop = threading.Event()
    for pair in enumerate(items):
        todo.put(pair)

    def work(slot: Slot) -> None:
        while not stop.is_set():
            try:
                number, item = todo.get_nowait()
            except queue.Empty:
                return
            try:
                ready.put((number, function(item, slot)))
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
                ready.put((number, error))

    try:
        for slot in slots[: len(items)]:
            threading.Thread(target=work, args=(slot,), daemon=True).start()
        for _ in items:
            done(*_next(ready))
    except BaseException:
        stop.set()
        cancel()
        raise


def _next(ready: queue.SimpleQueue[Result]) -> Result:
    """The next result. A wait without an end would miss a Ctrl-C that comes just before it begins: so look up often."""
    while True:
        with contextlib.suppress(queue.Empty):
            return ready.get(timeout=_LOOK_S)
