"""Images on the engine: find, tag, untag, list and remove those that gpuimg made."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from gpuimg.engine.client import Engine
from gpuimg.errors import HostError, ImageNotFoundError
from gpuimg.model import Image
from gpuimg.text import did_you_mean

STACK_LABEL = "io.gpuimg.stack"


def find_image(engine: Engine, reference: str) -> Image:
    """Give the image that `reference` (name, tag, id or digest) names on the engine; nothing is pulled.

    Raises:
        ImageNotFoundError: the engine has none; the hint names the nearest that it has, and how to pull.
    """
    try:
        found = engine.inspect_image(reference)
    except ImageNotFoundError as error:
        have = [tag for image in list_images(engine) for tag in image.tags]
        hints = [*did_you_mean(reference, have), f"`docker pull {reference}` if a registry has it"]
        raise ImageNotFoundError(f"the engine has no image `{reference}`", hints=hints) from error
    return _image(reference, found)


def list_images(engine: Engine, *, label: str = STACK_LABEL) -> Sequence[Image]:
    """Images with `label` (by default: those that gpuimg built), newest first."""
    found = [engine.inspect_image(image_id) for image_id in engine.list_images(label)]
    return [_image((image.get("RepoTags") or [image["Id"]])[0], image) for image in found]


def tag_image(engine: Engine, image: Image, tags: Sequence[str]) -> Image:
    """Give `image` its tags; each moves away from what had it before."""
    with engine.translated():
        for tag in tags:
            repository, _, name = tag.rpartition(":")
            engine.api.tag(image.id, repository, name)
    return find_image(engine, tags[0]) if tags else image


def remove_image(engine: Engine, image_id: str) -> None:
    """Remove an image with all its tags; one that is gone or in use is left alone."""
    with contextlib.suppress(HostError), engine.translated():
        engine.api.remove_image(image_id, force=True, noprune=False)


def _image(reference: str, found: dict[str, Any]) -> Image:
    return Image(
        reference=reference,
        id=found["Id"],
        tags=tuple(sorted(found.get("RepoTags") or ())),
        size_bytes=found["Size"],
        platform="/".join(filter(None, (found["Os"], found["Architecture"], found.get("Variant")))),
        labels=found["Config"].get("Labels") or {},
    )


@contextlib.contextmanager
def discard_untagged(engine: Engine, image: Image) -> Iterator[None]:
    """Remove `image` at the end of the block if it has got no tag by then: nothing dangling stays behind."""
    try:
        yield
    finally:
        with contextlib.suppress(HostError):
            if not engine.inspect_image(image.id).get("RepoTags"):
                remove_image(engine, image.id)
