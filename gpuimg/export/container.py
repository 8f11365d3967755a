"""Values that users give for a container on another machine, checked before a file has them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from gpuimg import settings
from gpuimg.errors import RequestError
from gpuimg.launch import values as launch_values
from gpuimg.launch.launch import Mount
from gpuimg.pipeline.render import VENV
from gpuimg.text import did_you_mean, printable, shown

_SYSTEM: Final = ("/bin", "/dev", "/etc", "/lib", "/lib64", "/opt", VENV, "/proc", "/sbin", "/sys", "/usr")
_Value = TypeVar("_Value", str, str | None)

PULL_POLICIES: Final = ("always", "missing", "never")
"""https://docs.docker.com/reference/compose-file/services/#pull_policy: those that need nothing else."""


def service_name(text: str) -> str:
    """`text` if it can name a service, and with that a container. Raises RequestError."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", text, re.ASCII):
        raise RequestError(
            f"`{shown(text)}` can't name a service", hints=["use at most 63 of a-z, 0-9, _ and -: --name train"]
        )
    return text


def title(text: str) -> str:
    """`text` if an editor can show it as a name. Raises RequestError."""
    if not text.strip() or printable(text) != text or len(text) > 80:
        raise RequestError(f"`{shown(text)}` can't be a name to show", hints=["use at most 80 characters: --name bert"])
    return text


def variable(text: str, *, start: str = "where the container is started") -> tuple[str, str | None]:
    """Name and value of ``NAME=VALUE``; of ``NAME`` alone no value: the one that it has at the `start`.

    Raises RequestError, also for a value that looks like a secret: the file is there to be shared.
    """
    name, value = launch_values.variable(text)
    if not re.fullmatch(r"[A-Za-z0-9_]+", name, re.ASCII) or printable(value or "") != (value or ""):
        raise RequestError(f"`{shown(text)}` is no environment variable", hints=["write it as --env NCCL_DEBUG=INFO"])
    if value is not None:
        settings.refuse_secret(name, value, where="file", hint=f"--env {name} passes on the value that it has {start}")
    return name, value


def variables(texts: Sequence[str], read: Callable[[str], tuple[str, _Value]]) -> tuple[tuple[str, _Value], ...]:
    """The variables that `texts` say to `read`, each once. Raises RequestError."""
    found: dict[str, _Value] = {}
    for text in texts:
        name, value = read(text)
        if name in found:
            raise RequestError(f"{name} was given twice", hints=["leave one --env out"])
        found[name] = value
    return tuple(found.items())


def mount(text: str) -> Mount:
    """The mount that ``SOURCE:TARGET[:ro]`` says; a source below the file's folder begins with a dot.

    Raises RequestError.
    """
    found = beside_the_system(launch_values.mount(text))
    if found.volume or found.source.startswith(("/", "../", "~/")) or found.source in {".", "..", "~"}:
        return found
    return dataclasses.replace(found, source=f"./{found.source}")


def beside_the_system(mount: Mount) -> Mount:
    """`mount` if programs find the system and the image's Python where they were. Raises RequestError."""
    if mount.target in _SYSTEM or mount.target.startswith("/proc/"):
        raise RequestError(
            f"a mount on {shown(mount.target)} would hide what the image has there",
            hints=[f"name a folder of its own: -v {shown(mount.source)}:/data"],
        )
    return mount


def command(words: tuple[str, ...]) -> tuple[str, ...]:
    """`words` if a file can have them as the command. Raises RequestError."""
    for word in words:
        if printable(word) != word:
            raise RequestError(
                f"`{shown(word)}` has control characters: it can't stand in the file",
                hints=["put it into a script of its own, and name that"],
            )
    return words


def pull_policy(text: str) -> str:
    """`text` if Compose knows it as a rule when to pull. Raises RequestError."""
    if text not in PULL_POLICIES:
        raise RequestError(
            f"`{shown(text)}` says nothing of when to pull",
            hints=[*did_you_mean(text, PULL_POLICIES), f"use {', '.join(PULL_POLICIES)}"],
        )
    return text
