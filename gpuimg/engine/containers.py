"""One container for one purpose: created, given files, started, read line by line, and always removed."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gpuimg.engine.archive import tar
from gpuimg.engine.client import Engine, gpu_requests
from gpuimg.errors import CommandNotFoundError, HostError
from gpuimg.launch.launch import GPU_CAPABILITIES, NO_GPU, TOOLKIT_HINT
from gpuimg.model import Image

LABEL = "io.gpuimg.container"
"""On every container that gpuimg makes, so that one left by a killed process can be found."""
GIB = 2**30
_END_S: Final = 30.0
"""How long threads may take to see that their containers are gone."""


class Containers:
    """The containers that threads wait for, so that another thread can end them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._names: set[str] = set()
        self._over = False

    @contextlib.contextmanager
    def having(self, name: str) -> Iterator[None]:
        """While this lasts there is, or may be, a container of that name. Raises HostError once all were ended."""
        with self._changed:
            self.refuse_more()
            self._names.add(name)
        try:
            yield
        finally:
            with self._changed:
                self._names.discard(name)
                self._changed.notify_all()

    def refuse_more(self) -> None:
        """Raise HostError once all were ended."""
        if self._over:
            raise HostError("the container was stopped")

    def end(self, engine: Engine) -> None:
        """Remove all and let none start any more; wait until the threads have seen it and cleaned up, but not long."""
        with self._changed:
            self._over = True
            names = sorted(self._names)
        for name in names:
            _remove(engine, name)
        with self._changed:
            self._changed.wait_for(lambda: not self._names, _END_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a container is started."""

    gpus: str | None = None
    """None: no GPU; ``all``, or indexes and UUIDs separated by commas."""
    shm_bytes: int = 8 * GIB
    memory_bytes: int | None = None
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    among: Containers = field(default_factory=Containers)
    """Those that another thread may end, all at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a container ended. Exit code 137 with `oom_killed` is the memory limit."""

    exit_code: int
    oom_killed: bool
    stderr_tail: tuple[str, ...] = ()


class Container:
    """A started container; `lines` gives its stdout until it ends, then `ended` says how."""

    def __init__(self, engine: Engine, container_id: str) -> None:
        self._engine = engine
        self._id = container_id

    def lines(self) -> Iterator[bytes]:
        """Whole lines of stdout, as they come."""
        pending = b""
        with self._engine.translated():
            for chunk in self._engine.api.logs(self._id, stdout=True, stderr=False, stream=True, follow=True):
                *lines, pending = (pending + chunk).split(b"\n")
                yield from lines
        if pending:
            yield pending

    def ended(self) -> Ended:
        """Wait for the end and say how it was."""
        with self._engine.translated():
            code = self._engine.api.wait(self._id)["StatusCode"]
            state = self._engine.api.inspect_container(self._id)["State"]
            tail = self._engine.api.logs(self._id, stdout=False, stderr=True, tail=40)
        lines = tail.decode(errors="replace").splitlines()
        return Ended(exit_code=code, oom_killed=bool(state.get("OOMKilled")), stderr_tail=tuple(lines))


@contextlib.contextmanager
def started(
    engine: Engine, image: Image, command: Sequence[str], *, files: Mapping[str, bytes], options: RunOptions
) -> Iterator[Container]:
    """Run `command` in place of the image's own entrypoint, with `files` (absolute path → content) in it.

    Raises:
        CommandNotFoundError: the image has no such program.
        HostError: the engine can't start it, such as for want of a GPU runtime.
    """
    name = f"gpuimg-{uuid.uuid4().hex}"  # known before the engine answers, so that it is removed in any case
    with options.among.having(name):
        try:
            _start(engine, image, command, files=files, options=options, name=name)
            options.among.refuse_more()  # it may have been made after all that there were had been removed
            yield Container(engine, name)
        except HostError as error:
            raise _start_error(error, command[0], options) from error
        finally:
            _remove(engine, name)


def _start(
    engine: Engine, image: Image, command: Sequence[str], *, files: Mapping[str, bytes], options: RunOptions, name: str
) -> None:
    api = engine.api
    with engine.translated():
        api.create_container(
            image.id,
            name=name,
            entrypoint=list(command[:1]),
            command=list(command[1:]),
            user=options.user,
            environment=dict([NO_GPU] if options.gpus is None else []) | dict(options.environment),
            labels={LABEL: "smoke"},
            host_config=api.create_host_config(
                shm_size=options.shm_bytes,
                mem_limit=options.memory_bytes,
                init=True,
                device_requests=gpu_requests(options.gpus),
                cap_add=None if options.gpus is None else list(GPU_CAPABILITIES),
            ),
        )
        if files:
            api.put_archive(name, "/", tar(files))
        api.start(name)


def _remove(engine: Engine, name: str) -> None:
    with contextlib.suppress(HostError), engine.translated():
        engine.api.remove_container(name, force=True, v=True)


def _start_error(error: HostError, program: str, options: RunOptions) -> HostError:
    text = error.message
    if "docker-init" in text:
        return HostError(
            f"the engine lacks its docker-init: {text}", hints=["Debian: `apt-get install tini docker.io`"]
        )
    if "executable file not found" in text or "no such file or directory" in text:
        return CommandNotFoundError(f"the image has no `{program}`")
    if options.gpus and ("could not select device driver" in text or "nvidia" in text.lower()):
        return HostError(
            f"the engine can't give a container a GPU: {text}",
            hints=[
                TOOLKIT_HINT,
                "`gpuimg verify --gpus none` checks what needs no GPU",
            ],
        )
    return error
