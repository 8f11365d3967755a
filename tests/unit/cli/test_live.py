"""The view of a build, fed with streams recorded from engines."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpuimg.cli.build_frame import Block
from gpuimg.cli.live import BuildView
from gpuimg.engine.events import Event, Logged, StepChanged
from gpuimg.engine.progress import BuildState, decode
from gpuimg.text import cell_width
from tests.unit.terminals import Clock, console, last_frame

STREAMS = Path(__file__).parents[1] / "engine" / "streams"


def recorded(name: str) -> Iterator[Event]:
    return decode([(STREAMS / f"{name}.jsonl").read_bytes()])


def played(name: str, *, tty: bool, quiet: bool = False, step_s: float = 0.1) -> str:
    says, stream = console(tty=tty, quiet=quiet)
    clock, state = Clock(), BuildState()
    with BuildView(says, "2.6.0-cu124 runtime", clock=clock) as view:
        for event in recorded(name):
            clock.now += step_s
            state.apply(event)
            view.update(state)
    return stream.getvalue()


def block_of(name: str, *, upto: int | None = None, step_s: float = 0.1) -> tuple[Block, float]:
    """A block after the first `upto` events."""
    state, now = BuildState(), 0.0
    block = Block(title="2.6.0-cu124 runtime", began=now)
    for event in list(recorded(name))[:upto]:
        now += step_s
        state.apply(event)
        block.update(state, now)
    return block, now


def test_lines_off_a_terminal_tell_beginning_and_end_of_each_step() -> None:
    lines = played("pull", tty=False).splitlines()
    assert lines == [
        "[2.6.0-cu124 runtime] #4 [1/2] FROM localhost:5959/base:1@d7e5131ab9d8",
        "[2.6.0-cu124 runtime] #4 done in 0.8 s",
        "[2.6.0-cu124 runtime] #5 [2/2] COPY hello.txt /",
        "[2.6.0-cu124 runtime] #5 done in 0.1 s",
        "[2.6.0-cu124 runtime] #6 exporting to image",
        "[2.6.0-cu124 runtime] #6 done in 0.0 s",
        "[2.6.0-cu124 runtime] built, 0 of 2 steps cached, 4.5 s",
    ]


def test_cached_step_is_one_line() -> None:
    text = played("cached", tty=False)
    assert text.count("CACHED") == 4
    assert "#6 CACHED [3/4] COPY hello.txt /hello.txt\n" in text
    assert "built, 4 of 4 steps cached" in text


def test_failed_step_is_named_and_its_log_left_to_the_error() -> None:
    text = played("failing-run", tty=False)
    assert "#5 FAILED after 0.4 s: process " in text
    assert text.splitlines()[-1].startswith("[2.6.0-cu124 runtime] failed at [2/3] RUN for n in")
    assert "line 60" not in text


def test_long_step_shows_that_it_runs() -> None:
    """CI ends jobs that stay silent."""
    says, stream = console(tty=False)
    clock, state = Clock(), BuildState()
    with BuildView(says, "t", clock=clock) as view:
        state.apply(StepChanged(step="s", name="[1/1] RUN pip install", started=1.0))
        for number in range(70):
            clock.now += 1
            state.apply(Logged(step="s", stream=1, data=b"wheel %d\r" % number, at=None))
            view.update(state)
    assert stream.getvalue().splitlines() == [
        "[t] #1 [1/1] RUN pip install",
        "[t] #1 30 s wheel 30",
        "[t] #1 1 min 00 s wheel 60",
    ]


@pytest.mark.parametrize("path", sorted(STREAMS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_recorded_build_ends_in_words(path: Path) -> None:
    last = played(path.stem, tty=False).splitlines()[-1]
    assert last.startswith(("[2.6.0-cu124 runtime] built, ", "[2.6.0-cu124 runtime] failed"))


def test_quiet_shows_nothing() -> None:
    assert played("success", tty=False, quiet=True) == played("success", tty=True, quiet=True) == ""


@pytest.mark.parametrize("path", sorted(STREAMS.glob("*.jsonl")), ids=lambda path: path.stem)
@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 5), (20, 2), (5, 1)])
def test_block_fits_at_every_moment(path: Path, width: int, height: int) -> None:
    state = BuildState()
    block = Block(title="2.6.0-cu124 runtime", began=0.0)
    for number, event in enumerate(decode([path.read_bytes()])):
        state.apply(event)
        block.update(state, float(number))
        for unicode in (True, False):
            lines = block.lines(width=width, height=height, now=float(number), unicode=unicode)
            assert 1 <= len(lines) <= height
            assert max(cell_width(line.text) for line in lines) <= width
            assert unicode or all(line.text.isascii() for line in lines)


def test_block_shows_steps_their_state_and_what_they_print() -> None:
    block, now = block_of("success", upto=18)
    shown = [line.text for line in block.lines(width=60, height=20, now=now, unicode=True)]
    assert shown == [
        "2.6.0-cu124 runtime                                    1.8 s",
        "  ✓ [tools 1/3] FROM docker.io/library/debian:bookw…  cached",
        "  ⠼ [2/4] RUN printf 'collecting \\033[32mtorch\\033[0…  0.2 s",
        "      55%",
        "  · [3/4] COPY hello.txt /hello.txt",
        "  · [4/4] RUN sleep 0.3; cat /hello.txt",
    ]


def test_running_step_is_the_last_to_give_way() -> None:
    block, now = block_of("success", upto=18)
    shown = [line.text for line in block.lines(width=60, height=3, now=now, unicode=False)]
    assert len(shown) == 3
    assert "[2/4] RUN" in "".join(shown)


def test_download_shows_bytes() -> None:
    block, now = block_of("pull", upto=20)
    shown = [line.text for line in block.lines(width=80, height=20, now=now, unicode=True)]
    assert any(line.startswith("      downloading") and line.endswith(" MiB of 62 MiB") for line in shown)


def test_ended_build_is_one_line() -> None:
    block, now = block_of("success")
    (line,) = block.lines(width=80, height=20, now=now + 50, unicode=True)
    assert line.text.startswith("✓ 2.6.0-cu124 runtime: built, 1 of 4 steps cached")
    assert line.style == "green"
    block, now = block_of("failing-run")
    (line,) = block.lines(width=80, height=20, now=now, unicode=False)
    assert line.text.startswith("x 2.6.0-cu124 runtime: failed at [2/3] RUN")


def test_drawn_view_ends_with_a_line_for_each_build_and_shows_the_cursor_again() -> None:
    says, stream = console(tty=True, width=80)
    states = {"a": BuildState(), "b": BuildState()}
    with BuildView(says, "a", "b") as view:
        says.notice("above")
        threads = []
        for title, name in (("a", "success"), ("b", "failing-run")):
            threads.append(threading.Thread(target=play, args=(view, states[title], title, name)))
            threads[-1].start()
        for thread in threads:
            thread.join()
    text = stream.getvalue()
    assert text.rstrip().endswith("\x1b[?25h")
    last = last_frame(text)
    assert last[0].startswith("✓ a: built, 1 of 4 steps cached")
    assert last[1].startswith("✗ b: failed at [2/3] RUN")
    assert "notice: above" in text


def play(view: BuildView, state: BuildState, title: str, name: str) -> None:
    for event in recorded(name):
        state.apply(event)
        view.update(state, title=title)


def test_drawn_view_survives_an_interrupt() -> None:
    says, stream = console(tty=True)
    with pytest.raises(KeyboardInterrupt), BuildView(says, "a"):
        raise KeyboardInterrupt
    assert "\x1b[?25h" in stream.getvalue()
    says.info("after")
    assert stream.getvalue().endswith("after\n")


def test_more_builds_than_lines_keep_the_running_ones() -> None:
    says, stream = console(tty=True, height=4)
    titles = [f"build-{number}" for number in range(8)]
    done = BuildState(image_id="sha256:0")
    with BuildView(says, *titles) as view:
        for title in titles[:-1]:
            view.update(done, title=title)
        running = BuildState()
        running.apply(StepChanged(step="s", name="[1/1] RUN x", started=1.0))
        view.update(running, title=titles[-1])
    frame = last_frame(stream.getvalue())
    assert len(frame) <= 3
    assert any(line.startswith("build-7") for line in frame)
