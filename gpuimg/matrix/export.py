"""The matrix for other programs and for tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuimg.model import Matrix, Stack
from gpuimg.resolve import python_range


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
        "index": stack.index,
        "cxx11_abi": stack.cxx11_abi,
        "platforms": [
            {
                "platform": str(entry.platform),
                "pythons": [str(python) for python in entry.pythons],
                "glibc": str(entry.glibc),
                "compute_capabilities": [str(capability) for capability in entry.compute_capabilities],
            }
            for entry in stack.platforms
        ],
        "min_driver": str(cuda.min_driver),
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


def stack_rows(matrix: Matrix) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Headers and rows of `gpuimg matrix list`, newest first; compatible names stand below what serves them."""
    headers = ("stack", "cudnn", "nccl", "python", "driver", "platforms", "gpus")
    rows: list[Sequence[str]] = []
    drivers = {row.version: str(row.min_driver) for row in matrix.cudas}
    for stack in sorted(matrix.stacks, key=lambda stack: (stack.torch, stack.cuda), reverse=True):
        pythons = sorted({python for entry in stack.platforms for python in entry.pythons})
        capabilities = sorted({capability for entry in stack.platforms for capability in entry.compute_capabilities})
        rows.append(
            (
                stack.name,
                str(stack.cudnn),
                str(stack.nccl),
                python_range(pythons).replace(" to ", "-"),
                drivers[stack.cuda],
                ",".join(entry.platform.arch for entry in stack.platforms),
                ",".join(map(str, capabilities)),
            )
        )
        rows += [
            (row.name, f"→ {stack.name}", "", "", "", "", "") for row in matrix.compatible if row.use == stack.name
        ]
    return headers, rows


def _text(version: object | None) -> str | None:
    return None if version is None else str(version)
