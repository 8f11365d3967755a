"""Matrices that are harder on a page than the committed one."""

from __future__ import annotations

import dataclasses
from typing import Final

from packaging.version import Version

from gpuimg.facts import UNKNOWN, Matrix, Source, Stack

HOSTILE: Final = (
    "</script><script>document.title='owned'</script><!--<img src=x onerror=alert(1)>&lt;\u202e'\" {{ 7*7 }}"
)


def hostile_matrix(matrix: Matrix) -> Matrix:
    """The matrix with texts that an overlay may hold and that a page must only show."""

    def spoiled(sources: tuple[Source, ...]) -> tuple[Source, ...]:
        return tuple(dataclasses.replace(source, source=HOSTILE, note=HOSTILE) for source in sources)

    return dataclasses.replace(
        matrix,
        stacks=tuple(dataclasses.replace(row, sources=spoiled(row.sources)) for row in matrix.stacks),
        compatible=tuple(
            dataclasses.replace(row, reason=HOSTILE, limits=HOSTILE, sources=spoiled(row.sources))
            for row in matrix.compatible
        ),
        chips=tuple(dataclasses.replace(row, architecture=HOSTILE) for row in matrix.chips),
        gpus=tuple(dataclasses.replace(row, name=HOSTILE) for row in matrix.gpus),
    )


def large_matrix(matrix: Matrix) -> Matrix:
    """More than a hundred stacks in ten columns, some of whose facts are unknown."""
    cudas = matrix.cudas[-10:]
    rows: list[Stack] = []
    for minor in range(26):
        for cuda in cudas[minor % 7 : minor % 7 + 4]:
            pattern = matrix.stacks[len(rows) % len(matrix.stacks)]
            rows.append(
                dataclasses.replace(
                    pattern,
                    name=f"2.{minor}.0-{cuda.version.variant}",
                    torch=Version(f"2.{minor}.0"),
                    cuda=cuda.version,
                    cudnn=UNKNOWN if len(rows) % 3 else pattern.cudnn,
                    platforms=tuple(
                        dataclasses.replace(on, compute_capabilities=UNKNOWN) if len(rows) % 5 == 0 else on
                        for on in pattern.platforms
                    ),
                )
            )
    return dataclasses.replace(matrix, stacks=tuple(rows), compatible=())
