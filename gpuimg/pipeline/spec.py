"""What the user typed → `Spec`."""

from __future__ import annotations

import re

from packaging.version import Version

from gpuimg.errors import SpecError
from gpuimg.model import Spec
from gpuimg.text import printable, shorten
from gpuimg.versions import CudaVersion, PythonVersion

_TORCH = re.compile(r"\d{1,3}\.\d{1,3}(?:\.\d{1,3})?", re.ASCII)
_CUDA = re.compile(r"cu\d{3,4}|cuda\d{1,2}\.\d{1,2}(?:\.\d+)?", re.ASCII)
_CUDNN = re.compile(r"cudnn(\d{1,2})", re.ASCII)
_PYTHON = re.compile(r"py3\.?\d{1,2}t?", re.ASCII)
_FLAVOR = re.compile(r"(?!(?:cu|cuda|cudnn|py)[\d.])[a-z][a-z0-9_]{0,30}", re.ASCII)
"""A flavor never looks like a version of the others, so that ``cu12`` is a mistake and no flavor."""

_FORMS = "2.6-cu124, 2.6.0+cu124, 2.6, 2.6-cu124-py312-devel or 2.6.0-cuda12.4-cudnn9-devel"


def parse_spec(text: str) -> Spec:
    """Read a spec: torch, then in any order CUDA, cuDNN, Python and flavor.

    >>> spec = parse_spec("2.6.0-cuda12.4-cudnn9-devel")
    >>> str(spec.torch), str(spec.cuda), spec.cudnn_major, spec.flavor
    ('2.6.0', '12.4', 9, 'devel')

    Raises:
        SpecError: the text is no spec; the message names the part that isn't understood.
    """
    head, *parts = re.split(r"[-+]", text)
    if not _TORCH.fullmatch(head):
        raise _not_a_spec(text, head, "is no torch version")
    found: dict[str, str] = {}
    for part in parts:
        kind = _kind(part)
        if kind is None:
            raise _not_a_spec(text, part, "is neither CUDA, cuDNN, Python nor a flavor")
        if kind in found:
            raise _not_a_spec(text, part, f"is a second {kind} beside `{found[kind]}`")
        found[kind] = part
    cudnn = _CUDNN.fullmatch(found.get("cuDNN", ""))
    return Spec(
        text=text,
        torch=Version(head),
        cuda=CudaVersion.parse(found["CUDA"]) if "CUDA" in found else None,
        cudnn_major=int(cudnn[1]) if cudnn else None,
        python=PythonVersion.parse(found["Python"]) if "Python" in found else None,
        flavor=found.get("flavor"),
    )


def _kind(part: str) -> str | None:
    kinds = {"CUDA": _CUDA, "cuDNN": _CUDNN, "Python": _PYTHON, "flavor": _FLAVOR}
    return next((kind for kind, pattern in kinds.items() if pattern.fullmatch(part)), None)


def _not_a_spec(text: str, part: str, problem: str) -> SpecError:
    shown, piece = (shorten(printable(item), 60) for item in (text, part))
    hints = [f"write it as {_FORMS}", "`gpuimg matrix list` shows the stacks that exist"]
    _, colon, tag = text.rpartition(":")
    if colon and re.fullmatch(r"[\w.+-]{1,60}", tag, re.ASCII) and _is_spec(tag):
        hints.insert(0, f"did you mean `{tag}`, the tag alone?")
    return SpecError(f"`{shown}` is not a spec: `{piece}` {problem}", hints=hints)


def _is_spec(text: str) -> bool:
    try:
        parse_spec(text)
    except SpecError:
        return False
    return True
