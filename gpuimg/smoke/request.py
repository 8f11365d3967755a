"""What the guest is asked to do, as the JSON file that it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gpuimg.errors import RequestError
from gpuimg.facts import Datasheet
from gpuimg.matrix import load_matrix
from gpuimg.smoke.guest.config import DEFAULT
from gpuimg.text import printable


def guest_config(
    *,
    gpus_requested: bool,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    expect: Mapping[str, Any] | None = None,
    world: Mapping[str, Any] | None = None,
    inject: Mapping[str, str] | None = None,
    mode: str = DEFAULT,
    require_saving: float | None = None,
    candidates: Sequence[str] = (),
) -> bytes:
    """The config file.

    Args:
        expect: What the image promises; None: nothing.
        world: Where several nodes run one guest each and meet: ``nodes``, and ``address`` and ``port`` of the first.
        inject: Check and fault, for tests that see a check fail.
        mode: How thoroughly the allocator is measured: ``quick``, ``default`` or ``full``.
        require_saving: Per cent of peak reserved memory that the allocator's setting must save.
        candidates: Further allocator settings to measure.
    """
    config: dict[str, Any] = {
        "v": 1,
        "gpus_requested": gpus_requested,
        "only": list(only),
        "skip": list(skip),
        "inject": dict(inject or {}),
        "mode": mode,
        "require_saving": require_saving,
        "candidates": list(candidates),
        "datasheets": [_datasheet(row) for row in load_matrix().datasheets],
    }
    if expect is not None:
        config["expect"] = dict(expect)
    if world is not None:
        config["world"] = dict(world)
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in config.items())
    return f"{{\n{lines}\n}}\n".encode()


def _datasheet(row: Datasheet) -> dict[str, Any]:
    """A row as the guest reads it: peaks by the types that its checks have."""
    peaks = {"fp32": row.fp32, "tf32": row.tf32, "fp16": row.fp16_bf16, "bf16": row.fp16_bf16, "fp8": row.fp8}
    return {
        "devices": list(row.devices),
        "tflops": {kind: float(peak) for kind, peak in peaks.items() if peak is not None},
        "bandwidth_gb_s": None if row.bandwidth_gb_s is None else float(row.bandwidth_gb_s),
    }


def refuse_unknown_checks(only: Sequence[str], skip: Sequence[str]) -> None:
    """Raise RequestError for a name that no check has: here, and not first where the guest runs."""
    from gpuimg.smoke.guest.config import Config, ConfigError
    from gpuimg.smoke.guest.plan import plan

    try:
        plan(Config(only=tuple(only), skip=tuple(skip)))
    except ConfigError as error:
        hint = "name a check, a group such as stack, or a pattern such as 'rate.*'"
        raise RequestError(printable(f"--{error}"), hints=[hint]) from error
