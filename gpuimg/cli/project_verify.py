"""The images of a project for `gpuimg verify`: which are on the engine, and how each wants to be checked."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuimg.errors import ImageNotFoundError

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.cli.project import Selection
    from gpuimg.engine.client import Engine
    from gpuimg.model import Image
    from gpuimg.project.model import ProjectImage
    from gpuimg.smoke.host import SmokeOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An image of a project, and how it is checked."""

    image: ProjectImage
    options: SmokeOptions


def wishes_of(selected: Selection, wanted: SmokeOptions, *, gpus: str | None, quick_or_full: bool) -> Sequence[Wish]:
    """How each of the images is checked: what options say takes the place of what the file does.

    Args:
        wanted: what options say, with the defaults where they say nothing.
        gpus: what ``--gpus`` says; None: nothing.
        quick_or_full: whether one of these options says how thoroughly the allocator is measured.
    """
    from gpuimg.project.apply import verify_smoke

    return [
        Wish(image=image, options=verify_smoke(image, wanted, gpus_given=gpus is not None, mode_given=quick_or_full))
        for image in selected.images
    ]


def built_wishes(
    engine: Engine, selected: Selection, wishes: Sequence[Wish], console: Console
) -> Sequence[tuple[SmokeOptions, Sequence[Image]]]:
    """The images that are on the engine, those together that are checked alike; what isn't there is said.

    Raises ImageNotFoundError where none is.
    """
    groups: dict[SmokeOptions, list[Image]] = {}
    missing = []
    for wish in wishes:
        found = _find(engine, wish.image.references[0])
        if found is None:
            missing.append(wish.image.references[0])
        else:
            groups.setdefault(wish.options, []).append(found)
    if len(missing) == len(wishes):
        raise ImageNotFoundError(
            f"{', '.join(missing)} of {selected.project.label} was not built on this engine",
            hints=["`gpuimg build`", "`gpuimg verify IMAGE` checks any image"],
        )
    if missing:
        console.notice(f"{', '.join(missing)} of {selected.project.label} was not built here: `gpuimg build` does it")
    return list(groups.items())


def _find(engine: Engine, reference: str) -> Image | None:
    from gpuimg.engine.images import find_image

    with contextlib.suppress(ImageNotFoundError):
        return find_image(engine, reference)
    return None
