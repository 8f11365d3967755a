"""Records and typed rows → builds: what is known of each torch × CUDA × platform that was ever published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from packaging.requirements import Requirement
from packaging.version import Version

from gpuimg.errors import UpstreamError
from gpuimg.facts import UNKNOWN, LeftOut, Source, Unknown
from gpuimg.update.fitting import Companion, Needs, companion, divide, newest_triton, pythons_of
from gpuimg.update.pins import exact, is_library, wanted
from gpuimg.update.record import Project, Record, RecordedWheel, Release
from gpuimg.update.typed import IndexBuild, Typed
from gpuimg.versions import CudaVersion, Platform, PythonVersion

COMPANIONS: Final = ("torchvision", "torchaudio")
PYPI: Final = "pypi"
PYTORCH: Final = "pytorch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One torch × CUDA × platform, with the Pythons that all of it has wheels for."""

    torch: Version
    cuda: CudaVersion
    platform: Platform
    index: str
    pythons: tuple[PythonVersion, ...]
    left_out: tuple[LeftOut, ...]
    cudnn: Version | Unknown
    nccl: Version | Unknown
    triton: Version | None
    companions: Mapping[str, Companion]
    libraries: str
    requirements: tuple[str, ...]
    """The library wheels that it asks for, where PyPI's wheel of the same release doesn't say."""
    manylinux: Version | None
    """The glibc that its platform tag names; None where the tag is nominal."""
    sources: tuple[Source, ...]


def collect_builds(records: Mapping[str, Record], typed: Typed) -> tuple[Build, ...]:
    """Give every build, by torch, CUDA and platform.

    PyPI's word comes first, then that of PyTorch's own index where it was read, then what people know of it.

    Raises:
        UpstreamError: a record contradicts itself: a wheel asks for something that no index has.
    """
    pypi = records[PYPI]
    found: dict[tuple[Version, CudaVersion, Platform], Build] = {}
    for build in _recorded(pypi, PYPI, pypi=pypi, typed=typed):
        found[build.torch, build.cuda, build.platform] = build
    read: set[CudaVersion] = set()
    if PYTORCH in records:
        for build in _recorded(records[PYTORCH], PYTORCH, pypi=pypi, typed=typed):
            read.add(build.cuda)
            found.setdefault((build.torch, build.cuda, build.platform), build)
    for row in typed.index_builds:
        for torch in row.torch if row.cuda not in read else ():
            for platform in row.platforms:
                if (torch, row.cuda, platform) not in found:
                    found[torch, row.cuda, platform] = _told(row, torch, platform, pypi=pypi, typed=typed)
    return tuple(found[key] for key in sorted(found, key=lambda key: (key[0], key[1], key[2].value)))


def _recorded(record: Record, index: str, *, pypi: Record, typed: Typed) -> Iterable[Build]:
    """The CUDA builds that an index has."""
    for project in record.projects:
        if project.project != "torch":
            continue
        for release in project.releases:
            torch = Version(release.version.public)
            files = [wheel for wheel in release.files if wheel.yanked is None]
            for platform in Platform:
                wheels = [wheel for wheel in files if wheel.machine == platform.machine]
                cuda = _cuda(project, release, platform)
                if torch >= typed.oldest_torch and wheels and cuda is not None:
                    yield _build(torch, cuda, platform, release, wheels, index=index, pypi=pypi, typed=typed)


def _cuda(project: Project, release: Release, platform: Platform) -> CudaVersion | None:
    """The CUDA of a release's wheels on a platform; None for a build without."""
    if project.variant is not None:
        return CudaVersion.parse(project.variant)
    machines = {wheel.file: wheel.machine for wheel in release.files}
    seen = next((item for item in release.inspected if machines.get(item.file) == platform.machine), None)
    return CudaVersion.parse(seen.cuda) if seen and seen.cuda else None


