"""What of the user's files a container sees: the folder, the caches of models, and what was named."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gpuimg.errors import HostError, RequestError
from gpuimg.launch.launch import Mount
from gpuimg.launch.place import Person, Place
from gpuimg.model import WORKSPACE
from gpuimg.text import shown_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """A folder that a library keeps downloads in, by the library's own rules."""

    variable: str
    """Names the folder, on the host and in the container."""
    name: str
    """Of the folder below the user's caches, where the variable isn't set."""
    target: str


CACHES: Final = (
    Cache(variable="HF_HOME", name="huggingface", target="/cache/huggingface"),
    Cache(variable="TORCH_HOME", name="torch", target="/cache/torch"),
)
"""Sources: huggingface.co/docs/huggingface_hub/package_reference/environment_variables and
docs.pytorch.org/docs/stable/hub.html (both fall back on XDG_CACHE_HOME, then ~/.cache)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounts:
    """What is mounted, the variables that go with it, and what has to be said."""

    mounts: tuple[Mount, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    missing: tuple[Path, ...] = ()
    """Folders that have to be made first, or the engine fails."""
    notices: tuple[str, ...] = ()


def choose_mounts(
    named: Sequence[Mount],
    *,
    cwd: Path,
    with_cwd: bool,
    caches: bool,
    place: Place,
    person: Person,
    environ: Mapping[str, str],
) -> Mounts:
    """Give what to mount; what was named takes the place of what would come by itself.

    Args:
        cwd: the current folder, below which relative paths lie.
        with_cwd: whether it comes on ``/workspace``.
        caches: whether the caches of models come too.

    Raises:
        RequestError: what was named isn't there, or two mounts share a place.
    """
    named = [_found(mount, cwd, place) for mount in named]
    notices = []
    if not place.local and with_cwd:
        notices.append(
            f"the engine at {place.shown_address} is on another machine, which doesn't have the current folder:"
            f" {WORKSPACE} is the image's own"
        )
    taken = mount_targets(named)
    mounts = list(named)
    if with_cwd and place.local and WORKSPACE not in taken:
        if cwd == Path(cwd.anchor):
            notices.append(f"the current folder is {cwd}, all of this machine: it is not mounted")
        else:
            mounts.append(Mount(source=str(cwd), target=WORKSPACE))
    environment: list[tuple[str, str]] = []
    missing: list[Path] = []
    problems: dict[str, list[str]] = {}
    for cache in CACHES if caches and place.local else ():
        if cache.target in taken:
            continue
        path = _cache_path(cache, person, cwd, environ)
        problem = _problem(path, person) if path is not None else "nobody knows the home of this user"
        if path is None or problem is not None:
            problems.setdefault(problem or "", []).append(cache.name)
            continue
        mounts.append(Mount(source=str(path), target=cache.target))
        environment.append((cache.variable, cache.target))
        missing += [] if path.is_dir() else [path]
    notices += [f"without the cache of {' and '.join(names)}: {problem}" for problem, names in problems.items()]
    return Mounts(mounts=tuple(mounts), environment=tuple(environment), missing=tuple(missing), notices=tuple(notices))


def make_folders(paths: Sequence[Path], person: Person) -> None:
    """Make folders as the user's own, before the engine has to. Raises HostError."""
    for path in paths:
        for part in reversed([path, *path.parents]):
            if part.is_dir():
                continue
            try:
                part.mkdir()
                if os.geteuid() != person.uid:
                    os.chown(part, person.uid, person.gid, follow_symlinks=False)
            except OSError as error:
                raise HostError(
                    f"the cache {shown_path(path)} can't be made: {error.strerror}", hints=["--no-caches goes without"]
                ) from error


def shared_groups(mounts: Sequence[Mount], person: Person) -> tuple[int, ...]:
    """The user's further groups that own something of `mounts`: a team's folder is open to its members alone."""
    return tuple(sorted({group for group in _owners(mounts) if group in person.groups and group != person.gid} - {0}))


def _owners(mounts: Sequence[Mount]) -> Iterator[int]:
    for mount in mounts:
        if not mount.volume:
            with contextlib.suppress(OSError):
                yield Path(mount.source).stat().st_gid


def _found(mount: Mount, cwd: Path, place: Place) -> Mount:
    """`mount` with the absolute path of what the engine's machine has."""
    if mount.volume:
        return mount
    path = Path(os.path.normpath(cwd / mount.source))
    if not place.local and not mount.source.startswith("/"):
        raise RequestError(
            f"{shown_path(path)} lies on this machine, and the engine at {place.shown_address} is on another",
            hints=["name an absolute path that the engine's machine has, or a volume: -v data:/data"],
        )
    if place.local and not path.exists():
        raise RequestError(
            f"there is no {shown_path(path)} to mount", hints=[f"`{shlex.join(['mkdir', '-p', str(path)])}` makes it"]
        )
    return dataclasses.replace(mount, source=str(path))


def mount_targets(named: Sequence[Mount]) -> set[str]:
    """The places in the container. Raises RequestError where two mounts share one."""
    targets = [mount.target for mount in named]
    twice = next((target for target in targets if targets.count(target) > 1), None)
    if twice is not None:
        raise RequestError(f"two mounts share the place {twice}")
    return set(targets)


def _cache_path(cache: Cache, person: Person, cwd: Path, environ: Mapping[str, str]) -> Path | None:
    """By the library's own rules."""
    named = environ.get(cache.variable)
    base = environ.get("XDG_CACHE_HOME")
    if named:
        path = Path(named)
    elif base:
        path = Path(base) / cache.name
    elif person.home is not None:
        path = person.home / ".cache" / cache.name
    else:
        return None
    if path.parts[:1] == ("~",) and person.home is not None:
        path = person.home.joinpath(*path.parts[1:])
    return Path(os.path.normpath(cwd / path))


def _problem(path: Path, person: Person) -> str | None:
    """Why the user couldn't write to it, or make it."""
    nearest = next(part for part in (path, *path.parents) if part.exists())
    if not nearest.is_dir():
        return f"{shown_path(nearest)} is no folder"
    status = nearest.stat()
    if status.st_uid == person.uid or (person.uid == os.geteuid() and os.access(nearest, os.W_OK | os.X_OK)):
        return None
    return (
        f"{shown_path(nearest)} belongs to uid {status.st_uid}, and uid {person.uid} can't write to it"
        f" (`sudo chown -R {person.uid} {shown_path(nearest)}`)"
    )
