"""The image that is exported: what is known of it without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gpuimg.model import WORKSPACE
from gpuimg.smoke.expect import expectation
from gpuimg.versions import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedImage:
    """A reference and, of what gpuimg builds, all that its labels promise."""

    reference: str
    python: str = "python3"
    """The program that starts Python in it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    """None: not known, or any."""
    command: tuple[str, ...] = ()
    """What it runs by itself; empty: the flavor's own command, or not known."""

    @property
    def is_ours(self) -> bool:
        """Whether gpuimg builds it: user, paths and what is inside are known."""
        return bool(self.label("stack"))

    @property
    def is_local(self) -> bool:
        """Whether it is called what gpuimg calls images by itself, which no registry has."""
        return self.is_ours and "/" not in self.reference

    @property
    def expect(self) -> Mapping[str, Any] | None:
        """What the smoke step holds it against; None: it promises nothing."""
        return expectation(self.labels)

    @property
    def arch(self) -> str | None:
        """The only architecture that it is for, such as ``amd64``."""
        return self.platform.arch if self.platform is not None else None

    @property
    def workdir(self) -> str:
        """The folder in which its command starts."""
        return self.label("workdir") or WORKSPACE

    def label(self, name: str) -> str:
        """What the label ``io.gpuimg.NAME`` says; empty where there is none."""
        return self.labels.get(f"io.gpuimg.{name}", "")
