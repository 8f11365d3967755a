"""The smoke step from outside: the guest goes into a container made for it, or into this machine's Python."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gpuimg.engine.client import Engine
from gpuimg.engine.containers import CommandNotFoundError, RunOptions, started
from gpuimg.errors import RequestError
from gpuimg.model import Image, Report
from gpuimg.smoke.expect import expectation, promised_notices, tag_check
from gpuimg.smoke.protocol import Event, ReportBuilder
from gpuimg.smoke.zipapp import build_guest

_FOLDER: Final = "/gpuimg-smoke"
_GUEST: Final = f"{_FOLDER}/smoke.pyz"
_CONFIG: Final = f"{_FOLDER}/config.json"
_PYTHONS: Final = (
    "python",
    "python3",
    "/opt/conda/bin/python",
    "/opt/venv/bin/python",
    "/usr/local/bin/python",
    "/usr/bin/python3",
)
_HAS_TORCH: Final = "import importlib.util, sys; sys.exit(7 if importlib.util.find_spec('torch') else 1)"
_YES: Final = 7
"""No other program ends with this by chance, as one that ignores its arguments may with 0."""
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeOptions:
    """What runs, and how its container is started."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    gpus: str = "auto"
    """``auto`` (all, where the engine can give GPUs), ``none``, ``all``, or indexes and UUIDs."""
    shm_bytes: int = 8 * _GIB
    """Less where half of the engine's memory is less."""
    memory_bytes: int | None = None
    user: str | None = None
    inject: tuple[tuple[str, str], ...] = ()
    """Check and fault, for tests that see a check fail."""


def smoke_image(
    engine: Engine, image: Image, options: SmokeOptions, *, on_event: Callable[[Event], None] | None = None
) -> Report:
    """Run the smoke step in a container of `image`, which is removed afterwards.

    Raises:
        RequestError: the image has no Python with torch, or a check's name is unknown.
        HostError: the engine can't start the container, such as for want of a GPU runtime.
    """
    info = engine.info()
    gpus = _gpus(options.gpus, info)
    run = RunOptions(
        gpus=gpus,
        shm_bytes=min(options.shm_bytes, max(info["MemTotal"] // 2, 64 * 2**20)),
        memory_bytes=options.memory_bytes,
        user=options.user,
    )
    python = _find_python(engine, image, run)
    expect = expectation(image)
    files = {
        _GUEST: build_guest(),
        _CONFIG: _config(options, expect, gpus_requested=options.gpus not in {"auto", "none"}),
    }
    builder = ReportBuilder(on_event=on_event)
    with started(engine, image, [python, _GUEST, "--config", _CONFIG], files=files, options=run) as container:
        for line in container.lines():
            builder.feed(line)
        ended = container.ended()
    stderr = "\n".join(ended.stderr_tail)
    report = builder.finish(image=image, exit_code=ended.exit_code, oom_killed=ended.oom_killed, stderr=stderr)
    _refuse_bad_config(report)
    return _about(report, image)


def smoke_host(python: str, options: SmokeOptions, *, on_event: Callable[[Event], None] | None = None) -> Report:
    """Run the smoke step in this machine's `python`.

    Raises:
        RequestError: there is no such Python, it has no torch, or a check's name is unknown.
    """
    _require_torch(python)
    builder = ReportBuilder(on_event=on_event)
    with tempfile.TemporaryDirectory(prefix="gpuimg-smoke-") as folder:
        guest, config = Path(folder, "smoke.pyz"), Path(folder, "config.json")
        guest.write_bytes(build_guest())
        config.write_bytes(_config(options, None, gpus_requested=options.gpus not in {"auto", "none"}))
        command = [python, str(guest), "--config", str(config)]
        with _process(command, hide_gpus=options.gpus == "none") as process:
            assert process.stdout is not None
            for line in process.stdout:
                builder.feed(line)
            stderr = process.stderr.read().decode(errors="replace") if process.stderr else ""
            code = process.wait()
    report = builder.finish(image=None, exit_code=code, stderr=stderr[-4096:])
    _refuse_bad_config(report)
    return report


def _config(options: SmokeOptions, expect: Mapping[str, Any] | None, *, gpus_requested: bool) -> bytes:
    config: dict[str, Any] = {
        "v": 1,
        "gpus_requested": gpus_requested,
        "only": list(options.only),
        "skip": list(options.skip),
        "inject": dict(options.inject),
    }
    if expect is not None:
        config["expect"] = dict(expect)
    return json.dumps(config, indent=1).encode()


def _gpus(wanted: str, info: Mapping[str, Any]) -> str | None:
    if wanted == "none":
        return None
    if wanted != "auto":
        return wanted
    devices = info.get("DiscoveredDevices") or ()
    has_cdi = any(str(device.get("ID", "")).startswith("nvidia.com/gpu") for device in devices)
    return "all" if has_cdi or "nvidia" in (info.get("Runtimes") or {}) else None


def _find_python(engine: Engine, image: Image, run: RunOptions) -> str:
    """The first of the usual Pythons that finds torch, asked in containers of its own: no shell is needed."""
    found = []
    for python in _PYTHONS:
        probe = RunOptions(shm_bytes=run.shm_bytes, memory_bytes=run.memory_bytes, user=run.user)
        with (
            contextlib.suppress(CommandNotFoundError),
            started(engine, image, [python, "-c", _HAS_TORCH], files={}, options=probe) as container,
        ):
            if container.ended().exit_code == _YES:
                return python
            found.append(python)
    have = f"its {', '.join(found)} can't import it" if found else "it has no Python"
    raise RequestError(
        f"`{image.reference}` has no torch to check: {have}", hints=["`gpuimg build 2.6-cu124` makes an image that has"]
    )


def _require_torch(python: str) -> None:
    try:
        done = subprocess.run([python, "-c", _HAS_TORCH], capture_output=True, check=False, timeout=60)
    except FileNotFoundError as error:
        raise RequestError(f"there is no `{python}` on this machine", hints=["name one: --python PATH"]) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RequestError(f"`{python}` can't be run: {error}") from error
    if done.returncode != _YES:
        raise RequestError(
            f"`{python}` has no torch to check", hints=["name the Python that has: --python .venv/bin/python"]
        )


@contextlib.contextmanager
def _process(command: Sequence[str], *, hide_gpus: bool) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with all that it started, whatever happens."""
    environment = {**os.environ, **({"CUDA_VISIBLE_DEVICES": ""} if hide_gpus else {})}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)  # the guest ends its children and removes its files
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _refuse_bad_config(report: Report) -> None:
    """A name in --only or --skip that no check has is the user's mistake, not the image's."""
    for check in report.checks:
        if check.group == "guest" and check.reason and check.reason.startswith("the guest refused its config: "):
            raise RequestError(check.reason.removeprefix("the guest refused its config: error: "))


def _about(report: Report, image: Image) -> Report:
    """The report with what the image's own name and labels say of it."""
    check = tag_check(image, report)
    return dataclasses.replace(
        report,
        checks=report.checks if check is None else (check, *report.checks),
        notices=(*report.notices, *promised_notices(image)),
    )
