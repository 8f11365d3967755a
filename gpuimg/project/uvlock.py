"""A ``uv.lock`` → the exact packages of its project's default group, without what only its torch needs.

uv itself reads the lock; torch's own libraries are the stack's matter, whatever release the lock has of them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gpuimg import toml
from gpuimg.errors import RequestError
from gpuimg.extras.uv import find_uv, uv_environment
from gpuimg.text import printable, shorten, shown_path

_LIMIT_S: Final = 60.0
_OPTIONS: Final = (
    "--frozen", "--no-emit-project", "--no-hashes", "--no-dev", "--no-annotate", "--no-header",
    "--format", "requirements-txt", "--offline", "--no-python-downloads", "--quiet", "--color", "never",
)  # fmt: skip


def read_uv_lock(path: Path, *, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Give what the lock pins, as ``name==version`` with its marker; torch is among them where the project needs it.

    Raises:
        RequestError: it can't be read, or has a package that lies elsewhere than on an index.
        CommandNotFoundError: there is no uv.
    """
    shown = shown_path(path)
    try:
        document = toml.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"{shown} can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{shown} is no lock file of uv: {shorten(printable(str(error)), 200)}") from error
    wanted = _reached_without_torch(document.get("package", []))
    pins = [_pin(line, shown) for line in _export(path, shown, environ=environ)]
    return tuple(str(pin) for pin in pins if canonicalize_name(pin.name) in {*wanted, "torch"})


def _export(path: Path, shown: str, *, environ: Mapping[str, str]) -> Sequence[str]:
    """The lines of requirements that uv gives for the lock."""
    command = [*find_uv(), "export", *_OPTIONS, "--project", str(path.parent)]
    try:
        done = subprocess.run(command, env=uv_environment(environ), check=False, capture_output=True, timeout=_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise RequestError(f"uv has not read {shown} in {_LIMIT_S:.0f} s") from error
    if done.returncode != 0:
        said = shorten(printable(done.stderr.decode(errors="replace").strip(), multiline=True), 600)
        raise RequestError(f"uv can't read {shown}\n{said}", hints=["`uv lock --check` says whether it is current"])
    return [line for line in done.stdout.decode(errors="replace").splitlines() if line.strip()]


def _pin(line: str, shown: str) -> Requirement:
    try:
        pin = Requirement(line)
    except InvalidRequirement:
        pin = None
    if pin is None or pin.url is not None:
        name = pin.name if pin is not None else shorten(printable(line.removeprefix("-e ")), 60)
        raise RequestError(
            f"{shown} has `{name}` from a file, a repository or a URL;"
            " packages come from the index by name and version",
            hints=["put its wheel on an index and name that as `index-url`", "or copy it into the image as `code`"],
        )
    return pin


def _reached_without_torch(packages: Sequence[Mapping[str, Any]]) -> set[str]:
    """The packages that the project comes to by another way than through torch."""
    edges: dict[str, set[str]] = {}
    roots: set[str] = set()
    for package in packages:
        optional = package.get("optional-dependencies", {}).values()
        needs = [*package.get("dependencies", ()), *(need for group in optional for need in group)]
        edges.setdefault(package["name"], set()).update(need["name"] for need in needs)
        if package.get("source", {}).keys() & {"virtual", "editable", "directory"}:
            roots.add(package["name"])
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found and name != "torch":
            found.add(name)
            waiting += edges.get(name, ())
    return found
