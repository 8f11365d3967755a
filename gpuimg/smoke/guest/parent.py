"""Runs the planned checks one after the other and prints a JSON line for each. It never imports torch."""

from __future__ import annotations

import json
import os
import platform
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .child import PROBE
from .config import SCHEMA_VERSION, Config
from .driver import Probe
from .ends import outcome_of
from .installed import torch_lacks_cuda, torch_version
from .outcome import FAIL, PASS, SKIP, Outcome, finite
from .plan import Machine, plan, why_not
from .process import guest_command, run_process
from .registry import Check
from .versions import release

_PROBE_TIMEOUT_S = 180.0  # eight GPUs without persistence mode take tens of seconds to wake


def run(config: Config, raw: Mapping[str, Any], *, root: Path) -> int:
    """Run all; the exit code is 1 where a check failed."""
    start = time.monotonic()
    checks = plan(config)
    torch = torch_version()
    machine = Machine(probe=_probe(raw, root), torch=release(torch or ""), lacks_cuda=torch_lacks_cuda())
    _emit(
        "start",
        torch=torch,
        python=platform.python_version(),
        node=os.environ.get("GPUIMG_NODE"),
        gpus=[asdict(gpu) for gpu in machine.probe.gpus],
        planned=[check.name for check in checks],
    )
    state = _state(root, raw, machine.probe)
    counts: Counter[str] = Counter()
    for check in checks:
        began = time.monotonic()
        outcome = why_not(check, config, machine, checks) or _run(check, config, state, root)
        counts[outcome.status] += 1
        _emit_check(check, outcome, time.monotonic() - began)
    _emit(
        "end",
        **{"pass": counts[PASS], "fail": counts[FAIL], "skip": counts[SKIP]},
        seconds=round(time.monotonic() - start, 3),
    )
    return 1 if counts[FAIL] else 0


def _run(check: Check, config: Config, state: Path, root: Path) -> Outcome:
    timeout = config.timeout(check.timeout) * check.runs(config)
    command = [*guest_command(), "--child", check.name, "--state", str(state), "--timeout", str(timeout), "--result-fd"]
    return outcome_of(
        run_process(command, root=root, timeout=timeout, on_sample=lambda sample: _emit("sample", **sample))
    )


def _probe(raw: Mapping[str, Any], root: Path) -> Probe:
    """Look for GPUs in a process of its own: a broken driver can hang or crash whoever initialises it."""
    state = _state(root, raw, Probe())
    command = [*guest_command(), "--child", PROBE, "--state", str(state), "--timeout", str(_PROBE_TIMEOUT_S)]
    end = run_process([*command, "--result-fd"], root=root, timeout=_PROBE_TIMEOUT_S, on_sample=lambda _: None)
    if end.result is None or end.exit_code != 0 or end.timed_out:
        return Probe(error=outcome_of(end).reason)
    return Probe.from_dict(dict(end.result))


def _state(root: Path, raw: Mapping[str, Any], found: Probe) -> Path:
    path = root / "state.json"
    shared = root / "shared"
    shared.mkdir(exist_ok=True)
    state = {"config": raw, "probe": found.as_dict(), "shared": str(shared)}
    path.write_text(json.dumps(state), encoding="utf-8")
    return path


def _emit_check(check: Check, outcome: Outcome, seconds: float) -> None:
    _emit("check", name=check.name, group=check.group, seconds=round(seconds, 3), **outcome.as_dict())


def _emit(event: str, **fields: Any) -> None:
    line = {"v": SCHEMA_VERSION, "event": event, **fields}
    print(json.dumps(finite(line), allow_nan=False, ensure_ascii=True), flush=True)
