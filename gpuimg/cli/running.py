"""What `gpuimg run` asks before, and how it shows or starts what was decided."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gpuimg.cli.target import find_target, planned_target
from gpuimg.errors import EngineNotFoundError, HostError, ImageNotFoundError
from gpuimg.launch.docker_run import shell_command
from gpuimg.launch.mounts import make_folders
from gpuimg.launch.place import Place, ask_place, guess_place, starting_program
from gpuimg.launch.server import TOKEN, Server, tunnel
from gpuimg.launch.start import hand_over, start_detached, start_server

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.launch.decide import Decision
    from gpuimg.launch.launch import Target
    from gpuimg.launch.place import Person
    from gpuimg.machine import Machine, Nvidia

_ANSWER_S: Final = 60.0
"""How long a detached server may take to answer. JupyterLab takes a few seconds."""


def look(
    text: str, machine: Machine, console: Console, *, nvidia: Nvidia, printing: bool, matrix_dir: Sequence[Path]
) -> tuple[Place, Target]:
    """Where the container will run, and the image that `text` names.

    With `printing` neither the engine nor the image has to be there.
    """
    import os

    from gpuimg.engine.client import Engine, engine_address

    try:
        with Engine(environ=machine.environ) as engine:
            place = ask_place(engine, machine)
            try:
                found = find_target(engine, text, console, matrix_dir=matrix_dir)
            except ImageNotFoundError as error:
                if not printing:
                    raise
                console.notice(error.message)
                found = planned_target(text, console, matrix_dir=matrix_dir)
    except EngineNotFoundError:
        program = _program(machine, podman=True, printing=printing)
        if not printing and program == "docker":
            raise
        address = engine_address(machine.environ)
        place = guess_place(address, machine, program=program, uid=os.getuid(), driver=nvidia.installed)
        return place, planned_target(text, console, matrix_dir=matrix_dir)
    program = _program(machine, podman=place.podman, printing=printing)
    return dataclasses.replace(place, program=program), found


def show_command(decision: Decision, place: Place, console: Console) -> None:
    """Write the docker command to stdout; to stderr what it needs beside."""
    if decision.missing:
        console.info(f"make these first: `{shlex.join(['mkdir', '-p', *map(str, decision.missing)])}`")
    server = decision.server
    if server is not None:
        console.info(f"it will answer at {server.page}")
    if decision.variables:
        console.info(
            f"`export {TOKEN}=…` first lets you choose its token; without, it makes one and writes it to its log"
        )
    console.data(shell_command(decision.launch, program=place.program, several_lines=console.out.tty))


def start(decision: Decision, place: Place, person: Person, console: Console, *, environ: Mapping[str, str]) -> None:
    """Start it. In the foreground this does not return: docker takes the process over."""
    launch, server, program = decision.launch, decision.server, place.program
    make_folders(decision.missing, person)
    environ = {**environ, **dict(decision.variables)}
    if not launch.detach:
        if server is not None:
            _say_where(server, place, console, environ)
        hand_over(launch, program=program, environ=environ)
    answered = True
    if server is None or not place.local:
        name = start_detached(launch, program=program, environ=environ)
    else:
        name, answered = start_server(launch, program=program, environ=environ, url=server.page, limit_s=_ANSWER_S)
    if not answered:
        console.warning(f"it runs, and does not answer after {_ANSWER_S:.0f} s: `{program} logs {name}` shows why")
    _say_how(name, decision, place, console)
    if server is not None:
        _say_tunnel(server, place, console, environ)
    console.data(name if server is None else server.url)


def _program(machine: Machine, *, podman: bool, printing: bool) -> str:
    try:
        return starting_program(machine, podman=podman)
    except HostError:
        if printing:  # the command may be for another machine
            return "docker"
        raise


def _say_where(server: Server, place: Place, console: Console, environ: Mapping[str, str]) -> None:
    console.info(f"it will answer at {server.url}")
    _say_tunnel(server, place, console, environ)


def _say_tunnel(server: Server, place: Place, console: Console, environ: Mapping[str, str]) -> None:
    line = tunnel(server, environ, address=place.address, user=environ.get("USER") or "USER")
    if line is not None:
        console.info(f"from your own machine: `{line}`, then open that URL there")


def _say_how(name: str, decision: Decision, place: Place, console: Console) -> None:
    """How to see what a container in the background does, and how to end it."""
    launch, program = decision.launch, place.program
    ends = f"`{program} stop {name}` ends it" + (
        " and removes it, its log too (--keep keeps both)" if launch.remove else ""
    )
    attach = f"`{program} attach {name}` goes into it; " if launch.tty else ""
    console.info(f"{attach}`{program} logs --follow {name}` shows what it says; {ends}")
