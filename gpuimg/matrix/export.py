"""The matrix for other programs and for tables."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Collection, Sequence
from typing import Any

from gpuimg.facts import UNKNOWN, CompatibleName, Matrix, Stack
from gpuimg.matrix.query import Verdict
from gpuimg.pipeline.resolve import python_range
from gpuimg.versions import Platform


def stack_as_json(stack: Stack, matrix: Matrix) -> dict[str, Any]:
    """A stack as JSON values: versions as text, facts with their sources."""
    cuda = next(row for row in matrix.cudas if row.version == stack.cuda)
    return {
        "name": stack.name,
        "torch": str(stack.torch),
        "cuda": str(stack.cuda),
        "variant": stack.cuda.variant,
        "cudnn": str(stack.cudnn),
        "nccl": str(stack.nccl),
        "triton": _text(stack.triton),
        "torchvision": _text(stack.torchvision),
        "torchaudio": _text(stack.torchaudio),
        "cxx11_abi": stack.cxx11_abi,
        "last_seen": stack.last_seen,
        "platforms": [
            {
                "platform": str(entry.platform),
                "index": entry.index,
                "libraries": entry.libraries,
                "pythons": [str(python) for python in entry.pythons],
                "left_out": [{"python": str(left.python), "reason": left.reason} for left in entry.left_out],
                "glibc": str(entry.glibc),
                "compute_capabilities": "unknown"
                if entry.compute_capabilities is UNKNOWN
                else [str(capability) for capability in entry.compute_capabilities],
            }
            for entry in stack.platforms
        ],
        "min_driver": str(cuda.min_driver),
        "toolkit_driver": str(cuda.toolkit_driver),
        "serves": [row.name for row in matrix.compatible if row.use == stack.name],
        "sources": [
            {
                "fields": list(source.fields),
                "source": source.source,
                "confidence": source.confidence,
                "note": source.note,
            }
            for source in (*stack.sources, *cuda.sources)
        ],
    }


def verdict_as_json(verdict: Verdict) -> dict[str, Any]:
    """Whether a host runs a stack, as JSON values: ``runs``, ``cannot`` or ``unknown``, with the reasons."""
    return {
        "answer": verdict.answer.value,
        "reasons": list(verdict.reasons),
        "notes": list(verdict.notes),
        "platforms": [str(platform) for platform in verdict.platforms],
    }


def on_platforms(stack: Stack, platforms: Collection[Platform]) -> Stack:
    """`stack` as if it had no other platforms."""
    return dataclasses.replace(stack, platforms=tuple(on for on in stack.platforms if on.platform in platforms))


def stack_rows(
    stacks: Sequence[Stack], matrix: Matrix, *, compatible: Sequence[CompatibleName] = (), brief: bool = False
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Headers and rows of `gpuimg matrix list`, newest first: stacks, and among them the `compatible` names.

    With `brief` a row is narrow enough for a terminal: of Pythons and compute capabilities it has the first and last,
    ``+t`` where there are free-threaded Pythons, ``+`` where the last capability has PTX for later chips, and ``?``
    where those of one platform are unknown.
    """
    headers = ("stack", "cudnn", "nccl", "python", "driver", "platforms", "gpus")
    drivers = {row.version: str(row.min_driver) for row in matrix.cudas}
    rows: list[tuple[object, Sequence[str]]] = [
        (
            (stack.torch, stack.cuda),
            (
                stack.name,
                str(stack.cudnn),
                str(stack.nccl),
                _pythons(stack, brief=brief),
                drivers[stack.cuda],
                ",".join(entry.platform.arch for entry in stack.platforms),
                _capabilities(stack, brief=brief),
            ),
        )
        for stack in stacks
    ]
    for row in compatible:
        use = row.use.removeprefix(f"{row.torch}-") if brief else row.use
        rows.append(((row.torch, row.cuda), (row.name, f"→ {use}", "", "", "", "", "")))
    return headers, [cells for _, cells in sorted(rows, key=operator.itemgetter(0), reverse=True)]


def _pythons(stack: Stack, *, brief: bool) -> str:
    """``3.10-3.14,3.13t,3.14t``, in brief ``3.10-3.14+t``."""
    pythons = {python for entry in stack.platforms for python in entry.pythons}
    if not brief:
        return python_range(sorted(pythons)).replace(" to ", "-").replace(", ", ",")
    bound = sorted(python for python in pythons if not python.free_threaded)
    return python_range(bound).replace(" to ", "-").replace(", ", ",") + ("+t" if len(bound) < len(pythons) else "")


def _capabilities(stack: Stack, *, brief: bool) -> str:
    """``7.5,8.0,8.6,9.0,10.0,12.0+PTX``, in brief ``7.5-12.0+``; where one platform's are unknown, that too."""
    lists = [entry.compute_capabilities for entry in stack.platforms]
    texts = [str(capability) for capability in sorted({item for each in lists if each is not UNKNOWN for item in each})]
    if brief and len(texts) > 1:
        first_to_last = f"{texts[0]}-{texts[-1]}".replace("+PTX", "+")
        return f"{first_to_last.removesuffix('+')}?" if UNKNOWN in lists else first_to_last
    return ",".join([*texts, *(["unknown"] if UNKNOWN in lists else [])])


def _text(version: object | None) -> str | None:
    return None if version is None else str(version)
