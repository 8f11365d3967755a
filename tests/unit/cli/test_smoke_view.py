"""The view of smoke steps: a table on a terminal, lines elsewhere."""

from __future__ import annotations

import threading

import pytest

from gpuimg.cli.console import Console
from gpuimg.cli.smoke_frame import Row, table_lines
from gpuimg.cli.smoke_live import SmokeView
from gpuimg.errors import HostError
from gpuimg.model import Check, Report, Status
from gpuimg.smoke.protocol import Started
from gpuimg.text import cell_width
from tests.unit.terminals import Clock, Stream, console, last_frame

NAMES = ("stack.torch", "numerics.matmul_bf16_exact", "compiler.inductor_cpu")
STARTED = Started(torch="2.6.0", python="3.11", gpus=(), planned=NAMES)


def check(name: str, status: Status = Status.PASS, reason: str | None = None) -> Check:
    return Check(name=name, group=name.partition(".")[0], status=status, reason=reason)


def report(*checks: Check) -> Report:
    return Report(image=None, torch="2.6.0", python="3.11", gpus=(), checks=checks, seconds=1.0)


def rows() -> list[Row]:
    """One that passed, one that runs and has a failure, one that waits, one that ended in an error."""
    passed, running, waiting, error = (
        Row(title=f"gpuimg:2.6.0-cu124-{name}") for name in ("passed", "running", "waiting", "error")
    )
    for number, row in enumerate((passed, running, error)):
        row.begin(f"GPU {number}", 100.0)
        row.take(STARTED, 101.0)
    passed.end(report(*map(check, NAMES)), 160.0)
    running.take(check(NAMES[0], Status.FAIL, "because"), 103.0)
    error.end(HostError("no"), 109.0)
    return [passed, running, waiting, error]


def drawn(chosen: list[Row], *, width: int = 80, height: int = 24, unicode: bool = True) -> list[str]:
    lines = table_lines(chosen, width=width, height=height, now=225.0, unicode=unicode)
    assert len(lines) <= height
    assert max((cell_width(line.text) for line in lines), default=0) <= width
    return [line.text for line in lines]


def test_table_at_80_columns() -> None:
    assert drawn(rows()) == [
        "  image                                gpu  checks  pass  fail  skip        time",
        "✓ gpuimg:2.6.0-cu124-passed          GPU 0     3/3     3     0     0  1 min 00 s",
        "⠋ gpuimg:2.6.0-cu124-running         GPU 1     1/3     0     1     0  2 min 05 s",
        "    numerics.matmul_bf16_exact                                        2 min 02 s",
        "· gpuimg:2.6.0-cu124-waiting                                             waiting",
        "✗ gpuimg:2.6.0-cu124-error           GPU 2     0/3     0     0     0       9.0 s",
    ]


def test_narrow_terminals_keep_the_end_of_the_name_and_what_failed() -> None:
    assert drawn(rows(), width=40, unicode=False) == [
        "  image                     checks  fail",
        "+ ...mg:2.6.0-cu124-passed     3/3     0",
        "- ...g:2.6.0-cu124-running     1/3     1",
        "    numerics.matmul_bf16_...  2 min 02 s",
        ". ...g:2.6.0-cu124-waiting",
        "x gpuimg:2.6.0-cu124-error     0/3     0",
    ]


def test_checks_that_no_line_told_of_count_at_the_end() -> None:
    """A guest that died: its report has the check that says so."""
    (row,) = rows()[:1]
    row.end(report(check("guest", Status.FAIL, "guest died"), *map(check, NAMES)), 170.0)
    assert (row.count(Status.FAIL), row.verdict) == (1, Status.FAIL)


