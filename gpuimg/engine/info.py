"""What an engine says of itself, as far as anybody asks for it. Answers of other engines and releases lack fields."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from packaging.version import InvalidVersion, Version

from gpuimg.text import printable, shorten


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """The answers to ``/info`` and ``/version``."""

    raw: Mapping[str, Any]
    """``/info`` as it came."""
    release: str
    """Such as ``20.10.24+dfsg1``."""
    api: str
    parts: tuple[str, ...] = ()
    """Names of its components: ``Engine`` for Docker's, ``Podman Engine`` for Podman's."""

    @property
    def version(self) -> Version | None:
        """The release as one that compares; None: it doesn't."""
        found = re.match(r"\d+(\.\d+)*", self.release)
        with contextlib.suppress(InvalidVersion):
            return Version(found[0]) if found else None
        return None

    @property
    def is_podman(self) -> bool:
        """Whether Podman answers in Docker's place."""
        return any("podman" in part.lower() for part in self.parts)

    @property
    def is_desktop(self) -> bool:
        """Whether it runs in Docker Desktop's own machine."""
        return self.text("OperatingSystem") == "Docker Desktop"

    @property
    def is_snap(self) -> bool:
        """Whether it comes from the snap store, and sees that package's files only."""
        return self.text("DockerRootDir").startswith("/var/snap/")

    @property
    def is_rootless(self) -> bool:
        """Whether an ordinary user runs it."""
        return "rootless" in self.security

    @property
    def security(self) -> frozenset[str]:
        """Names of its security options, such as ``rootless``, ``userns`` and ``seccomp``."""
        options = self.raw.get("SecurityOptions")
        texts = [str(option) for option in options] if isinstance(options, list) else []
        return frozenset(part.removeprefix("name=") for text in texts for part in text.split(",") if "name=" in part)

    @property
    def kernel(self) -> str:
        """Its machine's kernel."""
        return self.text("KernelVersion")

    @property
    def memory_bytes(self) -> int:
        """Its machine's memory."""
        return int(self.raw.get("MemTotal") or 0)

    @property
    def root_dir(self) -> str:
        """Where its images lie."""
        by_containerd = "io.containerd.snapshotter" in str(self.raw.get("DriverStatus"))
        containerd = self.raw.get("Containerd")
        address = str(containerd.get("Address")) if isinstance(containerd, dict) else ""
        # an engine that starts a containerd of its own has its files below its own folder
        machines = by_containerd and address.startswith("/run/containerd/")
        return "/var/lib/containerd" if machines else self.text("DockerRootDir")

    @property
    def cdi_folders(self) -> tuple[str, ...]:
        """Where it looks for CDI specifications; none: it doesn't know CDI, or must not use it."""
        folders = self.raw.get("CDISpecDirs")
        return tuple(map(str, folders)) if isinstance(folders, list) else ()

    @property
    def nvidia_runtime(self) -> str | None:
        """The program of the runtime called ``nvidia``; None: it has no such runtime."""
        runtimes = self.raw.get("Runtimes")
        found = runtimes.get("nvidia") if isinstance(runtimes, dict) else None
        return str(found.get("path") or "") if isinstance(found, dict) else None

    @property
    def time(self) -> dt.datetime | None:
        """Its clock when it answered."""
        text = re.sub(r"\.\d+", "", self.text("SystemTime")).replace("Z", "+00:00")
        with contextlib.suppress(ValueError):
            return dt.datetime.fromisoformat(text).astimezone(dt.timezone.utc) if text else None
        return None

    def text(self, key: str) -> str:
        """A field that is text, safe to show; empty where it isn't there."""
        return shorten(printable(str(self.raw.get(key) or "")), 200)


def read_info(info: Mapping[str, Any], version: Mapping[str, Any]) -> EngineInfo:
    """Give what the answers to ``/info`` and ``/version`` say."""
    return EngineInfo(
        raw=info,
        release=shorten(printable(str(version.get("Version") or "of unknown release")), 40),
        api=shorten(printable(str(version.get("ApiVersion") or "unknown")), 20),
        parts=_parts(version.get("Components")),
    )


def _parts(components: object) -> tuple[str, ...]:
    rows = components if isinstance(components, list) else []
    return tuple(str(row.get("Name")) for row in rows if isinstance(row, dict))
