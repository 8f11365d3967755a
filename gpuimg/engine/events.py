"""What a build tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StepChanged:
    """A step was planned, began, ended or failed. Times are the engine's, in seconds since 1970."""

    step: str
    name: str
    cached: bool = False
    started: float | None = None
    completed: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProgressed:
    """One task of a step, such as the download of a layer. `total` is 0 where the engine doesn't know."""

    step: str
    task: str
    name: str
    current: int
    total: int
    at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A piece of what a step prints: not always whole lines."""

    step: str
    stream: int
    data: bytes
    at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A warning about the Dockerfile."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """Text of an engine that sends no traces."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBuilt:
    """The image that came out."""

    image_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The build failed."""

    message: str


Event = StepChanged | TaskProgressed | Logged | Warned | Printed | ImageBuilt | Failed
