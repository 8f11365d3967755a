"""What people know of the official builds beside their wheels: ``matrices/builds.yaml``, read into rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpuimg.errors import MatrixError
from gpuimg.facts import Source, Unknown
from gpuimg.matrix.files import read_document
from gpuimg.matrix.rows import build_row
from gpuimg.versions import ComputeCapability, CudaVersion, Platform, PythonVersion

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexBuild:
    """Builds that only PyTorch's own index has, as other places tell of them."""

    torch: tuple[Version, ...]
    cuda: CudaVersion
    platforms: tuple[Platform, ...]
    cudnn: Version | Unknown
    nccl: Version | Unknown
    libraries: str
    requirements: tuple[str, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """How builds were compiled; the first row that fits a build counts."""

    torch: str
    cuda: CudaVersion | None
    cxx11_abi: bool
    glibc: Version
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The chips that builds have code for."""

    torch: tuple[Version, ...]
    cuda: CudaVersion
    platform: Platform
    compute_capabilities: tuple[ComputeCapability, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """A companion whose metadata doesn't name the torch it goes with; the first row that fits a build counts."""

    torch: str
    cuda: CudaVersion | None
    package: str
    version: Version | None
    reason: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonRule:
    """Pythons that gpuimg builds no image with: of all builds, or of some torch and CUDA."""

    torch: str | None
    cuda: CudaVersion | None
    python: str
    """A PEP 440 specifier, or one Python such as ``3.13t``."""
    reason: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """All of ``builds.yaml``."""

    oldest_torch: Version
    """Where the matrix begins."""
    index_builds: tuple[IndexBuild, ...]
    binaries: tuple[Binary, ...]
    compute_capabilities: tuple[Capabilities, ...]
    companions: tuple[Companion, ...]
    left_out: tuple[PythonRule, ...]

    def binary(self, torch: Version, cuda: CudaVersion) -> Binary | None:
        """The row on a build's ABI and glibc."""
        return next((row for row in self.binaries if fits(row.torch, torch) and row.cuda in {None, cuda}), None)

    def capabilities(self, torch: Version, cuda: CudaVersion, platform: Platform) -> Capabilities | None:
        """The row on the chips that a build has code for."""
        key = (cuda, platform)
        return next((r for r in self.compute_capabilities if torch in r.torch and (r.cuda, r.platform) == key), None)

    def companion(self, package: str, torch: Version, cuda: CudaVersion) -> Companion | None:
        """The row on a build's companion, where its own metadata doesn't say."""
        rows = (row for row in self.companions if row.package == package and row.cuda in {None, cuda})
        return next((row for row in rows if fits(row.torch, torch)), None)

    def why_left_out(self, python: PythonVersion, torch: Version, cuda: CudaVersion) -> str | None:
        """Why gpuimg builds no image with a Python; None where it does."""
        of_build = [
            rule
            for rule in self.left_out
            if (rule.torch is None or fits(rule.torch, torch)) and rule.cuda in {None, cuda}
        ]
        return next((rule.reason for rule in of_build if _is_meant(python, rule.python)), None)


def _is_meant(python: PythonVersion, wanted: str) -> bool:
    if wanted[0].isdigit():
        return python == PythonVersion.parse(wanted)
    return fits(wanted, Version(f"{python.major}.{python.minor}"))


def fits(specifier: str, version: Version) -> bool:
    """Whether a release is within a PEP 440 specifier."""
    return SpecifierSet(specifier).contains(version)


def load_typed(folder: Path) -> Typed:
    """Read ``builds.yaml`` of a matrix folder.

    Raises:
        MatrixError: it doesn't hold, or a row names a fact without a source.
    """
    document = read_document(folder / "builds.yaml", schema="builds")
    file = f"{folder.name}/builds.yaml"
    return Typed(
        oldest_torch=Version(document["oldest_torch"]),
        index_builds=_rows(IndexBuild, document["index_builds"], file=file, section="index_builds"),
        binaries=_rows(Binary, document["binaries"], file=file, section="binaries"),
        compute_capabilities=_rows(
            Capabilities, document["compute_capabilities"], file=file, section="compute_capabilities"
        ),
        companions=_rows(Companion, document["companions"], file=file, section="companions"),
        left_out=_rows(PythonRule, document["left_out"], file=file, section="left_out"),
    )


_SELECTS = {"torch", "cuda", "platform", "package", "reason", "sources"}
"""What a row is about, and why: no facts of their own, but for `IndexBuild`, where they say that a build exists."""


def _rows(row_type: type[Row], rows: list[dict[str, Any]], *, file: str, section: str) -> tuple[Row, ...]:
    found: list[Row] = []
    for n, mapping in enumerate(rows):
        row = build_row(row_type, mapping, file=file, where=f"{section}[{n}]")
        sourced = {field for source in cast("Any", row).sources for field in source.fields}
        facts = set(mapping) - ({"sources"} if row_type is IndexBuild else _SELECTS)
        for fact in sorted(facts - sourced):
            raise MatrixError(file, f"{section}[{n}].{fact}", "has no source; add its field to one in `sources`")
        found.append(row)
    return tuple(found)
