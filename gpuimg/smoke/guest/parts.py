"""Processes that one check starts: ranks of a group, arms of a comparison.

They stay in the check's own process group, so that the parent's kill at the check's timeout reaches them, too. Each
writes its result as JSON into a file, never on stdout: libraries print there.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .ends import signal_name
from .process import guest_command, tail

_POLL_S = 0.05
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class PartEnd:
    """How a part ended."""

    exit_code: int | None
    """None: it had to be killed at the time limit."""
    result: Any
    """What it wrote; None where it wrote nothing."""
    output: str
    """The last of its stdout and stderr."""

    @property
    def problem(self) -> str | None:
        """What went wrong with the process itself, or None."""
        if self.exit_code is None:
            return "it did not end in time"
        if self.exit_code < 0:
            return f"it died of {signal_name(-self.exit_code)}"
        if self.exit_code:
            return f"it exited with code {self.exit_code}: {last_line(self.output)}"
        return "it ended without a result" if self.result is None else None


class Part:
    """A process that runs one part. Made by `started`."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], folder: Path) -> None:
        self._result = folder / "result.json"
        self._output = (folder / "output").open("w+b")
        self.process = subprocess.Popen(
            [*command, "--result-file", str(self._result)],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=dict(environ),
        )

    def end(self, deadline: float) -> PartEnd:
        """Wait for it until `deadline` (of time.monotonic) and kill it then."""
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        in_time = self.process.poll() is not None
        self.kill()
        result = None
        with suppress(OSError, ValueError):
            result = json.loads(self._result.read_text(encoding="utf-8"))
        return PartEnd(self.process.returncode if in_time else None, result, tail(self._output))

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        self._output.close()


@contextmanager
def started(requests: Sequence[tuple[str, Mapping[str, Any], Mapping[str, str]]]) -> Iterator[list[Part]]:
    """Start a part for each request: its name, its arguments, and its environment. All are gone at the end."""
    with tempfile.TemporaryDirectory() as scratch:
        parts: list[Part] = []
        try:
            for number, (name, arguments, environ) in enumerate(requests):
                folder = Path(scratch) / str(number)
                folder.mkdir()
                parts.append(Part(part_command(name, arguments), environ, folder))
            yield parts
        finally:
            for part in parts:
                part.close()


def run_part(name: str, arguments: Mapping[str, Any], environ: Mapping[str, str], *, timeout: float) -> PartEnd:
    """Run one part to its end."""
    with started([(name, arguments, environ)]) as parts:
        return parts[0].end(time.monotonic() + timeout)


def part_command(name: str, arguments: Mapping[str, Any]) -> list[str]:
    """How to start a part; it writes its result only where ``--result-file`` says, or by itself."""
    return [*guest_command(), "--part", name, "--arguments", json.dumps(arguments)]


def end_with_parent() -> None:
    """Let the kernel kill this process when its parent ends: torchrun's ranks are in groups of their own."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def write_result(path: str, result: Any) -> None:
    """Write a part's result at once or not at all: a part that is killed meanwhile has none."""
    new = f"{path}.{os.getpid()}"
    Path(new).write_text(json.dumps(result), encoding="utf-8")
    Path(new).replace(path)


def last_line(text: str) -> str:
    """The last line that says something: of a traceback the exception."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"
