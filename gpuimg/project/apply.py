"""An image of a project → what plans it and what checks it. Options take the place of what the file says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from gpuimg import settings
from gpuimg.code import collect_code
from gpuimg.pipeline.plan import Settings
from gpuimg.project.model import ProjectImage
from gpuimg.smoke.host import SmokeOptions
from gpuimg.versions import Platform


def with_options(image: ProjectImage, given: Mapping[str, Any], *, label: str) -> tuple[ProjectImage, tuple[str, ...]]:
    """Give `image` with the options that are given, by the names of its fields, and what to say where both speak."""
    wanted = {name: value for name, value in given.items() if value is not None}
    said = []
    for name, value in wanted.items():
        own = getattr(image, name)
        if own not in {None, value}:
            said.append(f"--{name.replace('_', '-')} {value} takes the place of {own} in {label}")
    return dataclasses.replace(image, **wanted), tuple(said)


def image_settings(image: ProjectImage, wanted: Settings) -> Settings:
    """Give what plans `image`, but for its packages; `wanted` are the options that no project file has.

    Raises:
        RequestError: a file that it names can't be read, or there is nothing to copy.
    """
    return Settings(
        flavor=image.flavor,
        python=image.python,
        platform=image.platform or Platform.AMD64,
        base=image.base,
        index_url=image.index_url,
        torch_index_url=image.torch_index_url,
        ca_bundle=settings.ca_bundle(image.ca_bundle) if image.ca_bundle is not None else wanted.ca_bundle,
        source_url=wanted.source_url,
        torch_wheel=wanted.torch_wheel,
        packages=image.packages,
        environment=image.environment,
        workdir=image.workdir,
        command=image.command,
        code=tuple(collect_code(code.source, target=code.target) for code in image.code),
    )


def build_smoke(image: ProjectImage, *, gpus: str | None, verify: bool | None) -> SmokeOptions | None:
    """How `gpuimg build` checks `image`; None: not at all. What tags and labels rest on is always looked at."""
    if not (image.smoke.enabled if verify is None else verify):
        return None
    wishes = image.smoke
    return SmokeOptions(
        only=(*wishes.only, "stack") if wishes.only else (),
        skip=wishes.skip,
        gpus=gpus or wishes.gpus or "auto",
        mode=wishes.mode or "quick",
    )


def verify_smoke(image: ProjectImage, wanted: SmokeOptions, *, gpus_given: bool, mode_given: bool) -> SmokeOptions:
    """How `gpuimg verify` checks `image`: by `wanted` where options say something, else as the file says."""
    wishes = image.smoke
    checks_given = bool(wanted.only or wanted.skip)
    return dataclasses.replace(
        wanted,
        only=wanted.only if checks_given else wishes.only,
        skip=wanted.skip if checks_given else wishes.skip,
        gpus=wanted.gpus if gpus_given else wishes.gpus or wanted.gpus,
        mode=wanted.mode if mode_given else wishes.mode or wanted.mode,
    )
