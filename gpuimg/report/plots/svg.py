"""Inline SVG, element by element. Texts come from images: each is escaped, and nothing in it deceives the eye.

Colours and lines are the page's: elements have classes, never styles, which the page's policy forbids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from gpuimg.text import printable, shorten

WIDTH: Final = 360
"""Of every plot, in its own units: about the pixels of a phone, so that letters are as large there as elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A plot, and what its caption says: what each mark means, then notes."""

    title: str
    picture: Markup
    key: tuple[tuple[Markup, str], ...] = ()
    notes: tuple[str, ...] = ()


def document(*, name: str, title: str, description: str, height: float, parts: Iterable[Markup]) -> Markup:
    """A picture that says in words what it shows; `name` is unique on its page."""
    labels = Markup("").join(
        (
            _element("title", {"id": f"{name}-title"}, _text(title)),
            _element("desc", {"id": f"{name}-desc"}, _text(description)),
        )
    )
    attributes = {
        "class": "plot",
        "viewBox": f"0 0 {WIDTH} {_number(height)}",
        "role": "img",
        "aria-labelledby": f"{name}-title",
        "aria-describedby": f"{name}-desc",
    }
    return _element("svg", attributes, labels + Markup("").join(parts))


def line(kind: str, *, x1: float, y1: float, x2: float, y2: float) -> Markup:
    """A straight line."""
    return _element("line", {"class": kind, "x1": x1, "y1": y1, "x2": x2, "y2": y2})


def box(kind: str, *, left: float, top: float, right: float, bottom: float) -> Markup:
    """A rectangle; one without extent still shows as a hair."""
    width, height = max(right - left, 0.5), max(bottom - top, 0.5)
    return _element("rect", {"class": kind, "x": left, "y": top, "width": width, "height": height})


def dot(kind: str, *, x: float, y: float, radius: float) -> Markup:
    """A circle around a place."""
    return _element("circle", {"class": kind, "cx": x, "cy": y, "r": radius})


def path(kind: str, places: Sequence[tuple[float, float]], *, closed_at: float | None = None) -> Markup:
    """A line through `places`; with `closed_at` the area between it and that height."""
    if not places:
        return Markup("")
    drawn = "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in places)
    if closed_at is not None:
        drawn += f"V{_number(closed_at)}H{_number(places[0][0])}Z"
    return _element("path", {"class": kind, "d": drawn})


def label(kind: str, words: str, *, x: float, y: float, room: int = 60) -> Markup:
    """`words`, cut to `room` columns; `kind` says to which side of `x` they stand."""
    return _element("text", {"class": kind, "x": x, "y": y}, _text(shorten(printable(words), room)))


def swatch(*marks: Markup) -> Markup:
    """Marks as the key of a plot shows them, drawn on 20 × 12 units."""
    return _element("svg", {"class": "swatch", "viewBox": "0 0 20 12", "aria-hidden": "true"}, Markup("").join(marks))


def _element(tag: str, attributes: Mapping[str, str | float], content: Markup | None = None) -> Markup:
    written = "".join(
        f' {name}="{escape(value) if isinstance(value, str) else _number(value)}"' for name, value in attributes.items()
    )
    return Markup(f"<{tag}{written}/>" if content is None else f"<{tag}{written}>{content}</{tag}>")


def _text(words: str) -> Markup:
    return escape(printable(words))


def _number(value: float) -> str:
    """A coordinate: a tenth of a unit is finer than anyone sees."""
    return f"{round(value, 1):g}"
