"""What the host tells the guest: a JSON file whose keys are all optional."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1
TIMEOUTS_S = {"default": 120.0, "compiler": 300.0, "distributed": 300.0, "nodes": 900.0, "allocator": 300.0}
"""``allocator`` is that of one arm: a check that runs several has as many times as long. ``nodes`` includes waiting
until the last node has started."""
QUICK, DEFAULT, FULL = "quick", "default", "full"


class ConfigError(Exception):
    """A config that can't be followed: the guest exits with 2 and this message."""


@dataclass(frozen=True)
class Expect:
    """What the image promises. None: nothing is promised, so what is found is reported."""

    torch: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    nccl: str | None = None
    triton: str | None = None
    python: str | None = None
    torchvision: str | None = None
    torchaudio: str | None = None
    min_driver: str | None = None
    compute_capabilities: Sequence[str] | None = None
    cxx11_abi: bool | None = None
    allocator: Mapping[str, str] | None = None
    """``variable`` and ``value``."""
    flavor: str | None = None
    compiles: bool | None = None
    toolkit: bool | None = None
    toolkit_home: str | None = None
    non_root: bool | None = None


@dataclass(frozen=True)
class Datasheet:
    """What the maker says of a chip: peak TFLOP/s of dense products by type, and GB/s of its memory."""

    devices: tuple[str, ...]
    """The names by which the driver calls it, exactly: a slice of one, or a card of another form, has another."""
    tflops: Mapping[str, float] = field(default_factory=dict)
    bandwidth_gb_s: float | None = None


@dataclass(frozen=True)
class World:
    """Where several nodes run the guest at once: how many, and where the first of them listens."""

    nodes: int
    address: str
    port: int


@dataclass(frozen=True)
class Config:
    """The whole file."""

    expect: Expect = field(default_factory=Expect)
    gpus_requested: bool = False
    mode: str = DEFAULT
    """How thoroughly the allocator's arms are measured: `QUICK`, `DEFAULT` or `FULL`."""
    require_saving: float | None = None
    """The least saving of peak reserved memory, in per cent, that ``allocator.saving_*`` must show."""
    candidates: tuple[str, ...] = ()
    """Further allocator settings to measure beside the tuned one."""
    datasheets: tuple[Datasheet, ...] = ()
    world: World | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    timeouts: Mapping[str, float] = field(default_factory=lambda: dict(TIMEOUTS_S))
    inject: Mapping[str, str] = field(default_factory=dict)

    def timeout(self, kind: str) -> float:
        return self.timeouts[kind]


_EXPECT_TYPES: Mapping[str, type] = {
    "compute_capabilities": list,
    "allocator": dict,
    **dict.fromkeys(("cxx11_abi", "compiles", "toolkit", "non_root"), bool),
}
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "expect": dict,
    "gpus_requested": bool,
    "mode": str,
    "require_saving": (int, float),
    "candidates": list,
    "datasheets": list,
    "world": dict,
    "only": list,
    "skip": list,
    "timeouts": dict,
    "inject": dict,
}


def read_config(path: str) -> tuple[Config, dict[str, Any]]:
    """The config in `path`, and the raw file for a child to read again. Raises ConfigError."""
    try:
        raw = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return parse_config(raw), raw


def parse_config(raw: Any) -> Config:
    """Check a decoded config, key by key. Raises ConfigError, which names the key and the nearest that exists."""
    if not isinstance(raw, dict):
        raise ConfigError(f"the config is a {type(raw).__name__}, not an object")
    if raw.get("v", SCHEMA_VERSION) != SCHEMA_VERSION:
        raise ConfigError(f"v: {raw['v']!r} is not a version that this guest reads ({SCHEMA_VERSION})")
    given = {key: value for key, value in raw.items() if key != "v" and value is not None}
    for key, value in given.items():
        _known(key, _TYPES, "")
        _typed(key, value, _TYPES[key])
    expect = {key: value for key, value in given.get("expect", {}).items() if value is not None}
    for key, value in expect.items():
        _known(key, [item.name for item in fields(Expect)], "expect.")
        _typed(f"expect.{key}", value, _EXPECT_TYPES.get(key, str))
    if "allocator" in expect and not {"variable", "value"} <= set(expect["allocator"]):
        raise ConfigError("expect.allocator: needs `variable` and `value`")
    timeouts = dict(TIMEOUTS_S)
    for key, value in given.get("timeouts", {}).items():
        _known(key, TIMEOUTS_S, "timeouts.")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
            raise ConfigError(f"timeouts.{key}: {value!r} is not a positive number of seconds")
        timeouts[key] = float(value)
    return Config(
        expect=Expect(**expect),
        gpus_requested=given.get("gpus_requested", False),
        mode=_mode(given.get("mode", DEFAULT)),
        require_saving=given.get("require_saving"),
        candidates=tuple(given.get("candidates", ())),
        datasheets=tuple(map(_datasheet, given.get("datasheets", ()))),
        world=_world(given["world"]) if "world" in given else None,
        only=tuple(given.get("only", ())),
        skip=tuple(given.get("skip", ())),
        timeouts=timeouts,
        inject=given.get("inject", {}),
    )


def nearest(name: str, known: Any) -> str:
    """A sentence that offers the known name closest to `name`, or nothing."""
    match = get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"; the nearest is `{match[0]}`" if match else ""


def _mode(text: str) -> str:
    modes = (QUICK, DEFAULT, FULL)
    if text not in modes:
        raise ConfigError(f"mode: `{text}` is none of {', '.join(modes)}")
    return text


def _datasheet(row: Any) -> Datasheet:
    try:
        return Datasheet(
            devices=tuple(map(str, row["devices"])),
            tflops={str(key): float(value) for key, value in row.get("tflops", {}).items()},
            bandwidth_gb_s=None if row.get("bandwidth_gb_s") is None else float(row["bandwidth_gb_s"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"datasheets: {row!r} is no datasheet ({type(error).__name__}: {error})") from error


def _world(row: Any) -> World:
    try:
        world = World(nodes=int(row["nodes"]), address=str(row["address"]), port=int(row["port"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"world: needs `nodes`, `address` and `port` ({type(error).__name__}: {error})") from error
    if world.nodes < 1 or not 0 < world.port < 65536:
        raise ConfigError(f"world: {world.nodes} nodes at port {world.port} can't be")
    return world


def _known(key: str, known: Any, prefix: str) -> None:
    if key not in known:
        raise ConfigError(f"{prefix}{key}: no such key{nearest(key, known)}")


def _typed(key: str, value: Any, kind: type | tuple[type, ...]) -> None:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(item.__name__ for item in kinds)
        raise ConfigError(f"{key}: {value!r} is a {type(value).__name__}, not a {wanted}")
