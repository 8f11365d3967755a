"""Runs one check in a process of its own, and knows afterwards how it ended."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable

from . import cgroup
from .ends import Ending

OUTPUT_BYTES = 4096
_POLL_S = 0.1
_READ_BYTES = 65536


def guest_command() -> list[str]:
    """How to start this guest again: from the zipapp that it runs from, else as a module."""
    if zipfile.is_zipfile(sys.argv[0]):
        return [sys.executable, sys.argv[0]]
    return [sys.executable, "-m", __package__]


def temporary_root() -> Path:
    """A new folder for everything that this run writes; a read-only image often has nothing but /dev/shm."""
    try:
        return Path(tempfile.mkdtemp(prefix="gpuimg-smoke-"))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="gpuimg-smoke-", dir="/dev/shm"))


def run_process(
    command: Sequence[str],
    *,
    root: Path,
    timeout: float,
    on_sample: Callable[[Mapping[str, Any]], None],
) -> Ending:
    """Run `command` with a pipe for its result, and kill all of its process group at the end, however it ends.

    The number of the pipe is appended to `command`. HOME and the caches of compilers are fresh folders below `root`, so
    that a warm cache can't hide a broken compiler, and that other users and read-only images work.
    """
    before = cgroup.oom_kills()
    read_end, write_end = os.pipe()
    with _scratch(root) as scratch, (scratch / "output").open("w+b") as output:
        try:
            process = subprocess.Popen(
                [*command, str(write_end)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(write_end,),
                start_new_session=True,
                env=_environment(scratch),
            )
        finally:
            os.close(write_end)
        records = _Records(read_end, on_sample)
        try:
            timed_out = not _wait(process, records, timeout)
        finally:
            _kill_group(process)
            records.read_rest()
            os.close(read_end)
        return Ending(
            exit_code=process.returncode,
            timeout=timeout,
            timed_out=timed_out,
            result=records.found.get("result"),
            exception=records.found.get("exception"),
            output=tail(output),
            oom_kills=cgroup.oom_kills() - before,
            memory_limit=cgroup.memory_limit(),
        )


class _Records:
    """What has come through the pipe so far."""

    def __init__(self, descriptor: int, on_sample: Callable[[Mapping[str, Any]], None]) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.found: dict[str, Any] = {}
        self._on_sample = on_sample
        self._buffer = b""
        self._open = True

    def wait(self, seconds: float) -> None:
        """Read what is there, waiting up to `seconds` for something."""
        if not self._open:
            time.sleep(seconds)
        elif select.select([self.descriptor], [], [], seconds)[0]:
            self._read()

    def read_rest(self) -> None:
        """Read what is left. Not up to the end of file: a process that escaped the group may still hold the pipe."""
        while self._open and self._read():
            pass

    def _read(self) -> bool:
        try:
            chunk = os.read(self.descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        self._open = bool(chunk)
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue  # not of our making: a process that inherited the pipe wrote into it
            if "sample" in record:
                self._on_sample(record["sample"])
            else:
                self.found.update(record)
        return self._open


def _wait(process: subprocess.Popen[bytes], records: _Records, timeout: float) -> bool:
    """Whether the process ended in time. It is left unreaped, so that its group can't become another's meanwhile."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        records.wait(min(_POLL_S, max(0.0, end - time.monotonic())))
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return True
    return False


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    # Short names: Unix sockets below TMPDIR must fit into 108 characters.
    folder = Path(tempfile.mkdtemp(dir=root, prefix=""))
    for name in ("home", "cache", "triton", "inductor", "tmp"):
        (folder / name).mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _environment(scratch: Path) -> dict[str, str]:
    return {
        **os.environ,
        "HOME": str(scratch / "home"),
        # Packages that the image installed below its own HOME stay visible.
        "PYTHONUSERBASE": site.getuserbase(),
        "XDG_CACHE_HOME": str(scratch / "cache"),
        "TRITON_CACHE_DIR": str(scratch / "triton"),
        "TORCHINDUCTOR_CACHE_DIR": str(scratch / "inductor"),
        "TMPDIR": str(scratch / "tmp"),
    }


def tail(output: Any) -> str:
    """The last of what an open file holds."""
    size: int | None = output.seek(0, os.SEEK_END)
    output.seek(max(0, (size or 0) - OUTPUT_BYTES))
    return str(output.read().decode(errors="replace")).strip()