def _build(
    torch: Version,
    cuda: CudaVersion,
    platform: Platform,
    release: Release,
    wheels: Sequence[RecordedWheel],
    *,
    index: str,
    pypi: Record,
    typed: Typed,
) -> Build:
    where = {PYPI: "PyPI", PYTORCH: "PyTorch's index"}[index]
    names = {key: f"nvidia-{key}-cu{cuda.major}" for key in ("cudnn", "nccl")}
    metadata = next((wheel.metadata for wheel in wheels if wheel.metadata is not None), None)
    if metadata is None:
        raise UpstreamError(where, f"torch {torch}", f"no wheel for {platform} told its metadata")
    requires = release.metadata[metadata].requires_dist
    newest = max(pythons_of(wheels))
    try:
        toolkit = (
            pypi.find("cuda-toolkit") if index == PYPI else None
        )  # recorded are the releases that PyPI's torch pins
        asked = wanted(requires, platform=platform, python=newest, toolkit=toolkit)
    except LookupError as error:
        raise UpstreamError(where, f"torch {torch}", f"asks for what PyPI hasn't: {error}") from error
    versions = {key: exact(asked.get(name)) for key, name in names.items()}
    companions = {name: companion(name, torch, cuda, pypi=pypi, typed=typed) for name in COMPANIONS}
    triton = newest_triton(requires, torch, platform, pythons=pythons_of(wheels), pypi=pypi)
    needs = Needs(torch=torch, cuda=cuda, platform=platform, requires=requires, triton=triton, companions=companions)
    pythons, left_out = divide(pythons_of(wheels), needs, pypi=pypi, typed=typed)
    return Build(
        torch=torch,
        cuda=cuda,
        platform=platform,
        index=index,
        pythons=pythons,
        left_out=left_out,
        cudnn=versions["cudnn"] or UNKNOWN,
        nccl=versions["nccl"] or UNKNOWN,
        triton=triton,
        companions=companions,
        libraries="wheels" if any(name.startswith("nvidia-") for name in asked) else "bundled",
        requirements=()
        if index == PYPI
        else _with_triton([text for text in requires if is_library(Requirement(text).name)], triton, platform, pypi),
        manylinux=_manylinux(wheels),
        sources=_recorded_sources(torch, where),
    )


def _recorded_sources(torch: Version, where: str) -> tuple[Source, ...]:
    return (
        Source(
            fields=("torch", "cuda", "index", "pythons"),
            source=f"{where}: file names of the torch {torch} wheels and torch/version.py in them",
            confidence="stated",
        ),
        Source(
            fields=("cudnn", "nccl", "triton", "libraries"),
            source=f"{where}: Requires-Dist of torch {torch}",
            confidence="stated",
        ),
    )


def _told(row: IndexBuild, torch: Version, platform: Platform, *, pypi: Record, typed: Typed) -> Build:
    """A build that only PyTorch's own index has: its Pythons and triton are those of PyPI's build of the release."""
    project = pypi.find("torch")
    release = next((item for item in project.releases if item.version == torch), None) if project else None
    wheels = [wheel for wheel in release.files if wheel.yanked is None] if release else []
    if release is None or not wheels:
        raise UpstreamError("builds.yaml", f"torch {torch}+{row.cuda.variant}", "PyPI has no torch of this release")
    same = [wheel for wheel in wheels if wheel.machine == platform.machine] or wheels
    x86 = next((w.metadata for w in wheels if w.machine == Platform.AMD64.machine and w.metadata is not None), None)
    requires = release.metadata[x86].requires_dist if x86 is not None else ()
    companions = {name: companion(name, torch, row.cuda, pypi=pypi, typed=typed) for name in COMPANIONS}
    triton = newest_triton(requires, torch, Platform.AMD64, pythons=pythons_of(wheels), pypi=pypi)
    needs = Needs(
        torch=torch,
        cuda=row.cuda,
        platform=platform,
        requires=requires,
        triton=triton,
        companions=companions,
        told=True,
    )
    pythons, left_out = divide(pythons_of(same), needs, pypi=pypi, typed=typed)
    like = Source(
        fields=("pythons", "triton"), source=f"the PyPI build of torch {torch}", confidence="derived", note=None
    )
    index = Source(fields=("index",), source="PyPI has no such build", confidence="derived")
    return Build(
        torch=torch,
        cuda=row.cuda,
        platform=platform,
        index=PYTORCH,
        pythons=pythons,
        left_out=left_out,
        cudnn=row.cudnn,
        nccl=row.nccl,
        triton=triton,
        companions=companions,
        libraries=row.libraries,
        requirements=_with_triton(row.requirements, triton, platform, pypi),
        manylinux=None,
        sources=(*_of_row(row.sources), index, like),
    )


def _of_row(sources: Sequence[Source]) -> Iterable[Source]:
    """Sources for the fields that a stack has; its requirements show in its wheel sets."""
    for source in sources:
        fields = tuple(field for field in source.fields if field != "requirements")
        yield Source(fields=fields, source=source.source, confidence=source.confidence, note=source.note)


def _with_triton(
    requirements: Sequence[str], triton: Version | None, platform: Platform, pypi: Record
) -> tuple[str, ...]:
    """With triton where PyPI's own torch doesn't ask for it, but PyPI has it."""
    if platform is Platform.AMD64 or triton is None:
        return tuple(requirements)
    project = pypi.find("triton")
    files = [w for r in (project.releases if project else ()) if r.version == triton for w in r.files]
    has = any(wheel.machine == platform.machine for wheel in files)
    return (*requirements, f"triton=={triton}") if has else tuple(requirements)


def _manylinux(wheels: Iterable[RecordedWheel]) -> Version | None:
    """The glibc of ``manylinux_2_28``; the older names were put on wheels that need more than they say."""
    floors = [
        Version(".".join(tag.platform.split("_")[1:3]))
        for wheel in wheels
        for tag in wheel.tags
        if tag.platform.startswith("manylinux_")
    ]
    return max(floors, default=None)
