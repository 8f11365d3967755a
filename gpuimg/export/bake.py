"""Images as one `docker buildx bake` file and the contexts it builds. Pure: asks neither buildx nor an engine.

https://docs.docker.com/build/bake/reference/ has the fields.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gpuimg.errors import RequestError
from gpuimg.model import Context
from gpuimg.text import shown
from gpuimg.versions import Platform

FILE: Final = "docker-bake.json"
"""One of the names that `docker buildx bake` looks for by itself."""
CONTEXTS: Final = "contexts"
_LONGEST_TAG: Final = 128
"""https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeImage:
    """One image: `name` is that of its context's folder."""

    name: str
    context: Context
    platform: Platform
    network: str | None = None
    """Of the build steps; None: the builder's own."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Beside those that the Dockerfile has."""


def bake_context(images: Sequence[BakeImage], *, registry_cache: bool = False) -> Context:
    """Give all contexts and the bake file as the files of one folder.

    Args:
        registry_cache: whether builds read and write a cache beside the image, in its own repository.

    Raises:
        RequestError: two images would be one target or one context, or no registry has one that a cache is for.
    """
    _refuse_same(images)
    if registry_cache:
        _refuse_local(images)
    files: dict[str, bytes] = {
        FILE: (json.dumps(_document(images, registry_cache=registry_cache), indent=2) + "\n").encode()
    }
    large: dict[str, Path] = {}
    code: dict[str, Path] = {}
    for image in images:
        place = f"{CONTEXTS}/{image.name}"
        files |= {f"{place}/{name}": content for name, content in image.context.files.items()}
        large |= {f"{place}/{name}": path for name, path in image.context.large.items()}
        code |= {f"{place}/{name}": path for name, path in image.context.code.items()}
    digests = "\n".join(image.context.plan_digest for image in images)
    return Context(
        files=files,
        tags=tuple(tag for image in images for tag in image.context.tags),
        plan_digest=f"sha256:{hashlib.sha256(digests.encode()).hexdigest()}",
        large=large,
        code=code,
    )


def read_cache(text: str | None) -> bool:
    """Whether builds keep a cache, as ``--cache-to`` says it. Raises RequestError for a place where none can be."""
    if text not in {None, "registry"}:
        raise RequestError(
            f"`{shown(str(text))}` keeps no cache",
            hints=["--cache-to registry keeps one beside each image, in its repository"],
        )
    return text is not None


def target_name(name: str) -> str:
    """What bake calls a target, which may have no dots.

    >>> target_name("2.6.0-cu124-py311-runtime")
    '2_6_0-cu124-py311-runtime'
    """
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def cache_reference(reference: str) -> str:
    """Where the cache of the image that is called `reference` lies: a tag beside its own.

    >>> cache_reference("registry.example.com:5000/team/gpuimg:2.6.0-cu124")
    'registry.example.com:5000/team/gpuimg:cache-2.6.0-cu124'
    """
    repository, _, tag = reference.rpartition(":")
    return f"{repository}:{f'cache-{tag}'[:_LONGEST_TAG]}"


def _document(images: Sequence[BakeImage], *, registry_cache: bool) -> Mapping[str, Any]:
    return {
        "group": {"default": {"targets": [target_name(image.name) for image in images]}},
        "target": {target_name(image.name): _target(image, registry_cache=registry_cache) for image in images},
    }


def _target(image: BakeImage, *, registry_cache: bool) -> Mapping[str, Any]:
    cache = f"type=registry,ref={cache_reference(image.context.tags[0])}"
    fields = {
        "context": f"{CONTEXTS}/{image.name}",
        "dockerfile": "Dockerfile",
        "tags": list(image.context.tags),
        "platforms": [str(image.platform)],
        "labels": {name: _literal(value) for name, value in sorted(image.labels.items())},
        "network": image.network,
        "cache-from": [cache] if registry_cache else [],
        "cache-to": [f"{cache},mode=max"] if registry_cache else [],
    }
    return {name: value for name, value in fields.items() if value}


def _literal(value: str) -> str:
    """`value` as it is: bake reads ``${NAME}`` and ``%{if}`` in strings, and a doubled sign as the sign itself.

    https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md#template-expressions
    """
    return value.replace("${", "$${").replace("%{", "%%{")


def _refuse_same(images: Sequence[BakeImage]) -> None:
    seen: dict[str, str] = {}
    for image in images:
        reference = image.context.tags[0]
        other = seen.setdefault(target_name(image.name), reference)
        if other is not reference:
            raise RequestError(
                f"two images would both be the target `{target_name(image.name)}`: {other} and {reference}",
                hints=["name each image once; two specs may come to the same image"],
            )


def _refuse_local(images: Sequence[BakeImage]) -> None:
    for reference in (image.context.tags[0] for image in images):
        if "/" not in reference:
            raise RequestError(
                f"no registry has `{reference}`, nor a cache beside it",
                hints=["name one that you may push to: --repository registry.example.com/team/gpuimg"],
            )
