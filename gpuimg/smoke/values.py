"""Values that users give for the smoke step, checked before anything is started."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpuimg.errors import RequestError
from gpuimg.text import printable, shown


def gpus_per_image(text: str) -> int | None:
    """How many GPUs each image gets at a time; None for ``all``. Raises RequestError."""
    if text == "all":
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,2}", text, re.ASCII):
        raise RequestError(f"`{shown(text)}` is no number of GPUs", hints=["use --gpus-per-image 2, or all"])
    return int(text)


def smoke_mode(*, quick: bool, full: bool) -> str:
    """How thoroughly the allocator is measured: ``quick``, ``default`` or ``full``. Raises RequestError for both."""
    if quick and full:
        raise RequestError("--quick and --full exclude each other")
    return "quick" if quick else "full" if full else "default"


def percent(value: float | None, *, option: str) -> float | None:
    """`value` if it is a share of 100. Raises RequestError."""
    if value is not None and not 0 <= value < 100:  # NaN is neither
        raise RequestError(f"{option} {value:g} is no share of 100", hints=[f"write it as {option} 10"])
    return value


def allocator_settings(texts: Sequence[str]) -> tuple[str, ...]:
    """`texts` if each reads as an allocator setting, such as ``expandable_segments:True``. Raises RequestError."""
    from gpuimg.smoke.guest.known import ALLOCATOR_OPTIONS, parse_allocator

    for text in texts:
        try:
            unknown = [key for key, _ in parse_allocator(text) if key not in ALLOCATOR_OPTIONS]
        except ValueError as error:
            raise RequestError(f"`{shown(text)}` is no allocator setting: {printable(str(error))}") from error
        if unknown:
            raise RequestError(
                f"torch's allocator has no option `{shown(unknown[0])}`",
                hints=[f"it has {', '.join(ALLOCATOR_OPTIONS)}"],
            )
    return tuple(texts)
