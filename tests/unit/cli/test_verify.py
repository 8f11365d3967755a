"""``gpuimg verify`` as a whole, on an engine whose containers are processes of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.unit.loopback_engine import LoopbackEngine, loopback_engine

_GUEST = """\
import json, sys
if sys.argv[1] == "-c":
    sys.exit(7)
def say(**line):
    print(json.dumps({"v": 1, **line}), flush=True)
say(event="start", torch="2.6.0+cu124", python="3.11.2", gpus=[], planned=["host.user", "load.dlopen"])
say(event="check", name="host.user", group="host", status="PASS", measured={}, seconds=0)
"""
_CHECK = """\
say(event="check", name="load.dlopen", group="load", status="%s", reason="made up", measured={}, seconds=0)
say(event="end", **{"pass": 1, "fail": 0, "skip": 0}, seconds=0)
"""


def labels(stack: str) -> Mapping[str, str]:
    return {"io.gpuimg.stack": stack, "io.gpuimg.flavor": "runtime", "io.gpuimg.python": "3.11"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LoopbackEngine]:
    """Two images of stacks of the matrix, one of a stack that it doesn't have."""

    def program(name: str, source: str) -> str:
        path = tmp_path / name
        path.write_text(f"#!{sys.executable}\n{_GUEST}{source}")
        path.chmod(0o755)
        return str(path)

    images = {
        "gpuimg:2.6.0-cu124": (program("passes", _CHECK % "PASS"), labels("2.6.0-cu124")),
        "gpuimg:skips": (program("skips", _CHECK % "SKIP"), labels("2.9.1-cu128")),
        "gpuimg:mine": (program("fails", _CHECK % "FAIL"), labels("0.0.1-cu124")),
        "other:hangs": (program("hangs", "import time; time.sleep(600)\n"), {}),
    }
    with loopback_engine(images) as engine:
        yield engine


def gpuimg(engine: LoopbackEngine, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gpuimg", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **engine.environ, "NO_COLOR": "1"},
        timeout=120,
    )


def references(path: Path) -> list[str]:
    return [report["image"]["reference"] for report in json.loads(path.read_text())["reports"]]


def test_no_argument_is_all_images_that_were_built_here(engine: LoopbackEngine, tmp_path: Path) -> None:
    del engine.images["other:hangs"]
    done = gpuimg(engine, "verify", "--jobs", "3", "--json", str(tmp_path / "x.json"))
    assert done.returncode == 1
    assert references(tmp_path / "x.json") == ["gpuimg:2.6.0-cu124", "gpuimg:skips", "gpuimg:mine"]
    assert "1 of 3 images failed" in done.stderr
    assert "✗ FAIL  load.dlopen" in done.stderr
    assert "host.user" not in done.stderr  # of several images, only what failed is shown
    assert engine.containers == {}


def test_all_is_the_matrix_and_says_what_has_no_image(engine: LoopbackEngine, tmp_path: Path) -> None:
    done = gpuimg(engine, "verify", "--all", "--json", str(tmp_path / "x.json"))
    assert done.returncode == 0, done.stderr
    assert references(tmp_path / "x.json") == ["gpuimg:2.6.0-cu124", "gpuimg:skips"]
    notice = done.stderr[done.stderr.index("stacks of the matrix without an image here") :]
    assert "2.6.0-cu126" in notice
    assert "2.6.0-cu124" not in notice
    assert "`gpuimg build NAME`" in notice


def test_all_where_nothing_was_built_is_an_error_with_the_way_out(engine: LoopbackEngine) -> None:
    for name in ("gpuimg:2.6.0-cu124", "gpuimg:skips"):
        del engine.images[name]
    done = gpuimg(engine, "verify", "--all")
    assert done.returncode == 3
    assert "stacks of the matrix was built on this engine" in done.stderr
    assert "`gpuimg build --all`" in done.stderr


def test_reports_stand_in_the_order_of_the_request(engine: LoopbackEngine, tmp_path: Path) -> None:
    named = ["gpuimg:skips", "gpuimg:mine", "gpuimg:2.6.0-cu124"]
    gpuimg(engine, "verify", *named, "--jobs", "3", "--json", str(tmp_path / "x.json"))
    assert references(tmp_path / "x.json") == named


def test_a_single_image_is_shown_whole(engine: LoopbackEngine) -> None:
    done = gpuimg(engine, "verify", "gpuimg:2.6.0-cu124")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("[gpuimg:2.6.0-cu124] running 2 checks\n✓ PASS: all that ran held")
    assert "✓ PASS  dlopen" in done.stderr


def test_what_got_worse_since_the_baseline_is_exit_1(engine: LoopbackEngine, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier.json"
    gpuimg(engine, "verify", "gpuimg:2.6.0-cu124", "--json", str(earlier))
    same = gpuimg(engine, "verify", "gpuimg:2.6.0-cu124", "--baseline", str(earlier))
    assert (same.returncode, "nothing got worse" in same.stderr) == (0, True)
    engine.images["gpuimg:2.6.0-cu124"] = engine.images["gpuimg:skips"]
    worse = gpuimg(engine, "verify", "gpuimg:2.6.0-cu124", "--baseline", str(earlier))
    assert worse.returncode == 1
    assert "worse  load.dlopen  PASS → SKIP: made up" in worse.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_images_and_leaves_no_container(engine: LoopbackEngine, number: signal.Signals) -> None:
    """Sent once both are seen to run: each hangs in a check."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gpuimg", "verify", "other:hangs", "other:hangs", "--jobs", "2"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **engine.environ},
    )
    assert process.stderr is not None
    with process.stderr as stderr:
        for _ in range(2):
            assert stderr.readline() == "[other:hangs] running 2 checks\n"
        process.send_signal(number)
        said = stderr.read()
    assert process.wait(timeout=60) == (130 if number is signal.SIGINT else 128 + number)
    assert "Traceback" not in said
    assert engine.containers == {}
