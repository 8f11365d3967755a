"""What a spec that is being typed can become: for shells that complete it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.version import Version

from gpuimg.facts import Matrix, Stack
from gpuimg.versions import CudaVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class _Name:
    """A torch and a CUDA that a spec can name, published or not."""

    torch: Version
    cuda: CudaVersion
    pythons: tuple[str, ...]
    says: str

    def spelt(self, text: str) -> str:
        """Short, as ``2.6-cu124``, unless `text` has begun with a patch release."""
        full = re.match(r"\d+\.\d+\.", text) is not None
        torch = str(self.torch) if full else f"{self.torch.major}.{self.torch.minor}"
        return f"{torch}{'+' if '+' in text else '-'}{self.cuda.variant}"


def complete_spec(text: str, matrix: Matrix) -> tuple[tuple[str, str], ...]:
    """Each spec that begins with `text`, with what it stands for; newest torch first.

    Behind a whole stack and a dash come Pythons, those of that stack, and flavors.
    """
    found: dict[str, str] = {}
    for name in _names(matrix):
        spelt = name.spelt(text)
        if spelt.startswith(text):
            found.setdefault(spelt, name.says)
        elif text.startswith(f"{spelt}-") and not any(spec.startswith(f"{spelt}-") for spec in found):
            found.update(_longer(text, spelt, name, matrix))
    return tuple(found.items())


def _names(matrix: Matrix) -> Iterator[_Name]:
    """Newest first, so that a short name says what it resolves to."""
    stacks = {stack.name: stack for stack in matrix.stacks}
    published = [
        _Name(
            torch=stack.torch,
            cuda=stack.cuda,
            pythons=_pythons(stack),
            says=f"torch {stack.torch}, CUDA {stack.cuda}",
        )
        for stack in matrix.stacks
    ]
    compatible = [
        _Name(
            torch=row.torch,
            cuda=row.cuda,
            pythons=_pythons(stacks[row.use]),
            says=f"never published: {row.use} serves",
        )
        for row in matrix.compatible
    ]
    yield from sorted([*published, *compatible], key=lambda name: (name.torch, name.cuda), reverse=True)


def _longer(text: str, stack: str, name: _Name, matrix: Matrix) -> Iterator[tuple[str, str]]:
    """`text` has a stack and some parts behind it: one more of the kinds that it hasn't."""
    *given, _ = text.removeprefix(f"{stack}-").split("-")
    before = "-".join([stack, *given])
    flavors = {flavor.name: flavor.summary for flavor in matrix.flavors}
    pythons = dict.fromkeys(name.pythons, name.says)
    for kind in (pythons, flavors):
        if not kind.keys() & set(given):
            yield from (
                (f"{before}-{part}", says) for part, says in kind.items() if f"{before}-{part}".startswith(text)
            )


def _pythons(stack: Stack) -> tuple[str, ...]:
    return tuple(dict.fromkeys(python.tag for each in stack.platforms for python in each.pythons))