@pytest.mark.parametrize("width", [1, 5, 12, 20, 33, 40, 60, 80, 200])
@pytest.mark.parametrize("height", [1, 2, 3, 5, 24])
@pytest.mark.parametrize("unicode", [True, False])
def test_table_fits_everywhere(width: int, height: int, unicode: bool) -> None:
    many = [row for _ in range(5) for row in rows()]
    hostile = [Row(title="名" * 60), Row(title="\x1b[2J" * 9)]
    for chosen in (many, hostile, rows()[:1], []):
        lines = drawn(chosen, width=width, height=height, unicode=unicode)
        assert not any("\x1b" in line for line in lines)
        assert unicode or chosen is hostile or all(line.isascii() for line in lines)


def test_who_runs_is_the_last_to_give_way_and_who_failed_before_that() -> None:
    many = [row for _ in range(5) for row in rows()]
    shown = drawn(many, height=8)
    assert sum("-running" in line for line in shown) == 5
    assert sum("-error" in line for line in shown) == 2
    assert shown[-1] == "  … 13 more, 5 of 20 waiting"


def lines_of(*titles: str) -> tuple[SmokeView, Clock, Stream]:
    says, stream = console(tty=False)
    clock = Clock()
    return SmokeView(says, *titles, clock=clock), clock, stream


def test_lines_off_a_terminal_tell_start_failures_and_end() -> None:
    view, clock, stream = lines_of("a", "b")
    with view:
        view.begin(0, where="GPU 0")
        view.begin(1, where="GPU 1")
        view.take(STARTED, number=0)
        view.take(check(NAMES[0]), number=0)
        view.take(check(NAMES[1], Status.FAIL, "1 of 9 differs\nat [1,2]"), number=0)
        clock.now += 75
        view.end(report(check(NAMES[0]), check(NAMES[1], Status.FAIL)), number=0)
        view.end(HostError("the error is told by who has it"), number=1)
    assert stream.getvalue().splitlines() == [
        "[a] running 3 checks on GPU 0",
        "[a] FAIL numerics.matmul_bf16_exact: 1 of 9 differs",
        "[a] FAIL  (PASS 1  FAIL 1  SKIP 0)  1 min 15 s",
    ]


def test_a_long_check_gives_signs_of_life() -> None:
    """CI ends jobs that stay silent; a check says nothing before its end."""
    view, clock, stream = lines_of("a", "waits")
    view.begin(0)
    view.take(STARTED, number=0)
    view.take(check(NAMES[0]), number=0)
    for _ in range(13):
        clock.now += 5
        view.still()
    view.end(report(check(NAMES[0])), number=0)
    clock.now += 60
    view.still()
    assert stream.getvalue().splitlines() == [
        "[a] running 3 checks",
        "[a] 1/3 numerics.matmul_bf16_exact, for 30 s",
        "[a] 1/3 numerics.matmul_bf16_exact, for 1 min 00 s",
        "[a] PASS  (PASS 1  FAIL 0  SKIP 0)  1 min 05 s",
    ]


def test_the_only_image_leaves_its_verdict_to_the_report() -> None:
    view, _, stream = lines_of("a")
    with view:
        view.begin()
        view.take(STARTED)
        view.end(report(check(NAMES[0])))
    assert stream.getvalue() == "[a] running 3 checks\n"


def test_drawn_table_takes_several_threads_and_leaves_nothing_but_what_stands_above() -> None:
    says, stream = console(tty=True, width=80)
    with SmokeView(says, "a", "b") as view:

        def smoke(number: int) -> None:
            view.begin(number)
            view.take(STARTED, number=number)
            for name in NAMES:
                view.take(check(name), number=number)
            view.end(report(*map(check, NAMES)), number=number)

        threads = [threading.Thread(target=smoke, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        says.rendered("what failed\n")
    text = stream.getvalue()
    assert "what failed" in text
    assert "3/3" in text
    assert text.rstrip().endswith("\x1b[2K")
    assert last_frame(text) == []
    assert says.live


def test_quiet_shows_nothing() -> None:
    stream = Stream()
    with SmokeView(Console(stdout=Stream(), stderr=stream, environ={}, quiet=True), "a") as view:
        view.begin()
        view.take(STARTED)
    assert stream.getvalue() == ""
