"""``gpuimg matrix list``: the stacks that fit some wishes, and which of them a host can run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gpuimg.cli import complete, options
from gpuimg.text import printable, wrap

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.facts import Matrix
    from gpuimg.matrix.query import Answer, Host, Verdict, Wishes

_NARROW: Final = {48: ("stack", "driver"), 80: ("stack", "python", "driver", "gpus")}
"""What fits on terminals of fewer columns; the second has what serves a compatible name."""


def list_stacks(
    torch: Annotated[
        str | None, typer.Option("--torch", metavar="VERSIONS", help='Only these releases, such as ">=2.5" or 2.6.')
    ] = None,
    cuda: Annotated[
        str | None, typer.Option("--cuda", metavar="CUDA", help="Only this CUDA: 12, 12.4 or cu124.")
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            autocompletion=complete.pythons,
            metavar="VERSION",
            help="Only stacks with this Python, such as 3.12.",
        ),
    ] = None,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform", autocompletion=complete.platforms, metavar="PLATFORM", help="Only linux/amd64 or linux/arm64."
        ),
    ] = None,
    driver: Annotated[
        str | None, typer.Option("--driver", metavar="VERSION", help="Your driver, such as 535.104.05.")
    ] = None,
    gpu: Annotated[
        list[str] | None,
        typer.Option(
            "--gpu", metavar="NAME", help='Your GPU, such as H100 or "RTX 5090"; repeatable: all must run it.'
        ),
    ] = None,
    compute_capability: Annotated[
        list[str] | None,
        typer.Option("--compute-capability", metavar="X.Y", help="Your GPU by its capability; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON for programs.")] = False,
    matrix_dir: options.MatrixDir = None,
) -> None:
    """List the stacks, one official build a line, newest first.

    With --driver, --gpu or --compute-capability it tells what runs there, and for each that can't the reason, or what
    isn't known. The exit code is 0 where that was answered, also if nothing runs; in JSON each stack has a `verdict`.
    """
    import json

    from gpuimg.cli.console import Console
    from gpuimg.matrix import load_matrix
    from gpuimg.matrix.export import on_platforms, stack_as_json, stack_rows, verdict_as_json
    from gpuimg.matrix.query import Host, judge, select, select_compatible, wanted_platforms
    from gpuimg.matrix.wishes import read_host, read_wishes

    console = Console()
    matrix = load_matrix(tuple(matrix_dir or ()))
    wishes = read_wishes(torch=torch, cuda=cuda, python=python, platform=platform)
    host = read_host(matrix, driver=driver, gpus=gpu or (), capabilities=compute_capability or ())
    stacks = select(matrix, wishes)
    verdicts = [judge(stack, host, matrix, wishes=wishes) for stack in stacks] if host != Host() else []
    if as_json:
        rows = [stack_as_json(stack, matrix) for stack in stacks]
        for row, verdict in zip(rows, verdicts, strict=False):
            row["verdict"] = verdict_as_json(verdict)
        console.data(json.dumps(rows, indent=2))
        return
    if verdicts:
        _show_verdicts(verdicts, host, wishes, matrix, console)
        return
    compatible = select_compatible(matrix, wishes)
    if stacks or compatible:
        shown = [on_platforms(stack, {on.platform for on in wanted_platforms(stack, wishes)}) for stack in stacks]
        _show_table(stack_rows(shown, matrix, compatible=compatible, brief=console.out.tty), console)
    else:
        console.notice(_nothing(matrix, wishes))


def _show_verdicts(verdicts: Sequence[Verdict], host: Host, wishes: Wishes, matrix: Matrix, console: Console) -> None:
    """On a terminal what runs, then the others by their reasons; elsewhere a line for each stack, with its answer."""
    from gpuimg.matrix.answer import what_helps
    from gpuimg.matrix.export import on_platforms, stack_rows
    from gpuimg.matrix.query import Answer

    helps = what_helps(verdicts, host, wishes, matrix)
    if not console.out.tty:
        headers, rows = stack_rows([on_platforms(verdict.stack, verdict.platforms) for verdict in verdicts], matrix)
        answered = [
            (row[0], verdict.answer.value, *row[1:], "; ".join(verdict.reasons or verdict.notes))
            for row, verdict in zip(rows, verdicts, strict=True)
        ]
        console.table((headers[0], "answer", *headers[1:], "why"), answered)
        for line in (_summary(verdicts, host), *helps):
            console.info(line)
        return
    console.data(console.out.styled(_wrapped(_summary(verdicts, host), console), "bold"))
    running = [on_platforms(each.stack, each.platforms) for each in verdicts if each.answer is Answer.RUNS]
    if running:
        console.data("\n")
        _show_table(stack_rows(running, matrix, brief=True), console)
    for answer, title in ((Answer.RUNS, "notes:"), (Answer.CANNOT, "can't run:"), (Answer.UNKNOWN, "unknown:")):
        _show_groups(verdicts, answer, title, console)
    if helps:
        console.data("\n" + "\n".join(_wrapped(f"{line}", console) for line in helps))


def _show_table(table: tuple[Sequence[str], Sequence[Sequence[str]]], console: Console) -> None:
    """A stack is a line: a narrow terminal gets fewer columns, the name whole."""
    headers, rows = table
    for width, columns in _NARROW.items():
        if console.out.tty and console.out.width < width:
            kept = [headers.index(column) for column in columns]
            headers = columns
            rows = [[row[at] or (row[1] if at == kept[1] else "") for at in kept] for row in rows]
            break
    console.table(headers, rows, elastic=headers[-1])


def _show_groups(verdicts: Sequence[Verdict], answer: Answer, title: str, console: Console) -> None:
    from gpuimg.matrix.answer import groups, names

    found = groups(verdicts, answer)
    if not found:
        return
    lines = ["", title]
    among = tuple(verdict.stack for verdict in verdicts)
    for group in found:
        text = printable(f"{names(group.stacks, among)}: {'; '.join(group.texts)}")
        first, *rest = wrap(text, console.out.width - 4)
        lines += [f"  {first}", *(f"    {part}" for part in rest)]
    console.data("\n".join(lines))


def _summary(verdicts: Sequence[Verdict], host: Host) -> str:
    from gpuimg.matrix.query import Answer

    parts = [*([f"driver {host.driver}"] if host.driver else []), *map(str, host.gpus)]
    counts = {answer: sum(verdict.answer is answer for verdict in verdicts) for answer in Answer}
    said = [f"{counts[Answer.RUNS] or 'none'} run" + ("s" if counts[Answer.RUNS] == 1 else "")]
    said += [f"{counts[Answer.CANNOT]} can't"] if counts[Answer.CANNOT] else []
    said += [f"{counts[Answer.UNKNOWN]} unknown"] if counts[Answer.UNKNOWN] else []
    many = "stacks" if len(verdicts) > 1 else "stack"
    return printable(f"{' + '.join(parts)}: of {len(verdicts)} {many} {', '.join(said)}")


def _nothing(matrix: Matrix, wishes: Wishes) -> str:
    """Why no stack fits: how many have each wish alone."""
    import dataclasses

    from gpuimg.matrix.query import Wishes, select

    named = {field.name: getattr(wishes, field.name) for field in dataclasses.fields(wishes)}
    alone = [
        f"{field} {value}: {len(select(matrix, dataclasses.replace(Wishes(), **{field: value})))} stacks"
        for field, value in named.items()
        if value is not None
    ]
    return printable(f"no stack fits ({', '.join(alone)})")


def _wrapped(text: str, console: Console) -> str:
    return "\n".join(wrap(text, console.out.width))
