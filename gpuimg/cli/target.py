"""Which image `gpuimg run` starts: one that a spec selects, one that the engine has, or one that has to be pulled."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gpuimg.cli import planning
from gpuimg.errors import ImageNotFoundError, RequestError, SpecError
from gpuimg.launch.launch import Target
from gpuimg.naming import REPOSITORY
from gpuimg.versions import Platform

if TYPE_CHECKING:
    from gpuimg.cli.console import Console
    from gpuimg.engine.client import Engine
    from gpuimg.model import Image, Plan, Spec

_OWN_TAG: Final = re.compile(
    r"(?P<head>[\d.]+-cu\d+)(?P<compatible>-compat)?(?P<rest>(?:-(?!arm64|extras)\w+)*)(?P<arch>-arm64)?"
    r"(?:-extras-[0-9a-f]{8})?"
)
"""A tag of ours: a spec, and what `gpuimg.naming` adds to it."""
_PLATFORM: Final = "io.gpuimg.platform"
"""What a tag without one doesn't tell: it can name an image for several."""


def find_target(engine: Engine, text: str, console: Console, *, matrix_dir: Sequence[Path]) -> Target:
    """The image of that name, the newest that was built here and fits the spec, or one that has to be pulled.

    Raises:
        SpecError: it is neither.
        ImageNotFoundError: nothing was built that fits the spec, or has that name of ours.
    """
    from gpuimg import settings
    from gpuimg.cli.found import spec_images
    from gpuimg.engine.images import find_image

    names_image = is_image(text)
    try:
        return _target(find_image(engine, settings.image_reference(text)))
    except ImageNotFoundError as error:
        if names_image and text.startswith(f"{REPOSITORY}:"):  # what gpuimg itself calls images; no registry has them
            raise ImageNotFoundError(
                error.message, hints=[*error.hints[:-1], "`gpuimg build SPEC` makes one"]
            ) from error
    except RequestError:
        if names_image:
            raise
    if names_image:
        return name_target(text, matrix_dir=matrix_dir)
    spec = _spec(text)
    image, *others = spec_images(engine, spec, matrix_dir=matrix_dir)
    if others:
        console.notice(
            f"{text} fits {len(others) + 1} images here; this is the newest, {image.reference}"
            f"\nThe others: {', '.join(other.reference for other in others)}"
        )
    cuda = image.labels.get("io.gpuimg.cuda")
    if spec.cuda is not None and cuda != str(spec.cuda):
        console.notice(f"{text} was never published; {image.reference} with CUDA {cuda} serves in its place")
    return _target(image)


def name_target(text: str, *, matrix_dir: Sequence[Path]) -> Target:
    """An image that the engine hasn't, or that no engine could be asked for: what its name lets one expect.

    A tag that reads as a spec with CUDA names a stack. Raises RequestError for what is no image's name.
    """
    from gpuimg import settings
    from gpuimg.matrix import load_matrix
    from gpuimg.naming import labels as all_labels
    from gpuimg.pipeline.resolve import resolve
    from gpuimg.pipeline.spec import parse_spec

    reference = settings.image_reference(text)
    plan = named_plan(reference, matrix_dir=matrix_dir)
    if plan is not None:
        labels = {name: value for name, value in all_labels(plan, digest="").items() if name != _PLATFORM}
        return Target(reference=reference, labels=labels, here=False)
    labels = {}
    try:
        spec = parse_spec(_tag(reference))
        if spec.cuda is not None:
            labels["io.gpuimg.flavor"] = spec.flavor or ""
            stack_alone = dataclasses.replace(spec, flavor=None, python=None)
            labels["io.gpuimg.stack"] = resolve(stack_alone, load_matrix(tuple(matrix_dir))).stack.name
    except RequestError:
        pass  # it is called something else
    return Target(reference=reference, labels=labels, here=False)


def named_plan(reference: str, *, matrix_dir: Sequence[Path]) -> Plan | None:
    """The plan of an image that is certainly gpuimg's by its name, but for its extras; None: it may be anybody's.

    That is what `gpuimg.naming` calls images: a tag in full, or any with a CUDA of a repository ``gpuimg``.
    """
    from gpuimg.matrix import load_matrix
    from gpuimg.pipeline.plan import Settings, make_plan
    from gpuimg.pipeline.resolve import resolve
    from gpuimg.pipeline.spec import parse_spec

    match = _OWN_TAG.fullmatch(_tag(reference))
    if match is None:
        return None
    text, compatible, rest, arch = match.group("head", "compatible", "rest", "arch")
    try:
        spec = parse_spec(text + rest)
        is_full = len(spec.torch.release) == 3 and spec.python is not None and spec.flavor is not None
        in_ours = reference.partition("@")[0].rpartition("/")[2].partition(":")[0] == REPOSITORY
        if spec.cuda is None or not (is_full or in_ours):
            return None
        matrix = load_matrix(tuple(matrix_dir))
        resolution = resolve(spec, matrix)
        if (resolution.substitution is not None) != bool(compatible):
            return None  # torch was compiled for the CUDA that it names
        return make_plan(resolution, matrix, Settings(platform=Platform.ARM64 if arch else Platform.AMD64))
    except RequestError:
        return None


def planned_target(text: str, console: Console, *, matrix_dir: Sequence[Path]) -> Target:
    """What `gpuimg build` would call the image of a spec, or the image of that name; no engine is asked.

    Raises SpecError for what is neither.
    """
    from gpuimg.naming import labels

    if is_image(text):
        return name_target(text, matrix_dir=matrix_dir)
    reference, plan = plan_spec(text, console, matrix_dir=matrix_dir)
    return Target(reference=reference, labels=labels(plan, digest=""), platform=str(plan.platform), here=False)


def plan_spec(
    text: str,
    console: Console,
    *,
    matrix_dir: Sequence[Path],
    repository: str = REPOSITORY,
    platform: Platform = Platform.AMD64,
) -> tuple[str, Plan]:
    """What `gpuimg build` would call the image of a spec, and its plan. Raises SpecError for what is none."""
    from gpuimg.matrix import load_matrix
    from gpuimg.naming import image_tags
    from gpuimg.pipeline.plan import Settings

    _spec(text)
    matrix = load_matrix(tuple(matrix_dir))
    (plan,) = planning.make_plans([text], matrix, Settings(platform=platform), console)
    reference, *_ = image_tags(plan, matrix, repository=repository)
    return reference, plan


def _tag(reference: str) -> str:
    return reference.partition("@")[0].rpartition("/")[2].partition(":")[2]


def is_image(text: str) -> bool:
    """Whether it has what only an image's name has: a tag, a digest or a registry."""
    return bool(set(text) & set("/:@"))


def _spec(text: str) -> Spec:
    from gpuimg.pipeline.spec import parse_spec

    try:
        return parse_spec(text)
    except SpecError as error:
        hints = [*error.hints, "an image is written with its tag: debian:12"]
        raise SpecError(error.message, hints=hints) from error


def _target(image: Image) -> Target:
    return Target(reference=image.reference, labels=image.labels, platform=image.platform)
