"""Versions as values that compare as versions; this is the only module that orders or parses them.

torch, cuDNN, NCCL and every wheel use `packaging.version.Version`. The types below are for what is not PEP 440: a CUDA
release that also has a wheel tag (``cu124``), a Python minor release, a driver, a compute capability and a platform.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass


def _parse(pattern: str, text: str, what: str) -> re.Match[str]:
    match = re.fullmatch(pattern, text, re.ASCII)
    if match is None:
        raise ValueError(f"`{text}` is not {what}")
    return match


@dataclass(frozen=True, slots=True, order=True)
class CudaVersion:
    """A CUDA release by major and minor: what ``torch.version.cuda`` prints and what a wheel tag names.

    >>> CudaVersion.parse("cu124") == CudaVersion.parse("12.4") == CudaVersion.parse("cuda12.4")
    True
    >>> CudaVersion.parse("12.10") > CudaVersion.parse("12.4")
    True
    """

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> CudaVersion:
        """Read ``cu124``, ``12.4``, ``cuda12.4`` or ``12.4.1`` (the patch is dropped). Raises ValueError."""
        tag = re.fullmatch(r"cu(\d\d)(\d+)", text, re.ASCII)
        if tag:
            return cls(int(tag[1]), int(tag[2]))
        match = _parse(r"(?:cuda)?(\d{1,2})\.(\d{1,2})(?:\.\d+)?", text, "a CUDA version such as cu124 or 12.4")
        return cls(int(match[1]), int(match[2]))

    @property
    def variant(self) -> str:
        """The wheel tag: ``cu124``."""
        return f"cu{self.major}{self.minor}"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True, order=True)
class PythonVersion:
    """A CPython minor release; ``3.13t`` is its build without the global interpreter lock.

    >>> PythonVersion.parse("3.9") < PythonVersion.parse("py311") < PythonVersion.parse("3.13t")
    True
    """

    major: int
    minor: int
    free_threaded: bool = False

    @classmethod
    def parse(cls, text: str) -> PythonVersion:
        """Read ``3.11``, ``3.11.2`` (the patch is dropped), ``py311``, ``cp311`` or ``3.13t``. Raises ValueError."""
        match = _parse(r"(?:py|cp)?(3)\.?(\d{1,2})(?:\.\d+)?(t?)", text, "a Python version such as 3.11 or 3.13t")
        return cls(int(match[1]), int(match[2]), bool(match[3]))

    @property
    def tag(self) -> str:
        """As in an image tag: ``py311``, ``py313t``."""
        return f"py{self.major}{self.minor}{'t' if self.free_threaded else ''}"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}{'t' if self.free_threaded else ''}"


@dataclass(frozen=True, slots=True, order=True)
class DriverVersion:
    """An NVIDIA driver release; a bare branch such as ``580`` is its first release.

    >>> DriverVersion.parse("525.60.13") < DriverVersion.parse("525.105.17") < DriverVersion.parse("580")
    True
    """

    parts: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> DriverVersion:
        """Read ``525.60.13`` or ``580``. Raises ValueError."""
        match = _parse(r"[1-9]\d{2}(?:\.\d+){0,2}", text, "a driver version such as 525.60.13")
        return cls(tuple(int(part) for part in match[0].split(".")))

    def __str__(self) -> str:
        return ".".join(f"{part:02d}" for part in self.parts)


@dataclass(frozen=True, slots=True, order=True)
class ComputeCapability:
    """A compute capability a build was compiled for; ``ptx`` says that PTX for later chips is included.

    >>> str(ComputeCapability.parse("12.0+PTX"))
    '12.0+PTX'
    """

    major: int
    minor: int
    ptx: bool = False

    @classmethod
    def parse(cls, text: str) -> ComputeCapability:
        """Read ``9.0`` or ``12.0+PTX``. Raises ValueError."""
        match = _parse(r"(\d{1,2})\.(\d)(\+PTX)?", text, "a compute capability such as 9.0 or 12.0+PTX")
        return cls(int(match[1]), int(match[2]), match[3] is not None)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}{'+PTX' if self.ptx else ''}"


class Platform(enum.Enum):
    """A platform in the engine's words."""

    AMD64 = "linux/amd64"
    ARM64 = "linux/arm64"

    @property
    def machine(self) -> str:
        """As in a wheel's file name and in ``uname -m``."""
        return {Platform.AMD64: "x86_64", Platform.ARM64: "aarch64"}[self]

    @property
    def arch(self) -> str:
        """As Debian and the OCI say it: ``amd64``, ``arm64``."""
        return self.value.removeprefix("linux/")

    def __str__(self) -> str:
        return self.value
