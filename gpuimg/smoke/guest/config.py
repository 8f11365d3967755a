"""What the host tells the guest: a JSON file whose keys are all optional."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1
TIMEOUTS_S = {"default": 120.0, "compiler": 300.0, "allocator": 300.0}


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
class Config:
    """The whole file."""

    expect: Expect = field(default_factory=Expect)
    gpus_requested: bool = False
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
_TYPES: Mapping[str, type] = {
    "expect": dict,
    "gpus_requested": bool,
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
        only=tuple(given.get("only", ())),
        skip=tuple(given.get("skip", ())),
        timeouts=timeouts,
        inject=given.get("inject", {}),
    )


def nearest(name: str, known: Any) -> str:
    """A sentence that offers the known name closest to `name`, or nothing."""
    match = get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"; the nearest is `{match[0]}`" if match else ""


def _known(key: str, known: Any, prefix: str) -> None:
    if key not in known:
        raise ConfigError(f"{prefix}{key}: no such key{nearest(key, known)}")


def _typed(key: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise ConfigError(f"{key}: {value!r} is a {type(value).__name__}, not a {kind.__name__}")
