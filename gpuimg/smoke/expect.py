"""What an image promises, read from its own labels: the same for an image just built and one found later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from packaging.version import Version

from gpuimg.errors import SpecError
from gpuimg.model import Check, Image, Measurement, Report, Status
from gpuimg.spec import parse_spec
from gpuimg.versions import PythonVersion

_PREFIX: Final = "io.gpuimg."
_TEXTS: Final = ("torch", "cuda", "cudnn", "nccl", "triton", "python", "torchvision", "torchaudio", "flavor")


def expectation(image: Image) -> Mapping[str, Any] | None:
    """Give the guest's ``expect`` for `image`; None for an image that gpuimg did not build, which promises nothing."""
    labels = {name.removeprefix(_PREFIX): text for name, text in image.labels.items() if name.startswith(_PREFIX)}
    if "stack" not in labels:
        return None
    promised: dict[str, Any] = {name: labels[name] for name in _TEXTS if name in labels}
    promised["min_driver"] = labels.get("driver.minimum")
    promised["compute_capabilities"] = labels["capabilities"].split() if "capabilities" in labels else None
    promised["cxx11_abi"] = labels["cxx11abi"] == "true" if "cxx11abi" in labels else None
    promised["compiles"] = labels.get("torch.compile") == "yes"
    promised["toolkit"] = "toolkit" in labels
    promised["toolkit_home"] = labels.get("toolkit")
    promised["non_root"] = True
    variable, separator, value = labels.get("allocator", "").partition("=")
    promised["allocator"] = {"variable": variable, "value": value} if separator else None
    return {name: value for name, value in promised.items() if value is not None}


def promised_notices(image: Image) -> tuple[str, ...]:
    """What its labels say that nobody may miss: that it serves in the place of another stack."""
    substitution = image.labels.get(f"{_PREFIX}substitution")
    return (f"this image serves in the place of {substitution}",) if substitution else ()


def tag_check(image: Image, report: Report) -> Check | None:
    """The check that the image's own name tells the truth; None where its name says nothing of torch or CUDA.

    ``pytorch/pytorch:2.6.0-cuda12.4-cudnn9-devel`` and our own tags are specs: what such a name says must be inside.
    """
    name = image.reference.partition("@")[0].rpartition("/")[2]
    text = name.partition(":")[2].removesuffix("-arm64")
    if not text or report.torch is None or "-compat" in text:
        return None
    try:
        spec = parse_spec(text)
    except SpecError:
        return None
    version, _, variant = report.torch.partition("+")
    found = {"torch": version, "CUDA": variant, "Python": report.python or ""}
    wrong = []
    if Version(version).release[: len(spec.torch.release)] != spec.torch.release:
        wrong.append(f"torch {version}, not {spec.torch}")
    tells_variant = variant == "cpu" or variant.startswith("cu")  # vendors' own builds put other things there
    if spec.cuda is not None and tells_variant and variant != spec.cuda.variant:
        wrong.append(f"{variant}, not {spec.cuda.variant}")
    if spec.python is not None and report.python and PythonVersion.parse(report.python) != spec.python:
        wrong.append(f"Python {report.python}, not {spec.python}")
    return Check(
        name="stack.tag",
        group="stack",
        status=Status.FAIL if wrong else Status.PASS,
        measured={name: Measurement(value=value) for name, value in found.items() if value},
        expected=f"what the tag `{text}` says",
        reason=f"inside is {'; '.join(wrong)}" if wrong else None,
        remedy="don't use this name: tag the image for what it holds" if wrong else None,
    )
