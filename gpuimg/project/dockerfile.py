"""A Dockerfile that a folder has already → what of it a project file can say: no more than is understood for sure."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gpuimg import settings
from gpuimg.errors import RequestError, SpecError
from gpuimg.model import Spec
from gpuimg.pipeline.spec import parse_spec

_MAX_BYTES: Final = 1 << 18
_TORCH_IMAGES: Final = {"pytorch/pytorch", "docker.io/pytorch/pytorch", "gpuimg"}
_WITH_VALUE: Final = {
    "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-c", "--constraint", "--trusted-host", "--timeout",
    "--cache-dir", "--proxy", "--target", "-t",
}  # fmt: skip
"""Options of pip whose value is a word of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerfileFacts:
    """What a Dockerfile says of its last stage."""

    base: str | None = None
    """The image of FROM as it stands there."""
    spec: Spec | None = None
    """What that image's tag asks for, where it is one of torch."""
    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    workdir: str | None = None
    copies: bool = False
    """Whether it copies from its folder."""
    others: int = 0
    """How many RUN lines do something else than `pip install`."""


def read_dockerfile(path: Path) -> DockerfileFacts | None:
    """Give what the Dockerfile at `path` says; None: there is none that can be read."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    facts: dict[str, object] = {}
    extras: list[str] = []
    files: list[str] = []
    others = 0
    for word, rest in _instructions(text):
        match word:
            case "FROM":
                base = next((part for part in rest.split() if not part.startswith("--")), "")
                facts, extras, files, others = {"base": base, "spec": _spec(base)}, [], [], 0
            case "RUN":
                understood = _pip(rest, extras, files)
                others += not understood
            case "CMD":
                facts["command"] = _words(rest)
            case "WORKDIR":
                facts["workdir"] = rest
            case "COPY" | "ADD":
                facts["copies"] = True
            case _:
                pass
    return DockerfileFacts(
        extras=tuple(extras),
        requirements=tuple(files),
        others=others,
        **facts,  # type: ignore[arg-type]  # fields by name
    )


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction in capitals, and the rest of its line; continued lines joined, comments gone."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\[ \t]*\n", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word.upper(), rest.strip()


def _spec(base: str) -> Spec | None:
    name, _, tag = base.partition("@")[0].rpartition(":")
    if name in _TORCH_IMAGES:
        with contextlib.suppress(SpecError):
            return parse_spec(tag)
    return None


def _words(rest: str) -> tuple[str, ...]:
    """The words of a CMD; none where it needs a shell or variables, which a project file has not."""
    with contextlib.suppress(ValueError):
        if rest.startswith("["):
            words = json.loads(rest)
            return tuple(words) if isinstance(words, list) and all(isinstance(word, str) for word in words) else ()
        if not re.search(r"[$&|;<>`]", rest):
            return tuple(shlex.split(rest))
    return ()


def _pip(rest: str, extras: list[str], files: list[str]) -> bool:
    """Add what `pip install` lines install; give whether the line does nothing else."""
    try:
        words = shlex.split(re.sub(r"^(?:--\S+\s+)+", "", rest))
    except ValueError:
        return False
    match words:
        case ["pip" | "pip3", "install", *arguments]:
            pass
        case ["python" | "python3", "-m", "pip", "install", *arguments] | ["uv", "pip", "install", *arguments]:
            pass
        case _:
            return False
    if {"&&", "||", ";", "|"} & set(arguments):
        return False
    found: list[str] = []
    named: list[str] = []
    remaining = iter(arguments)
    for word in remaining:
        if word in {"-r", "--requirement"}:
            named.append(next(remaining, ""))
        elif word in _WITH_VALUE:
            next(remaining, "")
        elif not word.startswith("-"):
            try:
                found.append(settings.requirement(word))
            except RequestError:
                return False
    extras += found
    files += named
    return True
