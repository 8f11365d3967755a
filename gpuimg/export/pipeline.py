"""What a pipeline of a CI does with some images: build and check each, push it, check it again on GPUs. Pure.

How a CI says that is a template of its own; what users say for it is checked here.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import gpuimg
from gpuimg import settings
from gpuimg.errors import RequestError
from gpuimg.templating import render_template, template_environment
from gpuimg.text import shown
from gpuimg.versions import Platform

INSTALL: Final = f"vendor/gpuimg-{gpuimg.__version__}-py3-none-any.whl"
"""The wheel in the user's repository that pipelines install: of no index, where the name may be another's."""
DOCKER_HUB: Final = "docker.io"
_LONGEST_HOSTED: Final = 360
"""Minutes that GitHub gives a job on a runner of its own: https://docs.github.com/en/actions/reference/limits"""
_CACHED_NETWORKS: Final = {None, "default", "host", "none"}
"""Those that BuildKit's steps may have: https://docs.docker.com/build/bake/reference/#targetnetwork"""
_MOST: Final = {"github": 256, "gitlab": 200}
"""Jobs of one matrix: https://docs.github.com/actions/how-tos/write-workflows/choose-what-workflows-do/run-job-variations
and https://docs.gitlab.com/ci/yaml/#parallelmatrix"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineImage:
    """One image, which a job builds."""

    name: str
    """What its job is called."""
    request: str
    """What `gpuimg build` is told: a spec, or an image of the project."""
    reference: str
    platform: Platform
    network: str | None = None
    """Of the build steps; None: the builder's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What is built, and how. Values are those that the functions below let through."""

    images: tuple[PipelineImage, ...]
    branch: str
    """Where images are pushed from."""
    timeout_minutes: int
    repository: str | None = None
    """What the names of specs' images begin with; None: the project file names its images."""
    file: str | None = None
    """The project file, from the top of the repository."""
    install: str = INSTALL
    """What pip installs to have gpuimg."""
    cache: bool = False
    """Whether builds keep a cache in the registry, which takes buildx."""
    gpu_runner: tuple[str, ...] = ()
    """Labels of runners with GPUs, on which each image is checked again; empty: it isn't."""

    @property
    def hosted_minutes(self) -> int:
        """When a job on one of GitHub's own runners is ended."""
        return min(self.timeout_minutes, _LONGEST_HOSTED)

    @property
    def on_host_network(self) -> bool:
        """Whether steps of a build use the host's network, which BuildKit has to be allowed."""
        return any(image.network == "host" for image in self.images)

    @property
    def registry(self) -> str | None:
        """The registry that images are pushed to; None: theirs are names that no registry has."""
        return registry(self.images[0].reference)


def render_pipeline(pipeline: Pipeline, form: str, *, template_dirs: Sequence[Path] = ()) -> str:
    """Give the file of `form`, ``github`` or ``gitlab``. Raises RequestError where it could not run."""
    _refuse_many(pipeline, form)
    _refuse_platforms(pipeline, form)
    _refuse_long(pipeline, form)
    _refuse_networks(pipeline)
    registries = {str(registry(image.reference)) for image in pipeline.images}
    if len(registries) > 1:
        raise RequestError(
            f"the images are for several registries: {', '.join(sorted(registries))}",
            hints=["export those of each on their own"],
        )
    if pipeline.registry is None and (pipeline.cache or pipeline.gpu_runner):
        what = "a cache" if pipeline.cache else "a runner with GPUs"
        raise RequestError(
            f"{what} needs a registry, and `{pipeline.images[0].reference}` names none",
            hints=["name one that you may push to: --repository registry.example.com/team/gpuimg"],
        )
    values = {"version": gpuimg.__version__, "pipeline": pipeline, "arm64": Platform.ARM64}
    return render_template(template_environment(template_dirs), f"ci/{form}.yml.j2", values).lstrip("\n")


