"""The only module that prints: data to stdout, all else to stderr.

What a stream can do (TTY, colour, width, Unicode) is decided here, once. Texts come from users, images and builds, so
`info`, `notice`, `warning`, `error` and `table` show control characters as escapes; `data` and `rendered` write as is.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from gpuimg.errors import BuildError, GpuimgError, RequestError
from gpuimg.text import printable, shorten, styled, wrap

SIGPIPE_EXIT_CODE = 141
"""128 + SIGPIPE: what shells report for a program whose reader went away."""
LOG_LINES = 40
"""How many lines of a failed step's log an error shows."""
_NO_TTY_WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """What one stream can do."""

    stream: TextIO
    tty: bool
    colour: bool
    unicode: bool
    width: int
    height: int

    @classmethod
    def of(cls, stream: TextIO, *, environ: Mapping[str, str], no_color: bool) -> Terminal:
        """Look at `stream`. NO_COLOR beats FORCE_COLOR, which beats TERM=dumb and the lack of a TTY."""
        tty = _is_tty(stream)
        dumb = environ.get("TERM") == "dumb"
        colour = environ.get("FORCE_COLOR", "0") not in {"", "0"} or (tty and not dumb)
        encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-")
        width, height = _size(stream, tty=tty, environ=environ)
        return cls(
            stream=stream,
            tty=tty,
            colour=colour and not environ.get("NO_COLOR") and not no_color,
            unicode=encoding in {"utf-8", "utf8", "utf-8-sig"},
            width=width,
            height=height,
        )

    def write(self, text: str) -> None:
        """Write `text`; what the encoding lacks becomes an escape."""
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self.stream.flush()

    def styled(self, text: str, style: str) -> str:
        """`text` in `style` where there is colour."""
        return styled(text, style, colour=self.colour)


