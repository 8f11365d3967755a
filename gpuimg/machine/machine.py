"""Files and programs of a machine. A folder with the same files stands for another one."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LIMIT_S: Final = 20.0
"""nvidia-smi takes some seconds on hosts with many GPUs and no persistence mode."""
_MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a program said."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine below `root`, as a process with the variables `environ` sees it."""

    root: Path = Path("/")
    environ: Mapping[str, str]

    def path(self, absolute: str) -> Path:
        """Where the file of that absolute path lies."""
        return self.root / absolute.lstrip("/")

    def read(self, absolute: str) -> str | None:
        """The text of a file, its first MiB at most; None where there is none, or it can't be read."""
        try:
            with self.path(absolute).open("rb") as file:
                return file.read(_MAX_BYTES).decode("utf-8", "replace")
        except OSError:
            return None

    def exists(self, absolute: str) -> bool:
        """Whether there is such a file, folder or device; what this user may not see is not there."""
        try:
            return self.path(absolute).exists()
        except OSError:
            return False

    def names(self, folder: str) -> tuple[str, ...]:
        """What a folder holds, sorted; nothing where there is none, or it can't be read."""
        try:
            return tuple(sorted(path.name for path in self.path(folder).iterdir()))
        except OSError:
            return ()

    def memory_bytes(self) -> int | None:
        """All of its memory; None where nobody tells."""
        found = re.search(r"^MemTotal:\s+(\d+) kB", self.read("/proc/meminfo") or "", re.MULTILINE)
        return int(found[1]) * 1024 if found else None

    def free_bytes(self, folder: str) -> int | None:
        """What a user may still write where the folder lies; None where nobody can tell."""
        try:
            return shutil.disk_usage(self.path(folder)).free
        except OSError:
            return None

    def which(self, program: str) -> str | None:
        """Where the program is, on PATH; None: nowhere."""
        return shutil.which(program, path=self.environ.get("PATH", os.defpath))

    def ask(self, command: Sequence[str], *, timeout_s: float = _LIMIT_S) -> Answer | None:
        """What a program says; None where there is no such program, or it doesn't end in time."""
        program = self.which(command[0])
        if program is None:
            return None
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(
                [program, *command[1:]],
                env={**self.environ, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=timeout_s,
            )
            return Answer(
                exit_code=done.returncode,
                stdout=done.stdout.decode("utf-8", "replace"),
                stderr=done.stderr.decode("utf-8", "replace"),
            )
        return None


def this_machine(environ: Mapping[str, str]) -> Machine:
    """The one that this process runs on."""
    return Machine(environ=dict(environ))
