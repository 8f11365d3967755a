"""What the formats for several images share: options, and which images they are about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpuimg.cli import complete
from gpuimg.errors import RequestError

if TYPE_CHECKING:
    from gpuimg.facts import Matrix

Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SPEC|IMAGE",
        autocompletion=complete.specs,
        help="What gpuimg builds, such as 2.6-cu124 or images of the project.  [default: all of these]",
        show_default=False,
    ),
]
Every = Annotated[
    bool, typer.Option("--all", help="Every stack of the matrix, or those that --torch and --cuda leave.")
]
TorchVersions = Annotated[
    str | None, typer.Option("--torch", metavar="VERSIONS", help='With --all: only these releases, such as ">=2.9".')
]
CudaVersions = Annotated[
    str | None, typer.Option("--cuda", metavar="CUDA", help="With --all: only this CUDA: 12, 12.4 or cu124.")
]

CacheTo = Annotated[
    str | None, typer.Option("--cache-to", metavar="WHERE", help="Keep a build cache: registry, beside each image.")
]


def refuse_idle(targets: Sequence[str], *, every: bool, torch: str | None, cuda: str | None, file: Path | None) -> None:
    """Raise RequestError for what would mean nothing: filters without --all; names or a project file beside it."""
    for option, value in (("--torch", torch), ("--cuda", cuda)):
        if value is not None and not every:
            raise RequestError(f"{option} chooses among the stacks of the matrix", hints=["say --all too"])
    if every and (targets or file is not None):
        beside = "spec" if targets else "project file"
        raise RequestError(
            f"--all takes every stack: name no {beside} beside it",
            hints=[f"leave --all out, or the {beside}", "--torch and --cuda choose among the stacks"],
        )


def wanted_specs(
    targets: Sequence[str],
    matrix: Matrix,
    *,
    every: bool,
    torch: str | None = None,
    cuda: str | None = None,
    python: str | None = None,
    platform: str | None = None,
) -> Sequence[str]:
    """The specs that were named, or the stacks that the filters leave, newest first.

    Raises RequestError where nothing was named, or nothing is left.
    """
    from gpuimg.matrix.query import select
    from gpuimg.matrix.wishes import read_wishes

    if not every:
        if not targets:
            raise RequestError(
                "nothing to export: no spec was named, and there is no project file here",
                hints=[
                    "`gpuimg export 2.6-cu124 --format FORMAT`",
                    "or --all",
                    "or `gpuimg init` writes a project file",
                ],
            )
        return targets
    stacks = select(matrix, read_wishes(torch=torch, cuda=cuda, python=python, platform=platform))
    if not stacks:
        raise RequestError(
            "no stack fits", hints=["`gpuimg matrix list` takes the same filters and shows what there is"]
        )
    return [stack.name for stack in stacks]
