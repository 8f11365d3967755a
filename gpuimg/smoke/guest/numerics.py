"""What the numerics checks share: the state of TF32, and words for what is wrong where."""

from __future__ import annotations

from typing import Any

_TILE = 128


def set_tf32(torch: Any, allowed: bool) -> None:
    """By the newer interface where there is one: a process must never use both."""
    # Asked of torch._C, because `hasattr` on this module of older releases ends in an AssertionError.
    if hasattr(torch._C, "_set_fp32_precision_setter"):
        torch.backends.cuda.matmul.fp32_precision = "tf32" if allowed else "ieee"
    else:
        torch.backends.cuda.matmul.allow_tf32 = allowed


def describe(wrong: Any, found: Any, reference: Any) -> str:
    """Where the wrong elements of a matrix are, and the first of them."""
    places = wrong.nonzero()
    row, column = (int(item) for item in places[0])
    rows, columns = places[:, 0], places[:, 1]
    height, width = int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1
    if len(places) == 1:
        pattern = "one element"
    elif height == 1:
        pattern = "one row"
    elif width == 1:
        pattern = "one column"
    elif height <= _TILE and width <= _TILE:
        pattern = "one tile"
    else:
        pattern = "scattered"
    value, right = found[row, column].item(), reference[row, column].item()
    return (
        f"{len(places)} of {wrong.numel()} elements differ ({pattern}), "
        f"the first at [{row},{column}]: {value:.9g} instead of {right:.9g}"
    )
