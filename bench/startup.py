"""Measures how long commands take that build nothing, against bare Python and hpccm.

``python -m bench.startup [--rounds N] [--only TEXT]...``

All run in turn, first to last and last to first, each a process of its own: its wall time and its CPU time (user and
system). They run under the Python that runs this, and have bytecode as an installer leaves it: each ran once before the
clock starts. Warm means that the matrix was read before, so that its documents come from gpuimg's cache; cold, that the
cache is empty. Both use caches of their own, not the user's. hpccm gets a virtual environment of its own. The table is
printed and written to ``bench/results/startup.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import importlib.metadata
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gpuimg.matrix import load_matrix
from gpuimg.paths import MATRICES

_ROOT: Final = Path(__file__).parents[1]
_RESULT: Final = _ROOT / "bench" / "results" / "startup.md"
_RECIPE: Final = _ROOT / "bench" / "contenders" / "hpccm_recipe.py"
_HPCCM: Final = "hpccm==26.5.0"
_BIN: Final = Path(sys.executable).parent
_LOAD: Final = "from gpuimg.matrix import load_matrix; load_matrix()"


@dataclass(slots=True, kw_only=True)
class _Case:
    """One command and what it took, round by round."""

    title: str
    command: Sequence[str]
    cold: bool = False
    """Whether gpuimg's cache is empty."""
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="gpuimg-startup-") as name:
        folder = Path(name)
        cases = [case for case in _cases(_hpccm(folder)) if _is_wanted(case, options.only)]
        for case in cases:
            _run(case, folder)
        for case in cases:
            case.wall_ms.clear()
            case.cpu_ms.clear()
        for round_ in range(options.rounds):
            for case in cases if round_ % 2 == 0 else reversed(cases):
                _run(case, folder)
            sys.stderr.write(f"round {round_ + 1} of {options.rounds}\n")
    table = _report(cases, rounds=options.rounds)
    sys.stdout.write(table)
    if not options.only:
        _RESULT.write_text(table, encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, metavar="N")
    parser.add_argument(
        "--only", action="append", default=[], metavar="TEXT", help="commands with this in them; writes no file"
    )
    return parser.parse_args()


def _is_wanted(case: _Case, only: Sequence[str]) -> bool:
    """Bare Python always is: the rest is told in its terms."""
    return not only or case.title == _PYTHON_TITLE or any(text in case.title for text in only)


# --- the commands ----------------------------------------------------------------------------------------------------

_PYTHON_TITLE: Final = "`python -c pass`"


def _cases(hpccm: str) -> Sequence[_Case]:
    python, gpuimg = sys.executable, str(_BIN / "gpuimg")
    render = [gpuimg, "render", "2.6-cu124"]
    return (
        _Case(title=_PYTHON_TITLE, command=[python, "-c", "pass"]),
        _Case(title='`python -c "import typer"`', command=[python, "-c", "import typer"]),
        _Case(title='`python -c "import jinja2"`', command=[python, "-c", "import jinja2"]),
        _Case(title="`gpuimg --help`", command=[gpuimg, "--help"]),
        _Case(title="`gpuimg why 2.6-cu121`", command=[gpuimg, "why", "2.6-cu121"]),
        _Case(title="`gpuimg matrix list`", command=[gpuimg, "matrix", "list"]),
        _Case(title="`gpuimg render 2.6-cu124`", command=render),
        _Case(title="the same, cold", command=render, cold=True),
        _Case(title="the whole matrix, loaded by Python", command=[python, "-c", _LOAD]),
        _Case(title="the same, cold", command=[python, "-c", _LOAD], cold=True),
        _Case(title="`hpccm --help`", command=[hpccm, "--help"]),
        _Case(title="`hpccm --recipe hpccm_recipe.py`", command=[hpccm, "--recipe", str(_RECIPE)]),
    )


def _hpccm(folder: Path) -> str:
    """hpccm in a virtual environment of its own, of the same Python and with bytecode."""
    venv = folder / "hpccm"
    for arguments in (
        ["venv", "--quiet", "--python", sys.executable, f"{venv}"],
        ["pip", "install", "--quiet", "--compile-bytecode", "--python", f"{venv}/bin/python", _HPCCM],
    ):
        subprocess.run([_BIN / "uv", *arguments], check=True)
    return f"{venv}/bin/hpccm"


# --- one run ---------------------------------------------------------------------------------------------------------


def _run(case: _Case, folder: Path) -> None:
    with _cache(folder, cold=case.cold) as cache:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        done = subprocess.run(
            case.command, capture_output=True, check=False, env={**os.environ, "XDG_CACHE_HOME": str(cache)}
        )
        case.wall_ms.append((time.perf_counter() - started) * 1000)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"{case.title} failed:\n{done.stderr.decode()}")
    case.cpu_ms.append((after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000)


@contextlib.contextmanager
def _cache(folder: Path, *, cold: bool) -> Iterator[Path]:
    if not cold:
        yield folder / "cache"
        return
    with tempfile.TemporaryDirectory(dir=folder) as name:
        yield Path(name)


# --- the table -------------------------------------------------------------------------------------------------------


def _report(cases: Sequence[_Case], *, rounds: int) -> str:
    bare = statistics.median(cases[0].cpu_ms)
    head = ["command", "wall, median (ms)", "wall, least (ms)", "CPU, median (ms)", "CPU, least (ms)", "CPU × Python"]
    table = [head, ["---", *["---:"] * (len(head) - 1)], *(_row(case, bare) for case in cases)]
    return "\n".join(
        [
            "# Start-up: what commands take that build nothing",
            "",
            *(f"| {' | '.join(cells)} |" for cells in table),
            "",
            *(f"- {fact}" for fact in _facts(rounds)),
            "",
            "Made by `python -m bench.startup`, whose opening says how it is measured.",
            "",
        ]
    )


def _row(case: _Case, bare_ms: float) -> list[str]:
    times = (statistics.median(case.wall_ms), min(case.wall_ms), statistics.median(case.cpu_ms), min(case.cpu_ms))
    return [case.title, *(f"{ms:.1f}" for ms in times), f"{statistics.median(case.cpu_ms) / bare_ms:.1f}"]


def _facts(rounds: int) -> Sequence[str]:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("typer", "jinja2"))
    today = dt.datetime.now(tz=dt.timezone.utc).date()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    kernel = platform.release().partition("-")[0]
    files = [path.stat().st_size for path in MATRICES.glob("*.yaml")]
    stacks = len(load_matrix().stacks)
    return (
        f"{today}, {rounds} rounds; Python {platform.python_version()}, {versions}, {_HPCCM.replace('==', ' ')}",
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.machine()}, Linux {kernel}",
        f"the matrix: {stacks} stacks, {sum(files) / 1000:,.0f} kB in {len(files)} files (without the wheel sets)",
    )


if __name__ == "__main__":
    sys.exit(main())
