"""How a request resolves, told with its sources; and all that is known of a stack."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gpuimg.errors import UnknownStackError
from gpuimg.facts import UNKNOWN, Matrix, Source, Stack
from gpuimg.model import Resolution, Spec
from gpuimg.pipeline.resolve import python_range, resolve
from gpuimg.smoke.guest.known import why_compile_cannot_work
from gpuimg.versions import PythonVersion

WIDTH: Final = 100
"""Columns of the text where no terminal is narrower."""
_LABEL: Final = 14

INDEXES: Final[Mapping[str, str]] = {"pypi": "PyPI", "pytorch": "PyTorch's index", "source": "its sources"}
_LIBRARIES: Final[Mapping[str, str]] = {
    "wheels": "CUDA's libraries in wheels of their own",
    "bundled": "CUDA's libraries inside torch's wheel",
    "unknown": "where CUDA's libraries are is unknown",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The text of `gpuimg why`; `error` is set where the request can't be met."""

    text: str
    error: UnknownStackError | None = None


def explain(spec: Spec, matrix: Matrix, *, width: int = WIDTH) -> Story:
    """Tell in `width` columns how `spec` resolves, step by step, or why it can't and what comes nearest."""
    try:
        resolution = resolve(spec, matrix)
    except UnknownStackError as error:
        stacks = [stack for stack in matrix.stacks if stack.name in error.nearest]
        nearest = "\n".join(describe(stack, matrix, width=width) for stack in stacks)
        return Story(text=f"{spec.text} can't be had. What comes nearest:\n\n{nearest}" if stacks else "", error=error)
    lines = [f"{spec.text} is {resolution.stack.name}", "", *_entries(_steps(resolution, matrix), width), "", ""]
    return Story(text="\n".join(lines) + describe(resolution.stack, matrix, width=width))


def describe(stack: Stack, matrix: Matrix, *, width: int = WIDTH) -> str:
    """All facts of `stack` in `width` columns, each with its source."""
    cuda = next(row for row in matrix.cudas if row.version == stack.cuda)
    facts: list[tuple[str, str, str, Sequence[Source]]] = [
        ("torch", stack.local_version, "torch", stack.sources),
        ("CUDA", str(stack.cuda), "cuda", stack.sources),
        ("cuDNN", str(stack.cudnn), "cudnn", stack.sources),
        ("NCCL", str(stack.nccl), "nccl", stack.sources),
        ("triton", str(stack.triton or "none"), "triton", stack.sources),
        ("torchvision", str(stack.torchvision or "none"), "torchvision", stack.sources),
        ("torchaudio", str(stack.torchaudio or "none"), "torchaudio", stack.sources),
        ("C++ ABI", "C++11" if stack.cxx11_abi else "before C++11", "cxx11_abi", stack.sources),
    ]
    for entry in stack.platforms:
        known = () if entry.compute_capabilities is UNKNOWN else entry.compute_capabilities
        capabilities = " ".join(map(str, known)) or "unknown"
        facts += [
            (str(entry.platform), f"Python {python_range(entry.pythons)}", "pythons", stack.sources),
            ("", f"wheels from {INDEXES[entry.index]}", "index", stack.sources),
            ("", _LIBRARIES[entry.libraries], "libraries", stack.sources),
            ("", f"glibc {entry.glibc} or newer", "glibc", stack.sources),
            ("", f"compute capability {capabilities}", "compute_capabilities", stack.sources),
        ]
    needs = str(UNKNOWN) if cuda.toolkit_driver is UNKNOWN else f"{cuda.toolkit_driver} or newer"
    facts += [
        ("driver", f"{cuda.min_driver} or newer", "min_driver", cuda.sources),
        ("", f"{needs} for PTX of CUDA {cuda.version}", "toolkit_driver", cuda.sources),
    ]
    return "".join([f"{stack.name}\n", *_table(facts, tuple(_remarks(stack)), width)])


