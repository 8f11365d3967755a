"""The engine that was asked, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpuimg.engine.info import EngineInfo
from gpuimg.errors import GpuimgError, HostError


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """The engine, or why there is none."""

    host: str
    """Where it was looked for; empty where not even that could be read."""
    info: EngineInfo | None = None
    problem: GpuimgError | None = None


def read_engine(environ: Mapping[str, str]) -> EngineState:
    """Ask the engine that `environ` or the docker context names. Never raises: what goes wrong is its `problem`."""
    from gpuimg.engine import client

    host = ""
    try:
        host = client.address(environ)
        with client.Engine(environ=environ) as engine:
            info = engine.describe()
    except HostError as error:
        return EngineState(host=host, problem=error)
    return EngineState(host=host, info=info)
