"""Whether a command is about a project, and about which of its images."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuimg.errors import RequestError
from gpuimg.text import did_you_mean, printable, shorten

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.project.model import Project, ProjectImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Images of a project, in the order in which they were named, or the file's."""

    project: Project
    images: tuple[ProjectImage, ...]


def select_images(names: Sequence[str], console: Console, *, file: Path | None) -> Selection | None:
    """The images that `names` name, or all; None: they name specs or other images, or there is no project at all.

    Raises:
        RequestError: the project file doesn't hold, has no such image, or `names` are of both kinds.
    """
    from gpuimg.project.find import find_project_file

    folder = Path()
    if file is None and names and all(map(_is_spec, names)):
        with contextlib.suppress(RequestError, OSError):
            found = find_project_file(folder, environ=os.environ)
            if found is not None:
                console.notice(f"{', '.join(names)} was named: {found.name} is left aside, with all that it adds")
        return None
    path = file or find_project_file(folder, environ=os.environ)
    if path is None:
        return None
    project = _read(path)
    return Selection(project=project, images=_named(names, project) if names else project.images)


def select_among(names: Sequence[str], console: Console, *, file: Path | None) -> Selection | None:
    """As `select_images`, for a command that takes any image: a name that the project doesn't have is another's."""
    from gpuimg.project.find import find_project_file

    path = file or find_project_file(Path(), environ=os.environ)
    if path is None or (file is None and not all(map(_may_be_image, names))):
        return None
    project = _read(path)
    if file is None and not {image.name for image in project.images} >= set(names):
        return None
    console.info(f"the images that {project.label} describes")
    return Selection(project=project, images=_named(names, project) if names else project.images)


def the_only_one(selection: Selection) -> ProjectImage:
    """The image of a command that takes one. Raises RequestError where there are several."""
    if len(selection.images) > 1:
        names = ", ".join(image.name for image in selection.images)
        raise RequestError(f"{selection.project.label} has several images: {names}", hints=["name one of them"])
    return selection.images[0]


def _read(path: Path) -> Project:
    from gpuimg.project.read import read_project

    return read_project(path)


def _may_be_image(text: str) -> bool:
    """Whether an image of a project may have that name, which has neither tag nor registry."""
    return text[:1].isalpha() and not set(text) & set(":/@")


def _is_spec(text: str) -> bool:
    """Whether it is a spec rather than an image of a project, whose name starts with a letter."""
    return not text[:1].isalpha()


def _named(names: Sequence[str], project: Project) -> tuple[ProjectImage, ...]:
    images = {image.name: image for image in project.images}
    for name in names:
        if name not in images:
            shown = shorten(printable(name), 60)
            hints = did_you_mean(name, list(images))
            if _is_spec(name):
                hints = ["build specs and images of a project one after the other"]
            raise RequestError(f"{project.label} has no image `{shown}`; it has {', '.join(images)}", hints=hints)
    return tuple(images[name] for name in dict.fromkeys(names))
