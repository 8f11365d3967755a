"""The guest's command line: ``[--config FILE]``. The other options are how the parent starts its children."""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from .config import Config, ConfigError, parse_config, read_config
from .driver import Probe
from .parts import end_with_parent, write_result

BAD_CONFIG = 2

# The stack is dumped this long before the parent's kill; for short timeouts after this share of them.
_DUMP_BEFORE_S, _DUMP_SHARE = 5.0, 0.8


class Stopped(BaseException):
    """A signal asked the guest to end: unwinds through every `finally`, so that nothing is left behind."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: Sequence[str]) -> int:
    """Run the smoke step, or one child of it. Exit codes: 0 no FAIL, 1 some FAIL, 2 bad config, 128+n signal n."""
    options = _parser().parse_args(arguments)
    if options.child:
        return _child(options)
    if options.part:
        return _part(options)
    try:
        config, raw = read_config(options.config) if options.config else (Config(), {})
        return _parent(config, raw)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_CONFIG
    except Stopped as stop:
        # As PID 1 of a container a process can't kill itself with the signal, so the code says which it was.
        return 128 + stop.number


def _parent(config: Config, raw: dict[str, object]) -> int:
    from .parent import run
    from .plan import plan
    from .process import temporary_root

    plan(config)  # a bad name is refused before anything is written
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    root = temporary_root()
    try:
        return run(config, raw, root=root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _child(options: argparse.Namespace) -> int:
    from .child import run_child

    state = json.loads(Path(options.state).read_text(encoding="utf-8"))
    deadline = max(options.timeout - _DUMP_BEFORE_S, options.timeout * _DUMP_SHARE)
    return run_child(
        options.child,
        parse_config(state["config"]),
        Probe.from_dict(state["probe"]),
        shared=Path(state["shared"]),
        result_fd=options.result_fd,
        deadline=deadline,
    )


def _part(options: argparse.Namespace) -> int:
    from .registry import PARTS

    faulthandler.enable()
    end_with_parent()
    try:
        result = PARTS[options.part](json.loads(options.arguments))
        if options.result_file:
            write_result(options.result_file, result)
        code = 0
    except BaseException as error:  # noqa: BLE001 - whatever ends it must not meet what libraries do at exit
        traceback.print_exc()
        code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    # A part is over with its result, or its error. What libraries do at exit is not what is measured: gloo's threads
    # abort or hang there in some releases.
    os._exit(code)


def _stop(number: int, frame: FrameType | None) -> None:
    del frame
    # A second signal must not interrupt the cleaning up after the first.
    for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise Stopped(number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="smoke.pyz", description="Measure the torch of this image.")
    parser.add_argument("--config", metavar="FILE", help="what to expect and what to run, as JSON")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--arguments", help=argparse.SUPPRESS)
    parser.add_argument("--result-file", help=argparse.SUPPRESS)
    parser.add_argument("--state", help=argparse.SUPPRESS)
    parser.add_argument("--timeout", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--result-fd", type=int, help=argparse.SUPPRESS)
    return parser
