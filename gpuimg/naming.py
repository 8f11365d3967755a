"""What an image is called and what its labels say: computed from the plan, asserted from inside by the smoke step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from packaging.version import InvalidVersion, Version

from gpuimg.errors import SpecError
from gpuimg.facts import UNKNOWN, Matrix, Stack
from gpuimg.model import WORKSPACE, Plan
from gpuimg.pipeline.spec import parse_spec
from gpuimg.versions import Platform, PythonVersion

REPOSITORY: Final = "gpuimg"


def image_tags(plan: Plan, matrix: Matrix, *, repository: str = REPOSITORY) -> tuple[str, ...]:
    """The full tag first, then the shorter ones that are unambiguous and true.

    A shorter tag leaves out what is gpuimg's own choice: Python, then the flavor, then torch's patch release where this
    one is the newest. An image with extras is none of those: its one tag names them by digest. Neither is one whose
    torch was compiled for some chips only: its one tag names those. No tag names a CUDA that isn't inside; a compatible
    name is marked as such.
    """
    stack, substitution = plan.stack, plan.resolution.substitution
    suffix = "" if plan.platform is Platform.AMD64 else f"-{plan.platform.arch}"
    full = f"{stack.torch}-{stack.cuda.variant}-{plan.python.tag}-{plan.flavor.name}{suffix}"
    full += _chips(plan)
    if plan.extras:
        return (f"{repository}:{full}-extras-{_short_digest(_extras_lines(plan))}",)
    if _chips(plan):
        return (f"{repository}:{full}",)
    tags = [full]
    if plan.python_is_default:
        tags.append(f"{stack.torch}-{stack.cuda.variant}-{plan.flavor.name}{suffix}")
        if plan.flavor == matrix.flavors[0]:
            tags.append(f"{stack.torch}-{stack.cuda.variant}{suffix}")
            if _is_newest(stack, matrix):
                tags.append(f"{stack.torch.major}.{stack.torch.minor}-{stack.cuda.variant}{suffix}")
    if substitution is not None:
        python = "" if plan.python_is_default else f"-{plan.python.tag}"
        flavor = "" if plan.flavor == matrix.flavors[0] else f"-{plan.flavor.name}"
        tags.append(f"{substitution.tag}{python}{flavor}{suffix}")
    return tuple(f"{repository}:{tag}" for tag in tags)


def tag_contradictions(tag: str, *, torch: str, cuda: str | None, python: str | None) -> tuple[str, ...]:
    """Where a tag that reads as a spec says another torch, CUDA or Python than there is; empty where it is true.

    >>> tag_contradictions("2.6-cu121", torch="2.6.0", cuda="cu124", python=None)
    ('cu124, not cu121',)

    Args:
        cuda: the variant, such as ``cu124``; None where it isn't known.
    """
    try:
        spec = parse_spec(tag)
        found = Version(torch)
        found_python = PythonVersion.parse(python) if python else None
    except (SpecError, InvalidVersion, ValueError):
        return ()
    wrong = []
    if found.release[: len(spec.torch.release)] != spec.torch.release:
        wrong.append(f"torch {torch}, not {spec.torch}")
    if spec.cuda is not None and cuda is not None and cuda != spec.cuda.variant:
        wrong.append(f"{cuda}, not {spec.cuda.variant}")
    if spec.python is not None and found_python is not None and found_python != spec.python:
        wrong.append(f"Python {python}, not {spec.python}")
    return tuple(wrong)


def labels(plan: Plan, *, digest: str) -> Mapping[str, str]:
    """What `docker inspect` tells about the image; the smoke step asserts the versions from inside."""
    stack, resolution = plan.stack, plan.resolution
    capabilities = plan.on_platform.compute_capabilities
    facts = {
        "requested": resolution.spec.text,
        "stack": stack.name,
        "plan": digest,
        "substitution": f"{resolution.substitution.name}: {resolution.substitution.reason}"
        if resolution.substitution
        else "",
        "torch": stack.local_version,
        "cuda": str(stack.cuda),
        "cudnn": _known(stack.cudnn),
        "nccl": _known(stack.nccl),
        "triton": str(stack.triton or ""),
        "torchvision": str(stack.torchvision or ""),
        "torchaudio": str(stack.torchaudio or ""),
        "python": str(plan.python),
        "platform": str(plan.platform),
        "flavor": plan.flavor.name,
        "driver.minimum": str(plan.cuda.min_driver),
        "capabilities": "" if capabilities is UNKNOWN else " ".join(map(str, capabilities)),
        "cxx11abi": str(stack.cxx11_abi).lower(),
        "torch.compile": "yes" if plan.compiles else "no",
        "locked": _locked(plan),
        "allocator": f"{plan.allocator.variable}={plan.allocator.value}" if plan.allocator else "",
        "toolkit": plan.toolkit.home if plan.toolkit else "",
        "extras": " ".join(plan.extras),
        "ports": " ".join(map(str, plan.flavor.ports)),
        "workdir": plan.workdir if plan.workdir != WORKSPACE else "",
        **_origin(plan),
    }
    return {
        "org.opencontainers.image.title": f"PyTorch {stack.torch}, CUDA {stack.cuda} ({plan.flavor.name})",
        "org.opencontainers.image.description": plan.flavor.summary,
        "org.opencontainers.image.version": f"{stack.torch}-{stack.cuda.variant}",
        "org.opencontainers.image.base.name": plan.base_image,
        **{f"io.gpuimg.{name}": value for name, value in facts.items() if value},
    }


def _known(fact: object) -> str:
    """A label is left out where its fact is unknown."""
    return "" if fact is UNKNOWN else str(fact)


def _origin(plan: Plan) -> Mapping[str, str]:
    """Where torch comes from, if from no index: the sources, or the wheel that was compiled of them before."""
    build = plan.resolution.source
    if build is None:
        return {}
    return {
        "origin": "source",
        "source": f"{build.repository} {build.tag}" + (f" ({build.commit})" if build.commit else ""),
        "torch.wheel": f"sha256:{plan.torch_wheel.sha256}" if plan.torch_wheel else "",
    }


def _chips(plan: Plan) -> str:
    """``-sm80-sm90`` where torch was compiled for these chips and not for all that the source build has."""
    build, chips = plan.resolution.source, plan.on_platform.compute_capabilities
    if build is None or chips is UNKNOWN or chips == build.compute_capabilities:
        return ""
    return "".join(f"-sm{chip.major}{chip.minor}{'ptx' if chip.ptx else ''}" for chip in chips)


def _locked(plan: Plan) -> str:
    """How far the image is fixed by hash."""
    if plan.wheels.locked and plan.source is not None:
        stack = "yes, but for torch, which the build compiled"
    elif plan.wheels.locked:
        stack = "yes"
    else:
        what = "by version" if plan.wheels.closed else "torch by version, its libraries not at all"
        stack = f"{what}: PyTorch's index was not readable when the set was made"
    if plan.extra_sdists:
        stack += f"; {', '.join(extra.row.name for extra in plan.extra_sdists)} built from source"
    return f"{stack}, but for its extras, which the build resolved" if _is_resolved_by_build(plan) else stack


def _is_resolved_by_build(plan: Plan) -> bool:
    return bool(plan.extras) and plan.extra_wheels is None


def _extras_lines(plan: Plan) -> Sequence[str]:
    """What tells one image's extras from another's: their files where these are known."""
    if plan.extra_wheels is None:
        return plan.extras
    files = (*plan.extra_wheels, *(extra.sdist for extra in plan.extra_sdists))
    return [f"{file.name}=={file.version} {file.sha256}" for file in files]


def _short_digest(extras: Sequence[str]) -> str:
    """Eight hexadecimal digits that tell one list of extras from another."""
    return hashlib.sha256("\n".join(extras).encode()).hexdigest()[:8]


def _is_newest(stack: Stack, matrix: Matrix) -> bool:
    """Whether no later patch release of its torch has the same CUDA."""
    minor = stack.torch.release[:2]
    others = [other.torch for other in matrix.stacks if other.cuda == stack.cuda and other.torch.release[:2] == minor]
    return stack.torch == max(others, default=stack.torch)
