"""An image as Apptainer's definition file, of which it builds a .sif. Pure: asks neither it nor an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gpuimg
from gpuimg import settings
from gpuimg.export.image import ExportedImage
from gpuimg.model import WORKSPACE
from gpuimg.templating import render_template, template_environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What the .sif is made of, and what it runs."""

    image: ExportedImage
    from_engine: bool = False
    """Whether docker's own engine has the image, and not a registry."""
    command: tuple[str, ...] = ()
    """Empty: the image's own."""
    environment: tuple[tuple[str, str], ...] = ()


def render_definition(definition: Definition, *, template_dirs: Sequence[Path] = ()) -> str:
    """Give the definition file, with the commands that build and run it in its head."""
    image = definition.image
    values = {
        "version": gpuimg.__version__,
        "image": image,
        "bootstrap": "docker-daemon" if definition.from_engine else "docker",
        "source": pullable(image.reference),
        "sif": sif_name(image.reference),
        "archive": sif_name(image.reference).removesuffix(".sif") + ".tar",
        "torch": image.label("torch"),
        "workdir": image.workdir,
        "workspace": WORKSPACE,
        "command": definition.command,
        "environment": definition.environment,
    }
    return render_template(template_environment(template_dirs), "apptainer/image.def.j2", values)


def sif_name(reference: str) -> str:
    """The file that `apptainer pull` would write for an image.

    >>> sif_name("registry.example.com:5000/team/gpuimg:2.6.0-cu124"), sif_name("debian")
    ('gpuimg_2.6.0-cu124.sif', 'debian_latest.sif')
    """
    name, _, digest = reference.rpartition("/")[2].partition("@")
    repository, _, tag = name.partition(":")
    return f"{repository}_{tag or digest.removeprefix('sha256:')[:12] or 'latest'}.sif"


def pullable(reference: str) -> str:
    """`reference` with a tag or a digest: Apptainer takes no image that has both, of which the digest says more.

    >>> pullable("debian"), pullable("a.example/b:1@sha256:00")
    ('debian:latest', 'a.example/b@sha256:00')
    """
    tagged, at, digest = reference.partition("@")
    if not at:
        return settings.image_tag(tagged)
    folder, slash, name = tagged.rpartition("/")
    return f"{folder}{slash}{name.partition(':')[0]}@{digest}"
