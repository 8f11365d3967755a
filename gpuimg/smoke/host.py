"""The smoke step from outside: the guest goes into a container made for it, or into this machine's Python."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from gpuimg.engine.client import Engine
from gpuimg.engine.containers import GIB, Containers, RunOptions, started
from gpuimg.errors import CommandNotFoundError, HostError, RequestError
from gpuimg.model import Image, Report
from gpuimg.smoke.expect import expectation, promised_notices, tag_check
from gpuimg.smoke.gpus import Device, named_devices, wanted_gpus
from gpuimg.smoke.guest.config import DEFAULT
from gpuimg.smoke.protocol import Event, ReportBuilder
from gpuimg.smoke.request import guest_config
from gpuimg.smoke.zipapp import build_guest
from gpuimg.text import printable, shorten

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
_OUTPUT_BYTES: Final = 64 * 2**20
"""More than any guest prints; what prints more is none."""
_YES: Final = 7
"""No other program ends with this by chance, as one that ignores its arguments may with 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeOptions:
    """What runs, and how its container is started."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    gpus: str = "auto"
    """``auto`` (all, where the engine can give GPUs), ``none``, ``all``, or indexes and UUIDs."""
    share: str | None = None
    """Which of those this image gets, as the engine takes it; None: all of them."""
    shm_bytes: int = 8 * GIB
    """Less where half of the engine's memory is less."""
    memory_bytes: int | None = None
    user: str | None = None
    mode: str = DEFAULT
    """How thoroughly the allocator's setting is compared with the default: ``quick``, ``default`` or ``full``."""
    require_saving: float | None = None
    """Per cent of peak reserved memory that the setting must save."""
    candidates: tuple[str, ...] = ()
    """Further allocator settings to measure."""
    inject: tuple[tuple[str, str], ...] = ()
    """Check and fault, for tests that see a check fail."""


def smoke_image(
    engine: Engine,
    image: Image,
    options: SmokeOptions,
    *,
    on_event: Callable[[Event], None] | None = None,
    among: Containers | None = None,
) -> Report:
    """Run the smoke step in a container of `image`, which is removed afterwards.

    `among` are the containers that another thread may end all at once.

    Raises:
        RequestError: the image has no Python with torch, or a check's name is unknown.
        HostError: the engine can't start the container, such as for want of a GPU runtime.
    """
    run = _run_options(engine, options, among=among)
    python = _find_python(engine, image, run)
    try:
        return _smoke_with(engine, image, options, python=python, run=run, on_event=on_event)
    except HostError as error:
        if run.gpus is None or options.gpus != "auto":
            raise
        # The engine knows a GPU runtime but can't give a GPU: a build host with the toolkit and no driver, say.
        report = _smoke_with(
            engine, image, options, python=python, run=dataclasses.replace(run, gpus=None), on_event=on_event
        )
        return dataclasses.replace(report, notices=(*report.notices, f"checked without a GPU: {error.message}"))


def find_gpus(engine: Engine, images: Sequence[Image], options: SmokeOptions) -> tuple[Device, ...]:
    """The GPUs that the engine gives to a container, asked in one of the first of `images` that has torch.

    Raises HostError where ``--gpus all`` asks for some and the engine can give none.
    """
    run = _run_options(engine, options)
    if run.gpus is None:
        return ()
    if devices := named_devices(options.gpus):
        return devices
    quick = dataclasses.replace(options, only=("host.user",), skip=(), gpus="auto")
    for image in images:
        try:
            python = _find_python(engine, image, run)
        except (HostError, RequestError):
            continue  # its own smoke step says so
        try:
            report = _smoke_with(engine, image, quick, python=python, run=run, on_event=None)
        except HostError:
            if options.gpus == "auto":
                return ()
            raise
        return tuple(_device(gpu, number) for number, gpu in enumerate(report.gpus))
    return ()


def _device(gpu: Mapping[str, object], number: int) -> Device:
    return Device(name=str(gpu.get("uuid") or number), label=str(number))


def _run_options(engine: Engine, options: SmokeOptions, *, among: Containers | None = None) -> RunOptions:
    info = engine.info()
    return RunOptions(
        gpus=options.share or wanted_gpus(options.gpus, info),
        shm_bytes=min(options.shm_bytes, max(info["MemTotal"] // 2, 64 * 2**20)),
        memory_bytes=options.memory_bytes,
        user=options.user,
        among=among or Containers(),
    )


def _smoke_with(
    engine: Engine,
    image: Image,
    options: SmokeOptions,
    *,
    python: str,
    run: RunOptions,
    on_event: Callable[[Event], None] | None,
) -> Report:
    files = {_GUEST: build_guest(), _CONFIG: _config(options, expectation(image.labels))}
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
    try:
        with tempfile.TemporaryDirectory(prefix="gpuimg-smoke-") as folder:
            guest, config, stderr = (Path(folder, name) for name in ("smoke.pyz", "config.json", "stderr"))
            guest.write_bytes(build_guest())
            config.write_bytes(_config(options, None))
            command = [python, str(guest), "--config", str(config)]
            with stderr.open("wb") as file, _process(command, stderr=file, gpus=options.gpus) as process:
                for line in _lines(process):
                    builder.feed(line)
                code = process.wait()
            tail = stderr.read_bytes()[-4096:].decode(errors="replace")
    except OSError as error:
        raise HostError(f"the smoke step can't run here: {error.strerror or error}") from error
    report = builder.finish(image=None, exit_code=code, stderr=tail)
    _refuse_bad_config(report)
    return report


def _lines(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """What `process` prints, until it ends: not what its orphans print after it, and no more than a guest would."""
    assert process.stdout is not None
    pending, total = b"", 0
    while total < _OUTPUT_BYTES:
        ready, _, _ = select.select([process.stdout], [], [], 1)
        chunk = os.read(process.stdout.fileno(), 65536) if ready else b""
        if ready and chunk:
            total += len(chunk)
            *lines, pending = (pending + chunk).split(b"\n")
            yield from lines
        elif ready or process.poll() is not None:
            break
    if pending:
        yield pending


def _config(options: SmokeOptions, expect: Mapping[str, Any] | None) -> bytes:
    return guest_config(
        gpus_requested=options.gpus not in {"auto", "none"},
        only=options.only,
        skip=options.skip,
        expect=expect,
        inject=dict(options.inject),
        mode=options.mode,
        require_saving=options.require_saving,
        candidates=options.candidates,
    )


def _find_python(engine: Engine, image: Image, run: RunOptions) -> str:
    """The first of the usual Pythons that finds torch, asked in containers of its own: no shell is needed."""
    found = []
    probe = dataclasses.replace(run, gpus=None)
    for python in _PYTHONS:
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
    shown = shorten(printable(python), 80)
    try:
        done = subprocess.run([python, "-c", _HAS_TORCH], capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise RequestError(f"`{shown}` can't be run: {printable(why)}", hints=["name one: --python PATH"]) from error
    if done.returncode != _YES:
        raise RequestError(
            f"`{shown}` has no torch to check", hints=["name the Python that has: --python .venv/bin/python"]
        )


@contextlib.contextmanager
def _process(command: Sequence[str], *, stderr: BinaryIO, gpus: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with all that it started, whatever happens."""
    visible = {"none": {"CUDA_VISIBLE_DEVICES": ""}, "auto": {}, "all": {}}.get(gpus, {"CUDA_VISIBLE_DEVICES": gpus})
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, env={**os.environ, **visible}, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)  # the guest ends its children and removes its files
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


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
