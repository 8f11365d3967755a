"""The matrix as one HTML page that needs nothing else: no request, no server, and to be read no JavaScript.

What rows say may come from anyone's overlay: it reaches the page as escaped text and as JSON that no HTML parser can
take for markup, and the page's policy lets the browser run what is hashed here and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from gpuimg.facts import Chip, Gpu, Matrix, Source
from gpuimg.matrix.cells import Grid, lay_out
from gpuimg.matrix.document import matrix_as_json
from gpuimg.matrix.wishes import host_platforms
from gpuimg.pages import PAGES, page_environment, policy_hash
from gpuimg.templating import render_template
from gpuimg.text import printable

_TORCH_WIDTH_PX, _CUDA_WIDTH_PX, _MARGINS_PX = 96, 86, 64
"""What a row's head, a column that still shows ``3.10–3.14``, and all that is beside the grid take."""


def render_page(matrix: Matrix) -> str:
    """Give the page's HTML: the same matrix gives the same text."""
    environment = page_environment()
    grid = lay_out(matrix)
    style = Markup(render_template(environment, "matrix.css.j2", {"list_below_px": _narrowest_px(grid)}))
    scripts = {name: Markup((PAGES / f"matrix.{name}.js").read_text(encoding="utf-8")) for name in ("rules", "page")}
    return render_template(
        environment,
        "matrix.html.j2",
        {
            "grid": grid,
            "chips": tuple(_with_gpus(matrix)),
            "hosts_of": lambda gpus: " ".join(map(str, host_platforms(gpus))),
            "cudas": sorted(matrix.cudas, key=lambda row: row.version, reverse=True),
            "platforms": sorted({str(on.platform) for stack in matrix.stacks for on in stack.platforms}),
            "pythons": sorted({python for stack in matrix.stacks for on in stack.platforms for python in on.pythons}),
            "style": style,
            "scripts": scripts,
            "style_hash": policy_hash(style),
            "script_hashes": [policy_hash(script) for script in scripts.values()],
            "data": _embedded(matrix_as_json(matrix)),
        },
    )


def _narrowest_px(grid: Grid) -> int:
    """The least width of a window that the grid fits; below it is a list."""
    return _TORCH_WIDTH_PX + _CUDA_WIDTH_PX * len(grid.columns) + _MARGINS_PX


def _with_gpus(matrix: Matrix) -> Iterable[tuple[Chip, Sequence[Gpu], Sequence[Source]]]:
    """Chips, newest first, each with its products and what both rest on."""
    for chip in sorted(matrix.chips, key=lambda chip: chip.compute_capability, reverse=True):
        gpus = [gpu for gpu in matrix.gpus if gpu.compute_capability == chip.compute_capability]
        of_gpus = dict.fromkeys(source for gpu in gpus for source in gpu.sources)
        yield chip, gpus, (*chip.sources, *of_gpus)


def _embedded(document: Any) -> Markup:
    r"""`document` as JSON inside a script element: neither ``</script>`` nor ``<!--`` can stand in it.

    >>> print(_embedded({"a": "</script>"}))
    {"a":"\u003c/script\u003e"}
    """
    text = json.dumps(_printable(document), separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _printable(value: Any) -> Any:
    match value:
        case str():
            return printable(value)
        case list():
            return [_printable(item) for item in value]
        case dict():
            return {key: _printable(item) for key, item in value.items()}
        case _:
            return value