class Console:
    """Where a command says things; made once per command."""

    def __init__(
        self,
        *,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        environ: Mapping[str, str] | None = None,
        quiet: bool = False,
        no_color: bool = False,
    ) -> None:
        environ = os.environ if environ is None else environ
        self._stdout_is_closed = stdout is None and sys.stdout is None
        self.out = Terminal.of(stdout or sys.stdout or io.StringIO(), environ=environ, no_color=no_color)
        self.err = Terminal.of(stderr or sys.stderr or io.StringIO(), environ=environ, no_color=no_color)
        self.quiet = quiet
        self.ci = environ.get("CI", "").lower() not in {"", "0", "false"}
        self.live = self.err.tty and not self.ci and environ.get("TERM") != "dumb" and not quiet
        """Whether progress may be drawn in place, on stderr."""
        self.can_ask = self.err.tty and _is_tty(sys.stdin) and not self.ci and not quiet
        """Whether there is somebody who reads a question and can answer."""
        self._write_err: Callable[[str], None] = self._write_stderr

    # --- what commands say ---------------------------------------------------------------------------------------

    def data(self, text: str) -> None:
        """What was asked for, to stdout as it is. Ends the program quietly when the reader is gone.

        Raises RequestError where stdout is closed or full.
        """
        try:
            if self._stdout_is_closed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self.out.write(text if text.endswith("\n") or not text else text + "\n")
        except BrokenPipeError:
            _silence(self.out.stream)
            raise SystemExit(SIGPIPE_EXIT_CODE) from None
        except OSError as error:
            _silence(self.out.stream)
            raise RequestError(f"stdout can't be written: {error.strerror}") from error

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]], *, elastic: str | None = None) -> None:
        """A table to stdout. On a TTY it never is wider than the terminal: the column `elastic` (the last, unless
        named) gives way first. Elsewhere it is plain columns for grep and awk, nothing left out."""
        from gpuimg.cli.table import plain_table, terminal_table

        safe = [[printable(cell) for cell in row] for row in rows]
        if not self.out.tty:
            self.data(plain_table(headers, safe))
            return
        lines = terminal_table(
            headers, safe, width=self.out.width, elastic=elastic or headers[-1], unicode=self.out.unicode
        )
        if lines and self.out.colour:
            lines[0] = self.out.styled(lines[0], "bold")
        self.data("\n".join(lines))

    def info(self, text: str) -> None:
        """Progress and results for people; not with --quiet."""
        if not self.quiet:
            self._write_err(printable(text, multiline=True) + "\n")

    def notice(self, text: str) -> None:
        """What must not be missed, such as a substitution; with --quiet too."""
        self._labelled("notice", text, "yellow")

    def warning(self, text: str) -> None:
        """What works but is likely not meant; with --quiet too."""
        self._labelled("warning", text, "yellow")

    def error(self, error: GpuimgError) -> None:
        """What happened and why, a failed step's last lines, then the hints."""
        self._labelled("error", error.message, "red")
        if isinstance(error, BuildError):
            self._failed_step(error)
        if error.hints:
            hint = self.err.styled("hint:", "cyan")
            self._write_err("\n" + "".join(f"{hint} {_indented(text)}\n" for text in error.hints))

    def transient(self, text: str) -> None:
        """A line that the next one takes the place of; only where progress may be drawn in place."""
        if self.live:
            self._write_err(f"\r\x1b[2K{shorten(printable(text), self.err.width - 1)}")

    def ask(self, question: str, *, default: str) -> str:
        """What the user types, on stderr and stdin; nothing is `default`. Raises EOFError where input ends."""
        shown = self.err.styled(f"[{printable(default)}]", "dim")
        self._write_err(f"{self.err.styled(printable(question), 'bold')} {shown} ")
        line = sys.stdin.readline()
        if not line:
            self._write_err("\n")
            raise EOFError
        return line.strip() or default

    def rendered(self, text: str) -> None:
        """Text that gpuimg rendered for `err` itself, to stderr as it is; not with --quiet."""
        if not self.quiet:
            self._write_err(text if text.endswith("\n") else text + "\n")

    # --- for views that draw on stderr ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def diverted(self, write: Callable[[str], None]) -> Iterator[None]:
        """While this lasts, what goes to stderr goes to `write`: a view that redraws puts it above itself."""
        self._write_err = write
        try:
            yield
        finally:
            self._write_err = self._write_stderr

    # --- helpers -------------------------------------------------------------------------------------------------

    def _labelled(self, label: str, text: str, style: str) -> None:
        if self.err.tty:
            room = self.err.width - len(label) - 2
            lines = [part for line in text.split("\n") for part in wrap(printable(line), room)]
            text = "\n".join(lines)
        self._write_err(f"{self.err.styled(label + ':', style)} {_indented(text)}\n")

    def _failed_step(self, error: BuildError) -> None:
        bar = self.err.styled("│" if self.err.unicode else "|", "dim")
        tail = error.log_tail[-LOG_LINES:]
        parts = [f"\n  step: {_indented(error.step)}\n"]
        if tail:
            parts.append(
                "  the last line of its log:\n" if len(tail) == 1 else f"  the last {len(tail)} lines of its log:\n"
            )
            parts += [f"  {bar} {printable(line, multiline=True)}".rstrip() + "\n" for line in tail]
        self._write_err("".join(parts))

    def _write_stderr(self, text: str) -> None:
        try:
            self.err.write(text)
        except OSError:  # nobody listens, or nothing fits: no reason to stop the work
            _silence(self.err.stream)


def _indented(text: str) -> str:
    return printable(text.rstrip("\n"), multiline=True).replace("\n", "\n  ")


def _is_tty(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):  # closed, or not quite a stream
        return False


def _size(stream: TextIO, *, tty: bool, environ: Mapping[str, str]) -> tuple[int, int]:
    """Width and height: COLUMNS and LINES where set, else the terminal's."""
    width, height = _NO_TTY_WIDTH, 25
    if tty:
        width = 80
        with contextlib.suppress(OSError, ValueError, AttributeError):
            size = os.get_terminal_size(stream.fileno())
            width, height = size.columns or width, size.lines or height
    columns, lines = environ.get("COLUMNS", ""), environ.get("LINES", "")
    return (_number(columns) or width), (_number(lines) or height)


def _number(text: str) -> int:
    """`text` as a number that a terminal can have, else 0."""
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 6 else 0


def _silence(stream: TextIO) -> None:
    """Send what is left in `stream`'s buffer nowhere, or the interpreter complains about it when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
