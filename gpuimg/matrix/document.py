"""The whole matrix as one JSON document: what `gpuimg matrix export` writes, and what its page reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gpuimg.facts import Matrix, Source
from gpuimg.matrix.export import stack_as_json
from gpuimg.matrix.wishes import host_platforms

SCHEMA: Final = 1
"""Grows with each change that a reader of the last one would trip over."""


def matrix_as_json(matrix: Matrix) -> dict[str, Any]:
    """All stacks and compatible names, newest first, and the CUDA releases, chips and GPUs that they refer to.

    Versions are text; ``unknown`` is a fact that nobody could find out.
    """
    return {
        "schema": SCHEMA,
        "stacks": [
            stack_as_json(stack, matrix)
            for stack in sorted(matrix.stacks, key=lambda stack: (stack.torch, stack.cuda), reverse=True)
        ],
        "compatible": [
            {
                "name": row.name,
                "torch": str(row.torch),
                "cuda": str(row.cuda),
                "use": row.use,
                "tag": row.tag,
                "reason": row.reason,
                "limits": row.limits,
                "sources": _sources(row.sources),
            }
            for row in sorted(matrix.compatible, key=lambda row: (row.torch, row.cuda), reverse=True)
        ],
        "cudas": [
            {
                "version": str(row.version),
                "min_driver": str(row.min_driver),
                "toolkit_driver": str(row.toolkit_driver),
                "compute_capabilities": [str(capability) for capability in row.compute_capabilities],
                "gcc_max": row.gcc_max if isinstance(row.gcc_max, int) else str(row.gcc_max),
                "sources": _sources(row.sources),
            }
            for row in sorted(matrix.cudas, key=lambda row: row.version)
        ],
        "chips": [
            {
                "compute_capability": str(row.compute_capability),
                "architecture": row.architecture,
                "min_driver": str(row.min_driver),
                "last_driver": None if row.last_driver is None else str(row.last_driver),
                "sources": _sources(row.sources),
            }
            for row in sorted(matrix.chips, key=lambda row: row.compute_capability)
        ],
        "gpus": [
            {
                "name": row.name,
                "compute_capability": str(row.compute_capability),
                "host_platforms": [str(platform) for platform in host_platforms([row])],
                "sources": _sources(row.sources),
            }
            for row in matrix.gpus
        ],
    }


def _sources(sources: Sequence[Source]) -> list[dict[str, Any]]:
    return [
        {
            "fields": list(source.fields),
            "source": source.source,
            "confidence": source.confidence,
            "note": source.note,
        }
        for source in sources
    ]
