"""Measures what the whole matrix costs: deriving it from the indexes, and rendering everything that it names.

``python -m bench.matrix [--only TEXT]...``

The updates read PyPI for real, each in a copy of the matrix and with caches of their own: cold, from the HTTP cache,
and with all wheel sets resolved anew, with uv's cache empty and full. Rendering goes through all stacks × flavors ×
Pythons × platforms in one process. The table is printed and written to ``bench/results/matrix.md``.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gpuimg.errors import RequestError
from gpuimg.matrix import load_matrix
from gpuimg.model import Resolution
from gpuimg.paths import MATRICES
from gpuimg.pipeline.plan import Settings, make_plan
from gpuimg.pipeline.render import render
from gpuimg.pipeline.spec import parse_spec
from gpuimg.update.run import Request, default_index, update_matrix

_RESULT: Final = Path(__file__).parents[1] / "bench" / "results" / "matrix.md"
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of the table."""

    what: str
    seconds: float
    note: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="rows with this in them; no file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gpuimg-matrix-") as name:
        folder = Path(name)
        os.environ["UV_CACHE_DIR"] = str(folder / "uv")
        cases: Sequence[tuple[str, Callable[[str], _Row]]] = [
            ("update, no cache", lambda what: _update(what, folder)),
            ("update, from its HTTP cache", lambda what: _update(what, folder)),
            ("update, all wheel sets anew, uv's cache empty", lambda what: _update(what, folder, relock=True)),
            ("update, all wheel sets anew, uv's cache full", lambda what: _update(what, folder, relock=True)),
            ("render everything", _render_everything),
        ]
        rows = []
        for what, measure in cases:
            if not options.only or any(text in what for text in options.only):
                rows.append(measure(what))
                sys.stderr.write(f"{rows[-1].what}: {rows[-1].seconds:.1f} s\n")
    table = _report(rows)
    sys.stdout.write(table)
    if not options.only:
        _RESULT.write_text(table, encoding="utf-8")
    return 0


def _update(what: str, folder: Path, *, relock: bool = False) -> _Row:
    matrix = folder / "matrices"
    shutil.rmtree(matrix, ignore_errors=True)
    shutil.copytree(MATRICES, matrix)
    loaded = load_matrix()
    request = Request(
        folder=matrix,
        pypi_url=default_index(),
        pytorch_url=loaded.pytorch_index,
        relock=frozenset(stack.name for stack in loaded.stacks) if relock else frozenset(),
        today=dt.datetime.now(dt.timezone.utc).date(),
    )
    if "no cache" in what:
        shutil.rmtree(matrix / "upstream")  # what was read before would spare reading it again
    started = time.perf_counter()
    update = update_matrix(request, cache_dir=folder / "http", progress=lambda *_: None)
    seconds = time.perf_counter() - started
    traffic = update.traffic
    sets = sum(len(on.pythons) for stack in loaded.stacks for on in stack.platforms) if relock else 0
    parts = [
        f"{traffic.requests} requests",
        f"{traffic.received_bytes / _MIB:.1f} MiB",
        f"{traffic.cache_hits} from the cache",
        *([f"{sets} wheel sets resolved"] if sets else []),
        f"{len(update.files)} files would change",
    ]
    return _Row(what=what, seconds=seconds, note=", ".join(parts))


def _render_everything(what: str) -> _Row:
    started = time.perf_counter()
    matrix = load_matrix()
    rendered = size = left_out = 0
    for stack in matrix.stacks:
        spec = parse_spec(stack.name)
        for on in stack.platforms:
            for python in on.pythons:
                for flavor in matrix.flavors:
                    wanted = Settings(flavor=flavor.name, python=python, platform=on.platform)
                    try:
                        plan = make_plan(Resolution(spec=spec, stack=stack, matrix=matrix), matrix, wanted)
                    except RequestError:  # no nvcc for this CUDA on this platform
                        left_out += 1
                        continue
                    size += sum(map(len, render(plan, matrix).files.values()))
                    rendered += 1
    seconds = time.perf_counter() - started
    note = (
        f"{rendered} contexts, {size / _MIB:.1f} MiB, {seconds / rendered * 1000:.1f} ms each; {left_out} have no nvcc"
    )
    return _Row(what=what, seconds=seconds, note=note)


def _report(rows: Sequence[_Row]) -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("gpuimg", "uv"))
    head = (
        "# What the whole matrix costs\n\n"
        f"Made by `python -m bench.matrix` on {dt.datetime.now(dt.timezone.utc).date()}, one run, on a shared machine"
        f" with {os.cpu_count()} CPUs: Python {platform.python_version()}, {versions}.\n"
        "PyTorch's own index could not be reached from there: each update gives up on it after its tries.\n\n"
        "| what | seconds | |\n| --- | ---: | --- |\n"
    )
    return head + "".join(f"| {row.what} | {row.seconds:.1f} | {row.note} |\n" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
