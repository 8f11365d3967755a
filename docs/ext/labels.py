"""What each label of an image means, beside what real plans say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gpuimg.facts import Matrix
from gpuimg.matrix import load_matrix
from gpuimg.model import Plan, TorchWheel
from gpuimg.naming import labels
from gpuimg.pipeline.plan import Settings, make_plan
from gpuimg.pipeline.resolve import resolve
from gpuimg.pipeline.spec import parse_spec
from gpuimg.source.resolve import resolve_exact

_PREFIX: Final = "io.gpuimg."
_MEANINGS: Final[Mapping[str, str]] = {
    "requested": "What was asked for.",
    "stack": "The row of the matrix that it is.",
    "plan": "Digest of all that the image depends on.",
    "substitution": "The name that was never published, and why this stack serves in its place.",
    "torch": "Version of torch, as torch itself tells it.",
    "cuda": "CUDA inside.",
    "cudnn": "cuDNN inside.",
    "nccl": "NCCL inside.",
    "triton": "triton inside.",
    "torchvision": "torchvision inside, where the stack has one.",
    "torchaudio": "torchaudio inside, where the stack has one.",
    "python": "Python's minor release.",
    "platform": "What it runs on.",
    "flavor": "What it is for.",
    "driver.minimum": "Oldest driver that runs its CUDA.",
    "capabilities": "Compute capabilities that torch was compiled for.",
    "cxx11abi": "Whether torch's C++ symbols have the C++11 ABI.",
    "torch.compile": "Whether `torch.compile` can work in it.",
    "locked": "Whether each wheel was fixed by its hash; else what was not.",
    "allocator": "The allocator's setting that it carries.",
    "toolkit": "Where nvcc lies.",
    "extras": "Packages that were added.",
    "ports": "Ports of its server.",
    "workdir": "Its working directory, where that is not `/workspace`.",
    "origin": "`source`, where torch was compiled and not published.",
    "source": "Repository, tag and commit that torch was compiled from.",
    "torch.wheel": "Hash of the wheel that was compiled before.",
}
LABELS: Final = {f"{_PREFIX}{name}": meaning for name, meaning in _MEANINGS.items()}


def example_labels() -> Mapping[str, str]:
    """What labels say, each of the first of a few plans that has it."""
    matrix = load_matrix()
    found: dict[str, str] = {}
    for plan in _plans(matrix):
        for name, value in labels(plan, digest="sha256:5f0c…").items():
            if name.startswith(_PREFIX):
                found.setdefault(name, value)
    return found


def _plans(matrix: Matrix) -> Iterator[Plan]:
    """A plain one first, then some that have what it lacks. None is resolved by an index."""
    yield make_plan(resolve(parse_spec("2.6-cu124"), matrix), matrix)
    yield make_plan(resolve(parse_spec("2.6-cu121"), matrix), matrix)
    yield make_plan(resolve(parse_spec("2.13-cu130-devel"), matrix), matrix)
    served = Settings(extras=("transformers==4.40.0",), workdir="/app")
    yield make_plan(resolve(parse_spec("2.6-cu124-serve"), matrix), matrix, served)
    compiled = resolve_exact(parse_spec("2.6-cu121"), matrix)
    abi = make_plan(compiled, matrix).python.tag.replace("py", "cp")
    wheel = f"torch-{compiled.stack.local_version}-{abi}-{abi}-linux_x86_64.whl"
    yield make_plan(compiled, matrix, Settings(torch_wheel=TorchWheel(file_name=wheel, sha256="ab" * 32)))
