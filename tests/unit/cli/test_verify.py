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

from tests.unit.loopback_engine import FAILS, GUEST, HANGS, PASSES, SKIPS, LoopbackEngine, loopback_engine, program


def labels(stack: str) -> Mapping[str, str]:
    return {"io.gpuimg.stack": stack, "io.gpuimg.flavor": "runtime", "io.gpuimg.python": "3.11"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LoopbackEngine]:
    """Two images of stacks of the matrix, one of a stack that it doesn't have."""

    images = {
        "gpuimg:2.6.0-cu124": (program(tmp_path, "passes", GUEST + PASSES), labels("2.6.0-cu124")),
        "gpuimg:skips": (program(tmp_path, "skips", GUEST + SKIPS), labels("2.9.1-cu128")),
        "gpuimg:mine": (program(tmp_path, "fails", GUEST + FAILS), labels("0.0.1-cu124")),
        "other:hangs": (program(tmp_path, "hangs", GUEST + HANGS), {}),
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


def test_images_share_the_gpus_that_a_container_of_theirs_sees(engine: LoopbackEngine) -> None:
    """One image is asked with all; then each has one of its own, whichever is free, or with `all` both."""
    engine.info["Runtimes"] = {"nvidia": {}}
    named = ["gpuimg:2.6.0-cu124", "gpuimg:skips", "gpuimg:2.6.0-cu124"]
    done = gpuimg(engine, "verify", *named)
    assert done.returncode == 0, done.stderr
    (_, asked), *rest = engine.asked
    assert asked == ["all"]
    assert {tuple(gpus) for _, gpus in rest} <= {("GPU-0",), ("GPU-1",)}
    assert "running 2 checks on GPU 0" in done.stderr
    engine.asked.clear()
    gpuimg(engine, "verify", *named, "--gpus-per-image", "all")
    assert [gpus for _, gpus in engine.asked] == [["all"], *[["GPU-0", "GPU-1"]] * 3]
    too_many = gpuimg(engine, "verify", *named, "--gpus-per-image", "3")
    assert too_many.returncode == 2
    assert "each image is to get 3 GPUs, and there are 2" in too_many.stderr


def test_a_single_image_gets_all_gpus_unless_told_otherwise(engine: LoopbackEngine) -> None:
    engine.info["Runtimes"] = {"nvidia": {}}
    gpuimg(engine, "verify", "gpuimg:skips")
    assert engine.asked == [("gpuimg:skips", ["all"])]
    done = gpuimg(engine, "verify", "gpuimg:skips", "--gpus-per-image", "1")
    assert engine.asked[-1] == ("gpuimg:skips", ["GPU-0"])
    assert "– SKIP  dlopen  made up" in done.stderr  # shown whole all the same


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