def registry(reference: str) -> str | None:
    """The host of the registry that an image's name says; None: it is the engine's own.

    >>> registry("ghcr.io/team/gpuimg:1"), registry("team/gpuimg:1"), registry("gpuimg:1")
    ('ghcr.io', 'docker.io', None)
    """
    host, slash, _ = reference.partition("/")
    if not slash:
        return None
    return host if settings.names_registry(reference) else DOCKER_HUB


def install(text: str) -> str:
    """`text` if pip can install it: a file, a URL or a requirement, without credentials. Raises RequestError."""
    if not re.fullmatch(r"[A-Za-z0-9./][A-Za-z0-9._/+:@=#~&%,\[\]-]{0,300}", text):
        raise RequestError(
            f"`{shown(text)}` is nothing that pip installs",
            hints=[f"write it as --install {INSTALL} or --install git+https://git.example.com/tools/gpuimg@COMMIT"],
        )
    if "://" in text and "@" in urllib.parse.urlsplit(text.partition("+")[2] or text).netloc:
        raise RequestError(
            "the URL of --install holds a user name or password, and whoever has the file could read it",
            hints=["name one that can be read without, or a wheel in the repository"],
        )
    return text


def runner(text: str) -> tuple[str, ...]:
    """The labels in `text`, with commas between them. Raises RequestError."""
    labels = tuple(text.split(","))
    for label in labels:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,100}", label):
            raise RequestError(
                f"`{shown(label)}` is no label of a runner", hints=["write them as --gpu-runner self-hosted,gpu"]
            )
    return labels


def branch(text: str) -> str:
    """`text` if it can name a branch, and is no pattern. Raises RequestError."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,100}", text) or ".." in text:
        raise RequestError(f"`{shown(text)}` can't name a branch", hints=["write it as --branch main"])
    return text


def project_file(path: Path) -> str:
    """`path` as it is from the top of its repository, where jobs start. Raises RequestError."""
    top = next((folder for folder in path.parents if (folder / ".git").exists()), path.parent)
    text = path.relative_to(top).as_posix()
    if not re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_./+@-]*", text):
        raise RequestError(
            f"`{shown(text)}` can't stand in a pipeline", hints=["rename its folders to letters, digits, _, - and dots"]
        )
    return text


def _refuse_many(pipeline: Pipeline, form: str) -> None:
    """Raise RequestError for more images than jobs may be, or two of one name."""
    names = [image.name for image in pipeline.images]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RequestError(f"two requests come to the same image, {twice}", hints=["name each image once"])
    if len(names) > _MOST[form]:
        raise RequestError(
            f"{len(names)} images are more jobs than one matrix may have: {_MOST[form]}",
            hints=["choose some: --all --torch '>=2.9'"],
        )


def _refuse_platforms(pipeline: Pipeline, form: str) -> None:
    """Raise RequestError for images that the runners of a job could not build or run."""
    platforms = {image.platform for image in pipeline.images}
    if form == "gitlab" and Platform.ARM64 in platforms:
        raise RequestError(
            f"no tag names the runners for {Platform.ARM64} on every GitLab",
            hints=["--format github has such runners", "or export the images for linux/amd64 on their own"],
        )
    if pipeline.gpu_runner and len(platforms) > 1:
        raise RequestError(
            "the images are for two platforms, and a runner of --gpu-runner has one",
            hints=["export those of each platform on their own"],
        )


def _refuse_long(pipeline: Pipeline, form: str) -> None:
    """Raise RequestError for a time that no job of the pipeline could have."""
    if form == "github" and not pipeline.gpu_runner and pipeline.timeout_minutes > _LONGEST_HOSTED:
        raise RequestError(
            f"GitHub ends a job on its own runners after {_LONGEST_HOSTED} minutes",
            hints=[f"say --timeout {_LONGEST_HOSTED}, or less"],
        )


def _refuse_networks(pipeline: Pipeline) -> None:
    """Raise RequestError for a network that the builder which writes a cache can't give to its steps."""
    for image in pipeline.images:
        if pipeline.cache and image.network not in _CACHED_NETWORKS:
            raise RequestError(
                f"{image.name} is built on the network `{image.network}`, which a build with a cache can't have",
                hints=["leave --cache-to out", "or set `build-network: host` in the project file"],
            )
