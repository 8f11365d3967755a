"""One key of a project file → a checked value. Each function takes what the file says, and the file's folder."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from gpuimg import settings
from gpuimg.errors import RequestError
from gpuimg.pipeline.spec import parse_spec
from gpuimg.project.model import Code, SmokeWishes
from gpuimg.smoke.request import refuse_unknown_checks
from gpuimg.text import printable, shown
from gpuimg.versions import Platform, PythonVersion

CODE_FOLDER: Final = "/app"
_OPERATORS: Final = {"&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1"}


def _spec(value: str, _: Path) -> str:
    parse_spec(value)
    return value


def read_name(value: str) -> str:
    """`value` if a project can have that name. Raises RequestError."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*", value, re.ASCII) or len(value) > 100:
        raise RequestError(f"`{shown(value)}` is no name in lower case such as bert-train")
    return value


def _text(value: str, _: Path) -> str:
    return value


def _python(value: str, _: Path) -> PythonVersion:
    try:
        return PythonVersion.parse(value)
    except ValueError as error:
        raise RequestError(printable(str(error))) from error


def _platform(value: str, _: Path) -> Platform:
    return Platform(value)


def _extras(value: Sequence[str], _: Path) -> tuple[str, ...]:
    return tuple(settings.requirement(text) for text in value)


def _requirements(value: Sequence[str], folder: Path) -> tuple[Path, ...]:
    return tuple(_path(text, folder) for text in value)


def _path(value: str, folder: Path) -> Path:
    return folder / value


def _packages(value: Sequence[str], _: Path) -> tuple[str, ...]:
    return tuple(settings.system_package(name) for name in value)


def _code(value: str | Sequence[Mapping[str, str]], folder: Path) -> tuple[Code, ...]:
    if isinstance(value, str):
        return (Code(source=_inside(value, folder), target=CODE_FOLDER),)
    copies = tuple(
        Code(source=_inside(row["from"], folder), target=settings.container_path(row["to"])) for row in value
    )
    targets = [copy.target for copy in copies]
    twice = next((target for target in targets if targets.count(target) > 1), None)
    if twice is not None:
        raise RequestError(f"two of them go to `{shown(twice)}`")
    return copies


def _inside(text: str, folder: Path) -> Path:
    """A file or folder of the project. Raises RequestError where it lies elsewhere, also through a link."""
    path = folder / text
    if not path.resolve().is_relative_to(folder.resolve()):
        raise RequestError(
            f"`{shown(text)}` is not in the project's folder",
            hints=["move the project file to a folder that has it"],
        )
    if not path.exists():
        raise RequestError(f"`{shown(text)}`: there is no such file or folder")
    return path


def _command(value: str | Sequence[str], _: Path) -> tuple[str, ...]:
    return split_command(value) if isinstance(value, str) else tuple(value)


def split_command(value: str) -> tuple[str, ...]:
    """The words of a command, as a shell would split them. Raises RequestError where only a shell can run it."""
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise RequestError(f"`{shown(value)}` can't be split into words: {error}") from error
    if not words:
        raise RequestError("is empty", hints=["leave it out: then the flavor says what the image runs"])
    operator = next((word for word in words if word in _OPERATORS or re.match(r".*\$[A-Za-z_({]", word)), None)
    if operator is not None:
        raise RequestError(
            f"`{shown(value)}` has `{shown(operator)}`, and no shell runs the command",
            hints=[f"write it as [bash, -c, {json.dumps(shown(value), ensure_ascii=False)}]"],
        )
    return tuple(words)


def _environment(value: Mapping[str, str | int], _: Path) -> Mapping[str, str]:
    return dict(settings.variable(name, str(item)) for name, item in value.items())


def _tags(value: Sequence[str], _: Path) -> tuple[str, ...]:
    for text in value:
        if not re.fullmatch(r"\w[\w.-]{0,127}", text, re.ASCII):
            raise RequestError(
                f"`{shown(text)}` is no tag",
                hints=["write it as v1; what stands before the colon is `repository`"],
            )
    return tuple(dict.fromkeys(value))


def _labels(value: Mapping[str, str | int], _: Path) -> Mapping[str, str]:
    return dict(settings.label(f"{name}={item}") for name, item in value.items())


def _smoke(value: Mapping[str, Any], _: Path) -> SmokeWishes:
    wishes = SmokeWishes(
        enabled=value.get("enabled", True),
        mode=value.get("mode"),
        only=tuple(value.get("only", ())),
        skip=tuple(value.get("skip", ())),
        gpus=settings.gpus(value["gpus"]) if "gpus" in value else None,
    )
    refuse_unknown_checks(wishes.only, wishes.skip)
    if any(pattern == "stack" or fnmatchcase("stack.torch", pattern) for pattern in wishes.skip):
        raise RequestError("stack.torch can't be skipped: the image's tags and labels rest on it")
    return wishes


READERS: Final[Mapping[str, Callable[[Any, Path], object]]] = {
    "spec": _spec,
    "flavor": _text,
    "python": _python,
    "platform": _platform,
    "base": lambda value, _: settings.image_reference(value),
    "extras": _extras,
    "requirements": _requirements,
    "packages": _packages,
    "code": _code,
    "workdir": lambda value, _: settings.container_path(value),
    "command": _command,
    "environment": _environment,
    "repository": lambda value, _: settings.repository(value),
    "tags": _tags,
    "index-url": lambda value, _: settings.index_url(value),
    "torch-index-url": lambda value, _: settings.index_url(value),
    "ca-bundle": _path,
    "build-network": lambda value, _: settings.network(value),
    "smoke": _smoke,
    "labels": _labels,
}
"""Every key that an image may have."""
