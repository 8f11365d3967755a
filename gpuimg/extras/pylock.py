"""Packages of a lock file (PEP 751) → the one file of each that the image gets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuimg.errors import UpstreamError
from gpuimg.facts import Wheel
from gpuimg.wheels import Target, best_wheel


def locked_file(package: Mapping[str, Any], target: Target, *, index: str) -> Wheel:
    """Give the wheel that fits `target` best, of equals the one with the highest build tag; or the sdist.

    Raises:
        UpstreamError: none fits, or the index gives no SHA-256 for it.
    """
    best = best_wheel(((_filename(entry), entry) for entry in package.get("wheels", ())), target)
    chosen = best[1] if best else package.get("sdist")
    subject = f"{package['name']} {package['version']}"
    if chosen is None:
        raise UpstreamError(index, subject, f"has no wheel for Python {target.python} on {target.platform}")
    sha256 = chosen.get("hashes", {}).get("sha256", "")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise UpstreamError(
            index,
            subject,
            "the index gives no SHA-256 for it, so no build can be held to it",
            hints=["--unlocked-extras leaves extras to the build"],
        )
    return Wheel(
        name=canonicalize_name(package["name"]),
        version=Version(package["version"]),
        sha256=sha256,
        size_bytes=chosen.get("size"),
        index="pypi",
    )


def _filename(entry: Mapping[str, Any]) -> str:
    name: str = entry.get("name") or unquote(urlsplit(entry.get("url") or entry.get("path", "")).path)
    return name.rpartition("/")[2]
