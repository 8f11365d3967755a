"""The nouns, nothing else: Spec → Stack → Plan → Context → Image → Report; a Stack is a row of `gpuimg.facts`.

All are frozen and hold tuples or read-only mappings. Verbs live in the module named after their arrow.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from packaging.version import Version

from gpuimg.facts import (
    AllocatorSetting,
    Base,
    CompatibleName,
    Cuda,
    Flavor,
    Matrix,
    SdistExtra,
    SourceBuild,
    Stack,
    StackPlatform,
    Toolkit,
    TrimRule,
    Wheel,
    WheelSet,
)
from gpuimg.versions import CudaVersion, Platform, PythonVersion

WORKSPACE: Final = "/workspace"
"""Where containers start unless a project says otherwise, and where `gpuimg run` mounts the current folder."""
USER: Final = "gpuimg"
"""The user of an image, whose uid is 1000 and whose group is 0."""
HOME: Final = "/home/gpuimg"
"""Where that user, and any other of group 0, can write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What the user typed, parsed. A `torch` of two parts (``2.6``) asks for its newest patch release."""

    text: str
    torch: Version
    cuda: CudaVersion | None = None
    cudnn_major: int | None = None
    python: PythonVersion | None = None
    flavor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The stack that serves a spec; `substitution` is set where it is not the one that was named."""

    spec: Spec
    stack: Stack
    substitution: CompatibleName | None = None
    source: SourceBuild | None = None
    """How the stack is compiled, where it is one that nobody published."""
    matrix: Matrix = field(repr=False, compare=False)
    """Where the stack was looked up, so that a plan of it, its extras and its tags come from the same rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStage:
    """The stage that compiles torch, and all that it depends on beside the plan."""

    build: SourceBuild
    repository: str
    """URL that git clones: the row's, or what the user named in its place."""
    image: str
    """The reference in FROM: it has the toolkit, or can get it."""
    standalone_python: bool
    """Whether the image has another Python, so that uv's CPython is used."""
    toolkit: Toolkit
    toolkit_wheels: tuple[Wheel, ...]
    tools: tuple[Wheel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchWheel:
    """A wheel of torch that was compiled before: the file at `path`, or what `url` gives."""

    file_name: str
    sha256: str
    path: Path | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraSdist:
    """An extra, or what one needs, that the image builds from its sdist."""

    sdist: Wheel
    row: SdistExtra
    tools: tuple[Wheel, ...]
    """What is there while it is built, beyond the stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeCopy:
    """A folder or file of the user's that the image gets: `gpuimg.code` collects it."""

    source: Path
    target: str
    """Absolute path in the image: of the folder that the files come into, or of the file itself."""
    files: tuple[str, ...]
    """Paths below `source`, sorted; what ``.dockerignore`` names is none of them. ``""``: `source` is a file."""
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a Dockerfile depends on."""

    resolution: Resolution
    python: PythonVersion
    python_is_default: bool
    """Whether gpuimg would have chosen this Python itself: then shorter tags may leave it out."""
    platform: Platform
    flavor: Flavor
    base: Base
    base_image: str
    """The reference in FROM: the base's own, or what the user named in its place."""
    standalone_python: bool
    """Whether uv's standalone CPython is used, because the base has another Python."""
    cuda: Cuda
    toolkit: Toolkit | None
    wheels: WheelSet
    allocator: AllocatorSetting | None
    trim: tuple[TrimRule, ...]
    extras: tuple[str, ...] = ()
    """PEP 508 requirements, normalised and sorted."""
    extra_wheels: tuple[Wheel, ...] | None = None
    """All wheels that the extras come to beyond the stack's own; None: the build resolves the extras."""
    extra_sdists: tuple[ExtraSdist, ...] = ()
    index_url: str | None = None
    """Replaces PyPI; None: the installer's own default."""
    torch_index_url: str
    """PyTorch's own index, or what the user named in its place."""
    ca_bundle: bytes | None = field(default=None, repr=False)
    """PEM certificates that builds trust; never left in the image."""
    source: SourceStage | None = None
    """Set where the build compiles torch."""
    torch_wheel: TorchWheel | None = None
    """Set where torch is a wheel that the user has."""
    packages: tuple[str, ...] = ()
    """System packages of the user's, sorted."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of the user's, which beat gpuimg's own."""
    workdir: str = WORKSPACE
    command: tuple[str, ...] = ()
    """What a container runs unless it is told otherwise; empty: what the flavor says."""
    code: tuple[CodeCopy, ...] = ()

    @property
    def stack(self) -> Stack:
        return self.resolution.stack

    @property
    def compiles(self) -> bool:
        """Whether torch.compile can work: the flavor has a compiler, and this torch knows this Python."""
        from gpuimg.smoke.guest.known import why_compile_cannot_work

        python = (self.python.major, self.python.minor)
        return self.flavor.compiles and why_compile_cannot_work(self.stack.torch.release, python) is None

    @property
    def on_platform(self) -> StackPlatform:
        """The stack on the plan's platform."""
        return next(on for on in self.stack.platforms if on.platform is self.platform)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A build context: file name → bytes. `tags` are what the image will be called; `plan_digest` is in its label."""

    files: Mapping[str, bytes]
    tags: tuple[str, ...]
    plan_digest: str
    large: Mapping[str, Path] = field(default_factory=dict)
    """Files that are too large to hold: name in the context → where it lies on this machine."""
    code: Mapping[str, Path] = field(default_factory=dict)
    """The user's own files, likewise; they stay executable or symbolic links."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What an engine built or found."""

    reference: str
    id: str
    tags: tuple[str, ...]
    size_bytes: int
    platform: str
    labels: Mapping[str, str]


class Status(enum.Enum):
    """How a check ended. SKIP is for what its torch, chip or flavor cannot run, always with the reason."""

    PASS = "PASS"
    FAIL = "FAIL"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A measured value and its unit."""

    value: float | int | str
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One item of the smoke step."""

    name: str
    group: str
    status: Status
    measured: Mapping[str, Measurement] = field(default_factory=dict)
    expected: str | None = None
    reason: str | None = None
    remedy: str | None = None
    seconds: float = 0.0
    gpu: int | None = None
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An image and all checks that were planned for it, in the order of the plan."""

    image: Image | None
    """None for `verify --host`."""
    torch: str | None
    python: str | None
    gpus: tuple[Mapping[str, object], ...]
    checks: tuple[Check, ...]
    seconds: float
    notices: tuple[str, ...] = ()
    node: str | None = None
    """Where the checks ran, in a report of several machines: the node's name, the pod's, or the file's."""

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.status is Status.FAIL)
