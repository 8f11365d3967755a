"""One file of text that a command writes: whole or not at all."""

from __future__ import annotations

import os
import shlex
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpuimg.errors import RequestError
from gpuimg.text import printable, shown_path

if TYPE_CHECKING:
    from gpuimg.cli.console import Console

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="File to write.  [default: stdout]", show_default=False),
]


class TextFile:
    """Where a command's text goes: the file that was named, or stdout.

    Raises RequestError at once for a file that could not be written once the text is there. `what` is what messages
    call the text. `folder` is where a tool looks for such a file, as ``.github/workflows``: made where it
    is missing, and what lies below it.
    """

    def __init__(self, console: Console, output: Path | None, *, what: str, folder: str | None = None) -> None:
        self._console = console
        self._what = what
        self._folder = Path(folder) if folder is not None else None
        self._file = None if output is None or str(output) == "-" else output
        if self._file is not None:
            self._check(self._file)

    def write(self, text: str) -> None:
        """Give `text`: an earlier file stays until the new one is complete."""
        if self._file is None:
            self._console.data(text)
            return
        self._replace(self._file, text)
        self._console.info(f"wrote {self._file}")

    def _check(self, file: Path) -> None:
        try:
            if file.exists() and not file.is_file():
                raise self._unwritable(file, "that is no file")
            if not self._existing(file.resolve().parent).is_dir():
                hint = f"`{printable(shlex.join(['mkdir', '-p', str(file.parent)]))}` makes it"
                raise self._unwritable(file, "there is no such folder", hint=hint)
        except (OSError, RuntimeError) as error:  # a loop of links, a name too long
            raise self._unwritable(file, getattr(error, "strerror", None) or "its path leads nowhere") from error

    def _existing(self, parent: Path) -> Path:
        """What has to be there before: the file's folder, or where the tool's own is made."""
        own = self._folder.parts if self._folder is not None else ()
        for folder in (parent, *parent.parents) if own else ():
            if folder.parts[-len(own) :] == own:
                return folder.parents[len(own) - 1]
        return parent

    def _replace(self, file: Path, text: str) -> None:
        place = file.resolve()
        beside: Path | None = None
        try:
            if self._folder is not None:
                place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", dir=place.parent, prefix=".gpuimg-", delete=False, encoding="utf-8", newline="\n"
            ) as stream:
                beside = Path(stream.name)
                stream.write(text)
            beside.chmod(stat.S_IMODE(place.stat().st_mode) if place.exists() else 0o666 & ~_umask())
            beside.replace(place)
        except OSError as error:
            raise self._unwritable(file, error.strerror or str(error)) from error
        finally:
            if beside is not None:
                beside.unlink(missing_ok=True)

    def _unwritable(self, file: Path, problem: str, *, hint: str = "name a file with -o FILE") -> RequestError:
        return RequestError(f"{self._what} can't be written to {shown_path(file)}: {problem}", hints=[hint])


def _umask() -> int:
    """Whose bits new files of this process lack; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
