"""What an image promises, read from its own labels: the same for an image just built and one found later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gpuimg.errors import SpecError
from gpuimg.model import Check, Image, Measurement, Report, Status
from gpuimg.naming import tag_contradictions
from gpuimg.pipeline.spec import parse_spec

_PREFIX: Final = "io.gpuimg."
_TORCH_REPOSITORIES: Final = ("pytorch", "torch")
_TEXTS: Final = ("torch", "cuda", "cudnn", "nccl", "triton", "python", "torchvision", "torchaudio", "flavor")


def expectation(labels: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Give the guest's ``expect`` for an image with `labels`; None where they are not gpuimg's: it promises nothing."""
    ours = {name.removeprefix(_PREFIX): text for name, text in labels.items() if name.startswith(_PREFIX)}
    if "stack" not in ours:
        return None
    promised: dict[str, Any] = {name: ours[name] for name in _TEXTS if name in ours}
    promised["min_driver"] = ours.get("driver.minimum")
    promised["compute_capabilities"] = ours["capabilities"].split() if "capabilities" in ours else None
    promised["cxx11_abi"] = ours["cxx11abi"] == "true" if "cxx11abi" in ours else None
    promised["compiles"] = ours.get("torch.compile") == "yes"
    promised["toolkit"] = "toolkit" in ours
    promised["toolkit_home"] = ours.get("toolkit")
    promised["non_root"] = True
    variable, separator, value = ours.get("allocator", "").partition("=")
    promised["allocator"] = {"variable": variable, "value": value} if separator else None
    return {name: value for name, value in promised.items() if value is not None}


def promised_notices(image: Image) -> tuple[str, ...]:
    """What its labels say that nobody may miss: that it serves in the place of another stack."""
    substitution = image.labels.get(f"{_PREFIX}substitution")
    return (f"this image serves in the place of {substitution}",) if substitution else ()


def tag_check(image: Image, report: Report) -> Check | None:
    """The check that the image's own name tells the truth; None where its name says nothing of torch or CUDA.

    ``pytorch/pytorch:2.6.0-cuda12.4-cudnn9-devel`` and our own tags are specs: what such a name says must be inside. In
    the name of an image that is neither ours nor PyTorch's, a bare number is its own version, not torch's.
    """
    repository, _, tag = image.reference.partition("@")[0].rpartition("/")[2].partition(":")
    tag = tag.removesuffix("-arm64")
    ours = f"{_PREFIX}stack" in image.labels
    if report.torch is None or "-compat" in tag or not _is_spec(tag, bare=ours or repository in _TORCH_REPOSITORIES):
        return None
    version, _, variant = report.torch.partition("+")
    tells_variant = variant == "cpu" or variant.startswith("cu")  # vendors' own builds put other things there
    wrong = tag_contradictions(tag, torch=version, cuda=variant if tells_variant else None, python=report.python)
    found = {"torch": version, "CUDA": variant, "Python": report.python or ""}
    return Check(
        name="stack.tag",
        group="stack",
        status=Status.FAIL if wrong else Status.PASS,
        measured={name: Measurement(value=value) for name, value in found.items() if value},
        expected=f"what the tag `{tag}` says",
        reason=f"inside is {'; '.join(wrong)}" if wrong else None,
        remedy="don't use this name: tag the image for what it holds" if wrong else None,
    )


def _is_spec(tag: str, *, bare: bool) -> bool:
    """Whether a tag reads as a spec; without `bare` only where it names a CUDA."""
    try:
        return parse_spec(tag).cuda is not None or bare
    except SpecError:
        return False
