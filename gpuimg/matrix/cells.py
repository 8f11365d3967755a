"""torch × CUDA: rows → what each cell of the page's grid says, and all that is known behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from packaging.version import Version

from gpuimg.explain import INDEXES
from gpuimg.facts import UNKNOWN, CompatibleName, Cuda, Matrix, Source, Stack, StackPlatform
from gpuimg.pipeline.resolve import python_range
from gpuimg.versions import ComputeCapability, CudaVersion, Platform, PythonVersion

_STATED: Final = "stated"
_LIBRARIES: Final[Mapping[str, str]] = {
    "wheels": "in wheels of their own",
    "bundled": "inside torch's wheel",
    "unknown": "unknown",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A line behind a cell. `sources` are numbers of the cell's sources; `weak` names confidences below stated."""

    label: str
    values: tuple[str, ...]
    sources: tuple[int, ...] = ()
    weak: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A stack, or a compatible name with the stack that serves it: `kind` is pypi, pytorch or compatible."""

    name: str
    torch: Version
    cuda: CudaVersion
    kind: str
    stack: Stack
    compatible: CompatibleName | None
    pythons: str
    beside_amd64: str
    """Platforms where they aren't linux/amd64 alone, in a word or two; else empty."""
    facts: tuple[Fact, ...]
    platforms: tuple[tuple[str, tuple[Fact, ...]], ...]
    sources: tuple[Source, ...]
    serves: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A CUDA release that a stack or a compatible name has; `min_driver` may be ``unknown``."""

    cuda: CudaVersion
    min_driver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A torch release; `columns` holds for every column the cells that stand there: mostly one or none."""

    torch: Version
    columns: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Newest torch first, oldest CUDA first."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All, row by row."""
        return tuple(cell for row in self.rows for cells in row.columns for cell in cells)


def lay_out(matrix: Matrix) -> Grid:
    """Give the grid of all stacks and compatible names."""
    cells = _cells(matrix)
    drivers = {row.version: str(row.min_driver) for row in matrix.cudas}
    columns = tuple(
        Column(cuda=cuda, min_driver=drivers.get(cuda, str(UNKNOWN))) for cuda in sorted({cell.cuda for cell in cells})
    )
    return Grid(
        columns=columns,
        rows=tuple(
            Row(
                torch=torch,
                columns=tuple(
                    tuple(cell for cell in cells if (cell.torch, cell.cuda) == (torch, column.cuda))
                    for column in columns
                ),
            )
            for torch in sorted({cell.torch for cell in cells}, reverse=True)
        ),
    )


def _cells(matrix: Matrix) -> Sequence[Cell]:
    stacks = {stack.name: stack for stack in matrix.stacks}
    return [
        *(_cell(stack, None, matrix) for stack in matrix.stacks),
        *(_cell(stacks[row.use], row, matrix) for row in matrix.compatible),
    ]


def _cell(stack: Stack, compatible: CompatibleName | None, matrix: Matrix) -> Cell:
    cuda = next(row for row in matrix.cudas if row.version == stack.cuda)
    architectures = {chip.compute_capability: chip.architecture for chip in matrix.chips}
    numbers: dict[Source, int] = {}
    facts = _facts(stack, cuda, numbers)
    platforms = tuple((str(on.platform), _platform_facts(stack, on, architectures, numbers)) for on in stack.platforms)
    named = compatible or stack
    for source in named.sources:
        numbers.setdefault(source, len(numbers) + 1)
    return Cell(
        name=f"{named.torch}-{named.cuda.variant}",
        torch=named.torch,
        cuda=named.cuda,
        kind="compatible" if compatible else _kind(stack),
        stack=stack,
        compatible=compatible,
        pythons=_short_range({python for on in stack.platforms for python in on.pythons}),
        beside_amd64=_beside_amd64([on.platform for on in stack.platforms]),
        facts=facts,
        platforms=platforms,
        sources=compatible.sources if compatible else tuple(numbers),
        serves=tuple(f"{row.torch}-{row.cuda.variant}" for row in matrix.compatible if row.use == stack.name),
    )


def _kind(stack: Stack) -> str:
    return "pypi" if any(on.index == "pypi" for on in stack.platforms) else "pytorch"


def _beside_amd64(platforms: Sequence[Platform]) -> str:
    others = ", ".join(sorted(platform.arch for platform in platforms if platform is not Platform.AMD64))
    return others if Platform.AMD64 in platforms else f"{others} only"


def _short_range(pythons: Iterable[PythonVersion]) -> str:
    """``3.9–3.13``, or how many there are where they have gaps."""
    ordered = sorted(python for python in pythons if not python.free_threaded)
    text = python_range(ordered)
    return f"{len(ordered)} Pythons" if "," in text else text.replace(" to ", "–")


def _facts(stack: Stack, cuda: Cuda, numbers: dict[Source, int]) -> tuple[Fact, ...]:
    """What holds on every platform."""

    def fact(label: str, value: object, field: str, sources: Sequence[Source] = stack.sources) -> Fact:
        return _fact(label, (str("none" if value is None else value),), field, sources, numbers)

    facts = [
        fact("cuDNN", stack.cudnn, "cudnn"),
        fact("NCCL", stack.nccl, "nccl"),
        fact("triton", stack.triton, "triton"),
        fact("torchvision", stack.torchvision, "torchvision"),
        fact("torchaudio", stack.torchaudio, "torchaudio"),
        fact("C++ ABI", "C++11" if stack.cxx11_abi else "before C++11", "cxx11_abi"),
        fact("Driver", f"{cuda.min_driver} or newer", "min_driver", cuda.sources),
    ]
    needs = str(cuda.toolkit_driver) if cuda.toolkit_driver is UNKNOWN else f"{cuda.toolkit_driver} or newer"
    return (*facts, fact(f"Driver for PTX of CUDA {cuda.version}", needs, "toolkit_driver", cuda.sources))


def _platform_facts(
    stack: Stack,
    on: StackPlatform,
    architectures: Mapping[ComputeCapability, str],
    numbers: dict[Source, int],
) -> tuple[Fact, ...]:
    def fact(label: str, values: Iterable[str], field: str) -> Fact:
        return _fact(label, tuple(values), field, stack.sources, numbers)

    known = on.compute_capabilities
    chips = (str(UNKNOWN),) if known is UNKNOWN else tuple(_chip(capability, architectures) for capability in known)
    left_out = tuple(f"{left.python}: {left.reason}" for left in on.left_out)
    return (
        fact("Python", map(str, on.pythons), "pythons"),
        *((Fact(label="Left out", values=left_out),) if left_out else ()),
        fact("Code for", chips, "compute_capabilities"),
        fact("Wheels from", [INDEXES[on.index]], "index"),
        fact("CUDA's libraries", [_LIBRARIES[on.libraries]], "libraries"),
        fact("glibc", [f"{on.glibc} or newer"], "glibc"),
    )


def _chip(capability: ComputeCapability, architectures: Mapping[ComputeCapability, str]) -> str:
    chip = ComputeCapability(capability.major, capability.minor)
    return f"{capability} {architectures[chip]}" if chip in architectures else str(capability)


def _fact(
    label: str, values: tuple[str, ...], field: str, sources: Sequence[Source], numbers: dict[Source, int]
) -> Fact:
    cited = [source for source in sources if field in source.fields]
    weak = sorted({source.confidence for source in cited if source.confidence != _STATED})
    return Fact(
        label=label,
        values=values,
        sources=tuple(numbers.setdefault(source, len(numbers) + 1) for source in cited),
        weak=", ".join(weak) or None,
    )