def _remarks(stack: Stack) -> Iterable[tuple[str, str]]:
    """Which Pythons gpuimg leaves out, and how fresh is what rests on PyTorch's index."""
    left_out: dict[str, list[PythonVersion]] = {}
    for entry in stack.platforms:
        for left in entry.left_out:
            left_out.setdefault(left.reason, []).append(left.python)
    for reason, pythons in left_out.items():
        yield "left out", f"Python {python_range(sorted(set(pythons)))}: {reason}"
    not_compiling = {
        python
        for entry in stack.platforms
        for python in entry.pythons
        if why_compile_cannot_work(stack.torch.release, (python.major, python.minor)) is not None
    }
    if not_compiling:
        yield (
            "no compile",
            f"Python {python_range(sorted(not_compiling))}: torch.compile of this torch doesn't work on it",
        )
    if stack.last_seen == "never":
        yield "last seen", "never: PyTorch's index, which alone has a part of this, could not be read"
    elif stack.last_seen is not None:
        yield "last seen", f"{stack.last_seen}: then PyTorch's index, which alone has a part of this, was read"


def _steps(resolution: Resolution, matrix: Matrix) -> Iterable[tuple[str, str]]:
    spec, stack, substitution = resolution.spec, resolution.stack, resolution.substitution
    siblings = sorted((other.cuda for other in matrix.stacks if other.torch == stack.torch), reverse=True)
    variants = ", ".join(cuda.variant for cuda in siblings)
    if len(spec.torch.release) < 3:
        yield ("torch", f"{spec.torch} → {stack.torch}, its newest patch release in the matrix")
    if spec.cuda is None:
        yield ("CUDA", f"not named → {stack.cuda}, the newest that torch {stack.torch} has ({variants})")
    elif substitution is None:
        yield ("CUDA", f"{spec.cuda} → {stack.cuda.variant}, an official build (torch {stack.torch} has {variants})")
    else:
        yield ("CUDA", f"{spec.cuda} → never published for torch {stack.torch}, which has {variants}")
        yield ("instead", f"{stack.name}. {substitution.reason}")
        yield ("limits", substitution.limits)
        for source in substitution.sources:
            yield ("source", f"{source.source} ({source.confidence})" + (f": {source.note}" if source.note else ""))
        yield ("tag", f"gpuimg:{substitution.tag} and the tags of {stack.name}")
        for build in matrix.source_builds:
            if (build.torch, build.cuda) == (substitution.torch, substitution.cuda):
                parts = f"cuDNN {build.cudnn}, NCCL {build.nccl}, Python {build.python}"
                yield ("exactly", f"`gpuimg build {spec.text} --exact` compiles {build.local_version} ({parts})")
                yield ("limits", build.limits)


def _entries(entries: Iterable[tuple[str, str]], width: int) -> Iterable[str]:
    """Lines of a label and a text that wraps beside it."""
    for label, text in entries:
        head = f"  {label:<{_LABEL}}"
        yield from textwrap.wrap(
            text,
            max(width, 2 * len(head)),
            initial_indent=head,
            subsequent_indent=" " * len(head),
            break_long_words=False,
            break_on_hyphens=False,
        )


def _table(
    facts: Iterable[tuple[str, str, str, Sequence[Source]]], remarks: Sequence[tuple[str, str]], width: int
) -> Iterable[str]:
    """Facts, each with the number of its source; then the remarks, then the sources by number."""
    numbers: dict[Source, int] = {}
    rows = []
    for label, value, field, sources in facts:
        cited = [source for source in sources if field in source.fields]
        marks = "".join(f"[{numbers.setdefault(source, len(numbers) + 1)}]" for source in cited)
        rows.append((label, value, marks))
    room = max(len(value) for _, value, _ in rows)
    longest = max(len(marks) for _, _, marks in rows)
    fits = 2 + _LABEL + room + 2 + longest <= width
    if fits:
        yield from (f"  {label:<{_LABEL}}{value:<{room}}  {marks}".rstrip() + "\n" for label, value, marks in rows)
    else:
        yield from (
            f"{line}\n" for line in _entries(((label, f"{value} {marks}") for label, value, marks in rows), width)
        )
    if remarks:
        yield "\n"
        yield from (f"{line}\n" for line in _entries(remarks, width))
    yield "\n"
    notes = (
        (f"[{number}]", f"{source.confidence}: {source.source}" + (f"; {source.note}" if source.note else ""))
        for source, number in numbers.items()
    )
    yield from (f"{line}\n" for line in _entries(notes, width))
