"""A project file → `Project`: the defaults of all images, and what each has in their place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gpuimg.errors import RequestError
from gpuimg.pipeline.spec import parse_spec
from gpuimg.project.document import Document, Path_, read_document
from gpuimg.project.model import Code, Project, ProjectImage
from gpuimg.project.values import READERS

_ADDED_TO: Final = {"environment", "labels", "smoke"}
"""Keys whose defaults an image adds to, key by key; of all others it has its own or the default."""


def read_project(file: Path) -> Project:
    """Give the project that `file` describes: a ``gpuimg.yaml`` of any name, or a ``pyproject.toml``.

    Raises:
        RequestError: it can't be read, or doesn't hold: with line and key.
    """
    file = file.absolute()
    document = read_document(file)
    name = document.values.get("name") or project_name(file.parent.name)
    rows: Mapping[str, Any] = document.values.get("images") or {}
    if rows:
        images = [_image(document, file.parent, project=name, key=key) for key in rows]
    else:
        images = [_image(document, file.parent, project=name, key=None)]
    _refuse_same_names(document, images)
    return Project(file=file, label=document.label, name=name, images=tuple(images))


def project_name(text: str) -> str:
    """What a project is called by the name of its folder: a word that can stand in an image's name.

    >>> project_name("My BERT_2 (copy)")
    'my-bert_2-copy'
    """
    name = re.sub(r"[^a-z0-9]*([._-])[^a-z0-9]*|[^a-z0-9]+", lambda match: match[1] or "-", text.lower())
    name = name.strip("._-")
    return name if name[:1].isalpha() else f"project-{name}".rstrip("-")


def _image(document: Document, folder: Path, *, project: str, key: str | None) -> ProjectImage:
    """One image: the row `key` below ``images``; None: the file's only one."""
    values: dict[str, object] = {}
    for name in READERS:
        path, value = _wanted(document.values, name, key)
        if path is not None:
            values[name] = _read(document, path, value, folder)
    row: Path_ = () if key is None else ("images", key)
    if "spec" not in values:
        raise RequestError(
            f"{document.where(row)}: no spec says which stack the image has",
            hints=["write `spec: 2.6-cu124`; `gpuimg matrix list` shows the stacks", "or let `gpuimg init` choose one"],
        )
    _refuse_two_wishes(document, values, row)
    if isinstance(_wanted(document.values, "code", key)[1], str):
        values |= _code_folder(values)
    values.setdefault("repository", project)
    values.setdefault("tags", ("latest",) if key is None else (key,))
    if not values["tags"]:
        raise RequestError(f"{document.where((*row, 'tags'))}: an image needs one")
    fields: dict[str, Any] = {name.replace("-", "_"): value for name, value in values.items()}
    return ProjectImage(name=key or project, **fields)


def _wanted(values: Mapping[str, Any], name: str, key: str | None) -> tuple[Path_ | None, Any]:
    """Where the value of a key stands for an image, and the value; the path is None where there is none."""
    row: Mapping[str, Any] = values["images"][key] if key is not None else {}
    if name in row and name in values and name in _ADDED_TO:
        return ("images", str(key), name), {**values[name], **row[name]}
    if name in row:
        return ("images", str(key), name), row[name]
    return ((name,), values[name]) if name in values else (None, None)


def _read(document: Document, path: Path_, value: Any, folder: Path) -> object:
    try:
        return READERS[str(path[-1])](value, folder)
    except RequestError as error:
        raise RequestError(f"{document.where(path)}: {error.message}", hints=error.hints) from error


def _code_folder(values: Mapping[str, Any]) -> Mapping[str, object]:
    """Code that is a folder becomes the working directory; a single file comes into that."""
    (copy,) = values["code"]
    place = values.get("workdir") or copy.target
    target = f"{place}/{copy.source.name}" if copy.source.is_file() else place
    return {"code": (Code(source=copy.source, target=target),), "workdir": place}


def _refuse_two_wishes(document: Document, values: Mapping[str, Any], row: Path_) -> None:
    """A spec and a key that ask for different things."""
    spec = parse_spec(values["spec"])
    for key, said in (("python", spec.python), ("flavor", spec.flavor)):
        if said is not None and values.get(key, said) != said:
            raise RequestError(
                f"{document.where((*row, key))}: {values[key]}, and the spec `{spec.text}` asks for {said}",
                hints=["say it once"],
            )


def _refuse_same_names(document: Document, images: Sequence[ProjectImage]) -> None:
    seen: dict[str, str] = {}
    for image in images:
        for reference in image.references:
            other = seen.setdefault(reference, image.name)
            if other != image.name:
                raise RequestError(
                    f"{document.where(('images', image.name))}: {other} and {image.name} would both be {reference}",
                    hints=["give each its own `tags` or `repository`, or none: then each has its own name"],
                )
