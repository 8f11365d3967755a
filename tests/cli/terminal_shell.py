"""A real shell on a pseudo-terminal, in which keys are pressed."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

TAB: Final = "\t"
KILL_LINE: Final = "\x15"
_PATIENCE_S: Final = 60.0
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[=>()][0-9A-B]?|\x07|\x08")


class Terminal:
    """What a person has in front of them."""

    def __init__(self, master: int) -> None:
        self._master = master

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait_for(self, text: str) -> str:
        """All that came until `text` did; fails where it doesn't come."""
        shown = ""
        deadline = time.monotonic() + _PATIENCE_S
        while text not in shown:
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"`{text}` did not come: {shown!r}"
            shown = _ESCAPES.sub("", shown + os.read(self._master, 65536).decode(errors="replace"))
        return shown


@contextmanager
def terminal(command: Sequence[str], environment: Mapping[str, str]) -> Generator[Terminal]:
    """A shell that is ended, and with it all that it started."""
    child, master = pty.fork()
    if child == 0:
        os.execvpe(command[0], list(command), dict(environment))
    try:
        yield Terminal(master)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(master)
