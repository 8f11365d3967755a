"""Where things are printed, and what a stream decides."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest

from gpuimg.cli.console import SIGPIPE_EXIT_CODE, Console
from gpuimg.errors import BuildError, GpuimgError, RequestError
from gpuimg.text import cell_width


class Stream(io.TextIOWrapper):
    """A stream in memory that may claim to be a terminal."""

    def __init__(self, *, tty: bool = False, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="")
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty

    @property
    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode(self.encoding)


def console(
    *,
    out_tty: bool = False,
    err_tty: bool = False,
    encoding: str = "utf-8",
    no_color: bool = False,
    quiet: bool = False,
    environ: Mapping[str, str] | None = None,
) -> tuple[Console, Stream, Stream]:
    out, err = Stream(tty=out_tty, encoding=encoding), Stream(tty=err_tty, encoding=encoding)
    return Console(stdout=out, stderr=err, environ=environ or {}, no_color=no_color, quiet=quiet), out, err


def test_data_goes_to_stdout_and_the_rest_to_stderr() -> None:
    says, out, err = console()
    says.data("FROM debian")
    says.info("building")
    says.notice("another CUDA")
    says.warning("old engine")
    says.error(GpuimgError("no"))
    assert out.text == "FROM debian\n"
    assert err.text == "building\nnotice: another CUDA\nwarning: old engine\nerror: no\n"


def test_quiet_drops_info_and_nothing_else() -> None:
    """A substitution is never silent."""
    says, out, err = console(quiet=True, err_tty=True, environ={"NO_COLOR": "1"})
    says.data("x")
    says.info("building")
    says.rendered("drawn")
    says.notice("another CUDA")
    assert (out.text, err.text) == ("x\n", "notice: another CUDA\n")
    assert not says.live


def test_error_has_its_further_lines_indented_and_its_hints_last() -> None:
    says, _, err = console()
    says.error(
        RequestError("no stack `2.6-cu999`\nnearest: cu124, cu126", hints=["gpuimg matrix list 2.6", "gpuimg why 2.6"])
    )
    assert err.text == (
        "error: no stack `2.6-cu999`\n  nearest: cu124, cu126\n\nhint: gpuimg matrix list 2.6\nhint: gpuimg why 2.6\n"
    )


def test_build_error_shows_step_and_the_end_of_its_log_before_the_hints() -> None:
    says, _, err = console()
    says.error(
        BuildError(
            "the build failed", step="[3/7] RUN false", log_tail=[f"line {n}" for n in range(50)], hints=["try again"]
        )
    )
    lines = err.text.splitlines()
    assert lines[:5] == [
        "error: the build failed",
        "",
        "  step: [3/7] RUN false",
        "  the last 40 lines of its log:",
        "  │ line 10",
    ]
    assert lines[-3:] == ["  │ line 49", "", "hint: try again"]


def test_what_a_terminal_would_obey_is_shown_as_escapes() -> None:
    says, out, err = console(err_tty=True, environ={"NO_COLOR": "1"})
    says.error(
        BuildError(
            "bad \x1b]0;title\x07 name\r", step="RUN \x9b2J", log_tail=["a\x1b[2Kb", "\u202egnp"], hints=["\x1b[31m"]
        )
    )
    says.info("\x08\x7f")
    says.table(["name"], [["\x1b[5m\n"]])
    shown = out.text + err.text
    assert not any(ord(char) < 32 and char != "\n" for char in shown)
    assert r"bad \x1b]0;title\x07 name\r" in shown
    assert r"\x9b2J" in shown
    assert r"\u202egnp" in shown
    assert r"\x1b[5m\n" in shown


@pytest.mark.parametrize(
    ("tty", "environ", "no_color", "expected"),
    [
        (True, {}, False, True),
        (False, {}, False, False),
        (True, {"NO_COLOR": "1"}, False, False),
        (True, {"NO_COLOR": ""}, False, True),
        (True, {"TERM": "dumb"}, False, False),
        (True, {}, True, False),
        (False, {"FORCE_COLOR": "1"}, False, True),
        (False, {"FORCE_COLOR": "0"}, False, False),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colour_needs_a_terminal_and_nobody_against_it(
    tty: bool, environ: Mapping[str, str], no_color: bool, expected: bool
) -> None:
    says, _, err = console(err_tty=tty, no_color=no_color, environ=environ)
    says.warning("w")
    assert says.err.colour is expected
    assert ("\x1b[" in err.text) is expected


def test_labels_stand_without_colour() -> None:
    coloured, _, err = console(err_tty=True)
    coloured.error(GpuimgError("no"))
    assert "error:" in err.text


@pytest.mark.parametrize(("ci", "live"), [("", True), ("true", False), ("1", False), ("false", True)])
def test_nothing_is_redrawn_in_ci(ci: str, live: bool) -> None:
    says, _, _ = console(err_tty=True, environ={"CI": ci})
    assert says.live is live


def test_stream_without_unicode_gets_escapes() -> None:
    says, out, err = console(encoding="ascii")
    says.data("✓")
    says.error(BuildError("é", step="s", log_tail=["x"]))
    assert not says.out.unicode
    assert out.text == "\\u2713\n"
    assert "error: \\xe9\n" in err.text
    assert "  | x" in err.text


def test_reader_that_left_ends_the_program_quietly() -> None:
    script = (
        "from gpuimg.cli.console import Console\n"
        "says = Console()\n"
        "for number in range(100_000): says.data('line ' * 20)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == SIGPIPE_EXIT_CODE


HEADERS = ["stack", "python", "platforms", "index"]
ROWS = [
    ["2.6.0-cu124", "3.9 3.10 3.11 3.12 3.13", "linux/amd64", "pytorch"],
    ["2.11.0-cu130", "3.10 3.11 3.12 3.13 3.14", "linux/amd64 linux/arm64", ""],
]


def lines_of(width: int, *, elastic: str = "python", rows: Sequence[Sequence[str]] = ROWS) -> list[str]:
    says, out, _ = console(out_tty=True, environ={"NO_COLOR": "1", "COLUMNS": str(width)})
    says.table(HEADERS, rows, elastic=elastic)
    return out.text.splitlines()


def test_table_off_a_terminal_is_plain_whole_columns() -> None:
    says, out, _ = console(environ={"COLUMNS": "20"})
    says.table(HEADERS, ROWS)
    lines = out.text.splitlines()
    assert lines[0].split() == ["STACK", "PYTHON", "PLATFORMS", "INDEX"]
    assert all("3.13" in line for line in lines[1:])
    assert lines[2].endswith("  -")
    assert len(lines) == 3
    assert out.text.isascii()


@pytest.mark.parametrize("width", [8, 12, 20, 34, 40, 60, 80, 200])
def test_table_is_never_wider_than_the_terminal(width: int) -> None:
    wide = [*ROWS, ["名前の長い行です", "x" * 90, "é" * 30, "y"]]
    assert max(cell_width(line) for line in lines_of(width, rows=wide)) <= width


def test_table_wraps_its_elastic_column_and_loses_nothing_of_it() -> None:
    lines = lines_of(60)
    assert lines[0].startswith("STACK")
    assert all("2.6.0-cu124" in line or "linux/amd64" not in line or "2.11" in line for line in lines)
    assert " ".join(lines).count("3.13") == 2
    assert "linux/amd64 linux/arm64" in "\n".join(lines)


def test_table_becomes_a_list_where_columns_have_no_room() -> None:
    assert lines_of(30)[:3] == ["stack: 2.6.0-cu124", "  python: 3.9 3.10 3.11 3.12", "    3.13"]


def test_diverted_console_hands_its_text_to_the_view() -> None:
    says, _, err = console()
    got: list[str] = []
    with says.diverted(got.append):
        says.info("above")
    says.info("after")
    assert (got, err.text) == (["above\n"], "after\n")
