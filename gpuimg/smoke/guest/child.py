"""The process of one check: it runs the check and writes what came of it into a pipe that its parent gave it.

Never on stdout: libraries print there. Records are JSON lines with one key: ``sample``, ``result`` or ``exception``.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import driver
from .config import Config
from .env import Env
from .faults import inject
from .outcome import Skip, finite, skipped
from .registry import CHECKS

PROBE = "probe"
"""The child that lists the GPUs instead of running a check."""

# Of a long message the end says most: compilers put the error there.
_HEAD_CHARS, _TAIL_CHARS = 400, 1600


def run_child(name: str, config: Config, found: driver.Probe, *, shared: Path, result_fd: int, deadline: float) -> int:
    """Run one check. The exit code is 0 where it wrote a result."""
    faulthandler.enable()
    # Never cancelled: a process that hangs after its result shall show where, too.
    faulthandler.dump_traceback_later(deadline)
    os.set_inheritable(result_fd, False)
    with os.fdopen(result_fd, "w", encoding="utf-8") as pipe:

        def write(key: str, value: Mapping[str, Any]) -> None:
            pipe.write(json.dumps({key: finite(value)}, allow_nan=False) + "\n")
            pipe.flush()

        try:
            if name == PROBE:
                write("result", driver.probe(ctypes.CDLL).as_dict())
            else:
                env = Env(
                    gpus=found.gpus,
                    config=config,
                    shared=shared,
                    sample=lambda sample: write("sample", {"name": name, **sample}),
                )
                write("result", _run(name, env, config))
        except Exception as error:  # noqa: BLE001 - whatever a check raises is its result
            traceback.print_exc()
            write("exception", {"type": type(error).__name__, "message": _shortened(str(error))})
            return 1
    sys.stdout.flush()
    if name != PROBE and CHECKS[name].breaks_process:
        os._exit(0)
    return 0


def _run(name: str, env: Env, config: Config) -> Mapping[str, Any]:
    env, expect = inject(name, config.inject.get(name), env, config.expect)
    try:
        return CHECKS[name].run(env, expect).as_dict()
    except Skip as reason:
        return skipped(str(reason)).as_dict()


def _shortened(text: str) -> str:
    if len(text) <= _HEAD_CHARS + _TAIL_CHARS:
        return text
    return f"{text[:_HEAD_CHARS]} […] {text[-_TAIL_CHARS:]}"
