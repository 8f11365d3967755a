"""`gpuimg matrix list` on a terminal, and what programs get: every stack has its answer, and people can read why."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

GPUIMG: Final = Path(sys.executable).with_name("gpuimg")


def on_terminal(*arguments: str, columns: int = 80) -> str:
    """What a terminal of so many columns shows; colours dropped."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "LANG": "C.UTF-8", "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(
        [GPUIMG, "matrix", "list", *arguments], stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(theirs)
        chunks = []
        while chunk := _read(ours):
            chunks.append(chunk)
    os.close(ours)
    assert process.returncode == 0
    return b"".join(chunks).decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux: the other side is closed
        return b""


def as_json(*arguments: str) -> Any:
    done = subprocess.run([GPUIMG, "matrix", "list", "--json", *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--torch", "2.6"),
        ("--driver", "535.104", "--gpu", "RTX 5090"),
        ("--driver", "535.104.05", "--gpu", "H100"),
        ("--gpu", "V100", "--gpu", "RTX 5090"),
        ("--driver", "595.45.04", "--gpu", "V100"),
        ("--driver", "575.51.03", "--gpu", "B300"),
        ("--torch", "<2"),
    ],
)
def test_nothing_is_wider_than_80_columns(arguments: tuple[str, ...]) -> None:
    assert max(map(len, on_terminal(*arguments).splitlines())) <= 80


@pytest.mark.parametrize("columns", [30, 50, 80, 200])
def test_each_stack_is_one_line_with_its_whole_name(columns: int) -> None:
    names = [stack["name"] for stack in as_json()]
    lines = on_terminal(columns=columns).splitlines()[1:]
    assert [line.split()[0] for line in lines if "→" not in line] == names


def test_what_runs_what_cannot_and_what_is_unknown_make_up_all() -> None:
    host = ("--driver", "535.104.05", "--gpu", "H100")
    stacks = as_json(*host)
    assert len(stacks) == len(as_json())
    counts = {answer: sum(s["verdict"]["answer"] == answer for s in stacks) for answer in ("runs", "cannot", "unknown")}
    summary = re.search(r"of (\d+) stacks (\d+) run, (\d+) can't(?:, (\d+) unknown)?", on_terminal(*host))
    assert summary is not None
    assert [int(number or 0) for number in summary.groups()] == [len(stacks), *counts.values()]
    for stack in stacks:
        assert bool(stack["verdict"]["reasons"]) == (stack["verdict"]["answer"] != "runs")


def test_a_card_that_the_driver_does_not_know_runs_nothing_and_is_told_what_would() -> None:
    text = " ".join(on_terminal("--driver", "535.104", "--gpu", "RTX 5090").split())
    assert "none run" in text
    assert re.search(r"all \d+: driver 535\.104 is below 570\.26, the first for RTX 5090 \(12\.0\)", text)
    assert "which CUDA 13 needs" in text
    assert "no code for RTX 5090 (12.0)" in text
    assert re.search(r"with driver \d+ or newer, \S+ runs", text)


def test_without_a_host_json_has_no_verdict() -> None:
    assert all("verdict" not in stack for stack in as_json("--cuda", "12"))


def test_where_no_stack_fits_json_is_an_empty_list() -> None:
    assert as_json("--torch", "<2") == []
    assert as_json("--torch", "<2", "--gpu", "H100") == []
