"""Every error that gpuimg raises on purpose. Only `gpuimg.cli` catches them.

::

    GpuimgError                  exit code
    ├── RequestError             2   what was asked can't be done as asked
    │   ├── SpecError            2   a spec that can't be read
    │   ├── UnknownStackError    2   a stack that doesn't exist, with the nearest that do
    │   └── MatrixError          2   a matrix file that doesn't hold: file, row, field
    ├── HostError                3   the host lacks something: engine, base image, disk
    │   ├── EngineNotFoundError  3
    │   │   └── EngineForbiddenError  3
    │   ├── ImageNotFoundError   3
    │   ├── CommandNotFoundError 3
    │   └── DiskFullError        3
    ├── UpstreamError            3   a package index doesn't answer, or its answer doesn't hold
    └── BuildError               4   the engine ran the build and it failed: step and last lines
"""

from __future__ import annotations

from collections.abc import Sequence


class GpuimgError(Exception):
    """What happened and why; `hints` are commands or changes that help, printed last, one a line."""

    exit_code = 70

    def __init__(self, message: str, *, hints: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hints = tuple(hints)


class RequestError(GpuimgError):
    """What was asked can't be done as asked."""

    exit_code = 2


class SpecError(RequestError):
    """A spec that can't be read."""


class UnknownStackError(RequestError):
    """No such stack; `nearest` names those that come closest, best first."""

    def __init__(self, message: str, *, nearest: Sequence[str], hints: Sequence[str] = ()) -> None:
        super().__init__(message, hints=hints)
        self.nearest = tuple(nearest)


class MatrixError(RequestError):
    """A matrix file that doesn't hold. `where` is the row and field, such as ``rows[3].cuda``, and `path` its parts."""

    def __init__(
        self, file: str, where: str, problem: str, *, path: Sequence[str | int] = (), hints: Sequence[str] = ()
    ) -> None:
        super().__init__(f"{file}: {where}: {problem}" if where else f"{file}: {problem}", hints=hints)
        self.file = file
        self.where = where
        self.problem = problem
        self.path = tuple(path)


class HostError(GpuimgError):
    """The host or its engine lacks something."""

    exit_code = 3


class EngineNotFoundError(HostError):
    """No engine answers."""


class EngineForbiddenError(EngineNotFoundError):
    """There is an engine's socket, and this user may not use it."""


class ImageNotFoundError(HostError):
    """An image is neither on the engine nor can be pulled."""


class CommandNotFoundError(HostError):
    """An image has no such program."""


class DiskFullError(HostError):
    """The engine ran out of disk."""


class UpstreamError(GpuimgError):
    """A package index doesn't answer (`unreachable`), or its answer doesn't hold: `index` and `subject` say which."""

    exit_code = 3

    def __init__(
        self, index: str, subject: str, problem: str, *, unreachable: bool = False, hints: Sequence[str] = ()
    ) -> None:
        super().__init__(f"{index}: {subject}: {problem}" if subject else f"{index}: {problem}", hints=hints)
        self.index = index
        self.subject = subject
        self.problem = problem
        self.unreachable = unreachable


class BuildError(GpuimgError):
    """The engine ran the build and it failed at `step`; `log_tail` are the step's last lines."""

    exit_code = 4

    def __init__(self, message: str, *, step: str, log_tail: Sequence[str], hints: Sequence[str] = ()) -> None:
        super().__init__(message, hints=hints)
        self.step = step
        self.log_tail = tuple(log_tail)
