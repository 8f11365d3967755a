"""Starts a `Launch` with the docker program: it keeps terminal, signals and sizes right, as no library does."""

from __future__ import annotations

import collections
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from gpuimg.errors import HostError
from gpuimg.launch.docker_run import docker_arguments
from gpuimg.launch.launch import Launch
from gpuimg.launch.server import no_answer, wait_for_answer
from gpuimg.text import log_line, printable

_LOG_LINES: Final = 20
"""So many of the last lines are shown of a server that ended."""


def hand_over(launch: Launch, *, program: str, environ: Mapping[str, str]) -> NoReturn:
    """Become the docker program, whose exit code is the command's. Raises HostError where that fails."""
    try:
        os.execvpe(program, docker_arguments(launch, program=program), environ)
    except OSError as error:
        raise HostError(f"{program} can't be started: {printable(str(error))}") from error


def start_detached(launch: Launch, *, program: str, environ: Mapping[str, str]) -> str:
    """Start it in the background and give what it goes by: its name, or the id that the engine gave it.

    Raises HostError; docker has said why on stderr.
    """
    container_id = _run(docker_arguments(launch, program=program), environ)
    return launch.name or container_id


def start_server(
    launch: Launch, *, program: str, environ: Mapping[str, str], url: str, limit_s: float
) -> tuple[str, bool]:
    """Start it in the background and wait until it answers at `url`, at most `limit_s` seconds.

    Gives what it goes by, and whether it answered. Its output is read from before its start on: a container that is
    removed at its end takes its log with it.

    Raises HostError where it ends before, with the last that it said.
    """
    container_id = _run(docker_arguments(launch, program=program, verb="create"), environ)
    attached = [program, "start", "--attach", container_id]
    answered = ended = False
    log: collections.deque[str] = collections.deque(maxlen=_LOG_LINES)
    try:
        with subprocess.Popen(
            attached,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours: the reader would pass it on
        ) as reader:
            thread = threading.Thread(target=_read, args=(reader, log), daemon=True)
            thread.start()
            try:
                answered = wait_for_answer(url, ended=lambda: reader.poll() is not None, limit_s=limit_s)
                ended = reader.poll() is not None
            finally:
                reader.kill()  # which ends the reading alone: the container is the engine's
                thread.join()
        if ended:
            raise no_answer(launch.image, url, log)
    except BaseException:
        if launch.remove:
            subprocess.run([program, "rm", "--force", container_id], env=environ, capture_output=True, check=False)
        raise
    return launch.name or container_id, answered


def _read(reader: subprocess.Popen[bytes], log: collections.deque[str]) -> None:
    assert reader.stdout is not None
    log.extend(log_line(line.decode("utf-8", "replace")) for line in reader.stdout)


def _run(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """What the engine calls the container that the command makes: its id, as short as people write it."""
    try:
        done = subprocess.run(arguments, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    except OSError as error:
        raise HostError(f"{arguments[0]} can't be started: {printable(str(error))}") from error
    if done.returncode != 0:
        raise HostError(f"{arguments[0]} could not start the container, for the reason that it gave above")
    return done.stdout.decode("ascii", "replace").strip().rpartition("\n")[2][:12]
