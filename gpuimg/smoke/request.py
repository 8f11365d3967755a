"""What the guest is asked to do, as the JSON file that it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gpuimg.errors import RequestError
from gpuimg.text import printable


def guest_config(
    *,
    gpus_requested: bool,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    expect: Mapping[str, Any] | None = None,
    world: Mapping[str, Any] | None = None,
    inject: Mapping[str, str] | None = None,
) -> bytes:
    """The config file.

    Args:
        expect: What the image promises; None: nothing.
        world: Where several nodes run one guest each and meet: ``nodes``, and ``address`` and ``port`` of the first.
        inject: Check and fault, for tests that see a check fail.
    """
    config: dict[str, Any] = {
        "v": 1,
        "gpus_requested": gpus_requested,
        "only": list(only),
        "skip": list(skip),
        "inject": dict(inject or {}),
    }
    if expect is not None:
        config["expect"] = dict(expect)
    if world is not None:
        config["world"] = dict(world)
    return json.dumps(config, indent=1).encode()


def refuse_unknown_checks(only: Sequence[str], skip: Sequence[str]) -> None:
    """Raise RequestError for a name that no check has: here, and not first where the guest runs."""
    from gpuimg.smoke.guest.config import Config, ConfigError
    from gpuimg.smoke.guest.plan import plan

    try:
        plan(Config(only=tuple(only), skip=tuple(skip)))
    except ConfigError as error:
        hint = "name a check, a group such as stack, or a pattern such as 'rate.*'"
        raise RequestError(printable(f"--{error}"), hints=[hint]) from error
