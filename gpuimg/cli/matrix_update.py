"""``gpuimg matrix update``: derive the matrix anew from the package indexes; shows what changes, writes on request."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpuimg.cli import options
from gpuimg.errors import RequestError
from gpuimg.text import printable

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.update.run import Update

_EVERY_S = 10.0
"""How often progress is told where it can't be drawn in place."""


def update(
    write: Annotated[bool, typer.Option("--write", help="Write the changes; without it they are only shown.")] = False,
    index_url: Annotated[
        str | None, typer.Option("--index-url", metavar="URL", help="Package index to read instead of PyPI.")
    ] = None,
    torch_index_url: Annotated[
        str | None,
        typer.Option(
            "--torch-index-url", metavar="URL", help="Index to read instead of PyTorch's own; {variant} becomes cu124."
        ),
    ] = None,
    relock: Annotated[
        list[str] | None,
        typer.Option("--relock", metavar="STACK", help="Resolve the wheel sets of this stack anew; repeatable."),
    ] = None,
    matrix_dir: Annotated[
        Path | None,
        typer.Option(
            "--matrix-dir",
            metavar="DIR",
            help="The matrix to update; a new folder gets a copy of ours first.  [default: ours, in a checkout]",
        ),
    ] = None,
) -> None:
    """Derive the matrix anew from what the package indexes say.

    Reads the metadata of the published wheels, never a whole wheel. An index that can't be reached leaves what it alone
    could tell as it is.
    """
    import datetime as dt
    import os

    from gpuimg import settings
    from gpuimg.cli.console import Console
    from gpuimg.matrix import load_matrix
    from gpuimg.paths import MATRICES, cache_folder, is_checkout
    from gpuimg.pipeline.resolve import resolve
    from gpuimg.pipeline.spec import parse_spec
    from gpuimg.update.run import Request, default_index, update_matrix, write_update

    console = Console()
    if matrix_dir is None and write and not is_checkout():
        raise RequestError(
            "this gpuimg is installed, and its matrix belongs to the package",
            hints=["`gpuimg matrix update --write --matrix-dir DIR` writes to a copy of the matrix in DIR"],
        )
    options.refuse_empty({"--index-url": index_url, "--torch-index-url": torch_index_url})
    folder = MATRICES if matrix_dir is None or _is_new(matrix_dir) else matrix_dir
    matrix = load_matrix(base=folder)
    request = Request(
        folder=folder,
        pypi_url=settings.index_url(index_url) if index_url else default_index(),
        pytorch_url=_of_variants(torch_index_url) if torch_index_url else matrix.pytorch_index,
        relock=frozenset(resolve(parse_spec(spec), matrix).stack.name for spec in relock or ()),
        today=dt.datetime.now(dt.timezone.utc).date(),
    )
    changes = update_matrix(request, cache_dir=cache_folder(os.environ), progress=_Progress(console))
    console.transient("")
    for notice in changes.notices:
        console.warning(notice)
    _show(changes, folder, console)
    console.info(
        f"{changes.traffic.requests} requests, {changes.traffic.received_bytes / 2**20:.1f} MiB,"
        f" {changes.traffic.cache_hits} answers from the cache"
    )
    if write and matrix_dir is not None and folder != matrix_dir:
        _copy(folder, matrix_dir)
    if not changes.files:
        console.info("nothing changes")
    elif write:
        write_update(changes, matrix_dir or MATRICES)
        console.info(f"{len(changes.files)} files written below {matrix_dir or MATRICES}")
    else:
        console.info(f"{len(changes.files)} files would change: `gpuimg matrix update --write` writes them")


def _is_new(folder: Path) -> bool:
    """Whether a folder gets a copy of our matrix first. Raises RequestError where it holds something else."""
    from gpuimg.write import require_folder

    try:
        if (folder / "torch.yaml").exists():
            return False
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RequestError(
                f"{printable(str(folder))} is no matrix: it has no torch.yaml", hints=["name a new or an empty folder"]
            )
    except OSError as error:
        raise RequestError(f"{printable(str(folder))} can't be read: {error.strerror}") from error
    require_folder(folder)
    return True


def _copy(matrix: Path, folder: Path) -> None:
    import shutil

    try:
        shutil.copytree(matrix, folder, dirs_exist_ok=True)
    except OSError as error:
        raise RequestError(f"{printable(str(folder))} can't be written: {error.strerror}") from error


def _of_variants(url: str) -> str:
    from gpuimg import settings

    if "{variant}" not in url:
        raise RequestError(
            f"`{printable(url)}` says not where each CUDA's pages are",
            hints=["write {variant} where cu124 stands, as in https://pytorch.example.com/whl/{variant}"],
        )
    settings.index_url(url.replace("{variant}", "cu124"))
    return url


def _show(changes: Update, folder: Path, console: Console) -> None:
    from gpuimg.update.diff import style_of, unified

    lines = []
    for line in unified(changes, folder):
        style = style_of(line)
        shown = printable(line)
        lines.append(console.out.styled(shown, style) if style else shown)
    if lines:
        console.data("\n".join(lines))


class _Progress:
    """A bar that the next one takes the place of, or a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = time.monotonic()

    def __call__(self, done: int, total: int, what: str) -> None:
        if self._console.live:
            filled = 20 * done // max(total, 1)
            full, empty = ("█", "░") if self._console.err.unicode else ("#", ".")
            self._console.transient(f"{full * filled}{empty * (20 - filled)} {done}/{total} {what}")
        elif time.monotonic() - self._told >= _EVERY_S:
            self._told = time.monotonic()
            self._console.info(f"{done}/{total} {what}")
