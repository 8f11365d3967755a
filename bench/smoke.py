"""Measures how long the smoke step takes, by group of checks, and what the guest adds to importing torch once.

``python -m bench.smoke PYTHON [--rounds N]``, PYTHON being one that has torch.

All contenders run in turn, first to last and last to first, each a process of its own: `import torch` alone, the guest
with one check that imports torch, the quick run and the default run. The time of a group is the sum of its checks, as
the guest's own lines tell them; what skips takes none. The table is printed and written to ``bench/results/smoke.md``.
A machine without a GPU measures the checks that need none, and says so.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gpuimg.report import figures
from gpuimg.smoke.zipapp import build_guest

_RESULT: Final = Path(__file__).parents[1] / "bench" / "results" / "smoke.md"
_IMPORT: Final = '`python -c "import torch"`'
_ONE: Final = "the guest with `stack.torch` alone"
_RUNS: Final = ("--quick", "default")
_CONTENDERS: Final[Mapping[str, Mapping[str, Any] | None]] = {
    _IMPORT: None,
    _ONE: {"only": ["stack.torch"]},
    "--quick": {"mode": "quick"},
    "default": {"mode": "default"},
}
"""Title → the guest's config; None: no guest."""


@dataclass(slots=True, kw_only=True)
class _Taken:
    """Seconds of one contender, round by round."""

    wall: list[float] = field(default_factory=list)
    groups: dict[str, list[float]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    """Check → why."""
    start: Mapping[str, Any] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    options = parser.parse_args()
    titles = list(_CONTENDERS)
    taken = {title: _Taken() for title in titles}
    with tempfile.TemporaryDirectory(prefix="gpuimg-bench-") as name:
        guest = Path(name, "smoke.pyz")
        guest.write_bytes(build_guest())
        _run(options.python, None, guest, _Taken())  # so that torch's files are in the page cache
        for round_ in range(options.rounds):
            for title in titles if round_ % 2 == 0 else reversed(titles):
                _run(options.python, _CONTENDERS[title], guest, taken[title])
            sys.stderr.write(f"round {round_ + 1} of {options.rounds}\n")
    table = _report(taken, rounds=options.rounds)
    sys.stdout.write(table)
    _RESULT.write_text(table, encoding="utf-8")
    return 0


def _run(python: str, config: Mapping[str, Any] | None, guest: Path, taken: _Taken) -> None:
    command = [python, "-c", "import torch"]
    if config is not None:
        file = guest.with_name("config.json")
        file.write_text(json.dumps(config), encoding="utf-8")
        command = [python, str(guest), "--config", str(file)]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    taken.wall.append(time.perf_counter() - began)
    if config is None:
        done.check_returncode()
        return
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    checks = [line for line in lines if line["event"] == "check"]
    taken.start = lines[0]
    taken.counts = {key: lines[-1][key] for key in ("pass", "fail", "skip")}
    taken.failures = {check["name"]: str(check.get("reason")) for check in checks if check["status"] == "FAIL"}
    for group in dict.fromkeys(check["group"] for check in checks):
        seconds = sum(check["seconds"] for check in checks if check["group"] == group)
        taken.groups.setdefault(group, []).append(seconds)


def _report(taken: Mapping[str, _Taken], *, rounds: int) -> str:
    whole = [taken[title] for title in _RUNS]
    rows = [["group", *(f"{title}, median (s)" for title in _RUNS)], ["---", *["---:"] * len(_RUNS)]]
    rows += [[group, *(_median(run.groups[group]) for run in whole)] for group in whole[-1].groups]
    rows.append(["all, wall time", *(_median(run.wall) for run in whole)])
    once = [["contender", "wall, median (s)", "least (s)"], ["---", "---:", "---:"]]
    once += [[title, _median(taken[title].wall), f"{min(taken[title].wall):.2f}"] for title in (_IMPORT, _ONE)]
    lines = ["# The smoke step: how long it takes", "", *_table(rows), "", *_table(once), ""]
    lines += [f"- {fact}" for fact in _facts(whole, rounds)]
    return "\n".join([*lines, "", "Made by `python -m bench.smoke`, whose opening says how it is measured.", ""])


def _table(rows: Sequence[Sequence[str]]) -> Sequence[str]:
    return [f"| {' | '.join(cells)} |" for cells in rows]


def _median(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f}"


def _facts(whole: Sequence[_Taken], rounds: int) -> Sequence[str]:
    start = whole[-1].start
    counted = "; ".join(
        f"{title}: {', '.join(f'{number} {key.upper()}' for key, number in run.counts.items())}"
        for title, run in zip(_RUNS, whole, strict=True)
    )
    gpus = ", ".join(figures.gpu(gpu) for gpu in start["gpus"]) or "no GPU: every check that needs one is a SKIP"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    today = dt.datetime.now(tz=dt.timezone.utc).date()
    return (
        f"{today}, {rounds} rounds; torch {start['torch']}, Python {start['python']}",
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.machine()}, Linux {platform.release().partition('-')[0]}",
        gpus,
        counted,
        *(f"FAIL {name}: {reason}" for name, reason in whole[-1].failures.items()),
    )


if __name__ == "__main__":
    sys.exit(main())
