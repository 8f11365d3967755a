"""What a user says of stacks and of a host → `Wishes` and `Host`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from gpuimg.errors import RequestError
from gpuimg.facts import Gpu, Matrix
from gpuimg.matrix.query import Host, HostGpu, Wishes
from gpuimg.text import printable, shorten
from gpuimg.versions import ComputeCapability, CudaVersion, DriverVersion, Platform, PythonVersion

Value = TypeVar("Value")

_NEAREST: Final = 6
"""How many names an error offers."""
_EMPTY_WORDS: Final = frozenset(
    {
        *("nvidia", "geforce", "tesla", "gpu", "graphics", "generation", "nvgpu"),
        *("laptop", "mobile", "notebook", "with", "max", "q", "design"),
        *("sxm", "sxm2", "sxm3", "sxm4", "sxm5", "sxm6", "pcie", "nvl"),
        *("hbm2", "hbm2e", "hbm3", "hbm3e"),
    }
)
"""What nvidia-smi prints beside the product: maker, form and memory, which say nothing of the chip."""
_MEMORY: Final = re.compile(r"\d+g[bi]?b?", re.ASCII)


def read_wishes(
    *, torch: str | None = None, cuda: str | None = None, python: str | None = None, platform: str | None = None
) -> Wishes:
    """Read the filters of ``gpuimg matrix list``. Raises RequestError for a value that is none."""
    return Wishes(
        torch=None if torch is None else _read(_torch, torch, "--torch", 'write it as --torch ">=2.5" or --torch 2.6'),
        cuda=None
        if cuda is None
        else _read(_cuda, cuda, "--cuda", "write it as --cuda 12, --cuda 12.4 or --cuda cu124"),
        python=None
        if python is None
        else _read(PythonVersion.parse, python, "--python", "write it as --python 3.12 or --python 3.13t"),
        platform=None
        if platform is None
        else _read(Platform, platform, "--platform", "use " + " or ".join(map(str, Platform))),
    )


def read_host(
    matrix: Matrix, *, driver: str | None = None, gpus: Sequence[str] = (), capabilities: Sequence[str] = ()
) -> Host:
    """Read what the user says of a host.

    Raises:
        RequestError: a value is none, or the matrix knows no such chip or product, or several with different chips.
    """
    return Host(
        driver=None
        if driver is None
        else _read(DriverVersion.parse, driver, "--driver", "write it as nvidia-smi prints it: --driver 535.104.05"),
        gpus=(
            *(_product(text, matrix) for text in gpus),
            *(_of_capability(_capability(text, matrix), matrix) for text in capabilities),
        ),
    )


def _read(read: Callable[[str], Value], text: str, option: str, hint: str) -> Value:
    try:
        return read(text.strip())
    except (ValueError, InvalidSpecifier) as error:
        raise RequestError(f"`{shorten(printable(text), 60)}` is no value for {option}", hints=[hint]) from error


def _torch(text: str) -> SpecifierSet:
    """A PEP 440 specifier; a bare ``2.6`` is any 2.6."""
    if re.fullmatch(r"\d+(\.\d+){0,2}", text, re.ASCII):
        return SpecifierSet(f"=={text}.*")
    if not text:
        raise ValueError("empty")
    return SpecifierSet(text)


def _cuda(text: str) -> CudaVersion | int:
    major = re.fullmatch(r"(?:cu|cuda)?(\d\d)", text, re.ASCII)
    return int(major[1]) if major else CudaVersion.parse(text)


def _capability(text: str, matrix: Matrix) -> ComputeCapability:
    known = {chip.compute_capability for chip in matrix.chips}
    known |= {capability for cuda in matrix.cudas for capability in cuda.compute_capabilities}
    capability = _read(
        ComputeCapability.parse, text, "--compute-capability", "write it as --compute-capability 9.0; --gpu takes names"
    )
    if capability not in known:
        raise RequestError(
            f"the matrix knows no chip of compute capability {capability}",
            hints=[f"it knows {', '.join(map(str, sorted(known)))}"],
        )
    return capability


def _product(text: str, matrix: Matrix) -> HostGpu:
    """The product that `text` names: all its words, but for those that say nothing, are in the product's name."""
    wanted = _words(text)
    names = {gpu: _words(gpu.name) for gpu in matrix.gpus}
    architectures = {chip.compute_capability: _words(chip.architecture) for chip in matrix.chips}
    exact = [gpu for gpu, words in names.items() if words == wanted]
    found = exact or [
        gpu for gpu, words in names.items() if wanted <= words | architectures.get(gpu.compute_capability, set())
    ]
    if not wanted or not found:
        raise _no_product(text, wanted, names)
    capabilities = sorted({gpu.compute_capability for gpu in found})
    if len(capabilities) > 1:
        raise RequestError(
            f"`{_shown(text)}` may be several GPUs, of compute capability {', '.join(map(str, capabilities))}",
            hints=[
                f"name one: {_named(found)}",
                "or say --compute-capability; nvidia-smi --query-gpu=compute_cap --format=csv tells it",
            ],
        )
    return HostGpu(
        label=found[0].name if len(found) == 1 else _shown(text.strip()),
        compute_capability=capabilities[0],
        platforms=host_platforms(found),
    )


def _of_capability(capability: ComputeCapability, matrix: Matrix) -> HostGpu:
    products = [gpu for gpu in matrix.gpus if gpu.compute_capability == capability]
    return HostGpu(label=None, compute_capability=capability, platforms=host_platforms(products))


def host_platforms(products: Iterable[Gpu]) -> tuple[Platform, ...]:
    """The platforms of the hosts that have one of these: those of chips with a CPU of their own, else the usual one.

    A card in an Arm server is what ``--platform linux/arm64`` is for.
    """
    found = {platform for gpu in products for platform in gpu.host_platforms or (Platform.AMD64,)}
    return (Platform.AMD64,) if Platform.AMD64 in found or not found else tuple(found)


def _words(text: str) -> set[str]:
    """What tells products apart.

    >>> sorted(_words("NVIDIA A100-SXM4-80GB")), sorted(_words("RTX3090Ti"))
    (['a100'], ['3090', 'rtx', 'ti'])
    """
    text = re.sub(r"\b(rtx|gtx)(?=\d)", r"\1 ", text.lower())
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=\d)(ti|super)\b", r" \1", text))
    return {word for word in words if word not in _EMPTY_WORDS and not _MEMORY.fullmatch(word)}


def _no_product(text: str, wanted: set[str], names: dict[Gpu, set[str]]) -> RequestError:
    import difflib

    if re.fullmatch(r"\d{1,2}\.\d", text.strip(), re.ASCII):
        return RequestError(
            f"`{text.strip()}` is no GPU's name", hints=[f"did you mean --compute-capability {text.strip()}?"]
        )
    by_text = {gpu.name.lower(): gpu for gpu in names}
    alike = difflib.get_close_matches(" ".join(text.lower().split()), by_text, n=_NEAREST)
    sharing = sorted(names, key=lambda gpu: -len(wanted & names[gpu]))[:_NEAREST]
    nearest = [by_text[name] for name in alike] or [gpu for gpu in sharing if wanted & names[gpu]]
    hints = [f"the nearest: {_named(nearest)}"] if nearest else []
    return RequestError(
        f"the matrix knows no GPU `{_shown(text)}`",
        hints=[*hints, "say --compute-capability instead; nvidia-smi --query-gpu=compute_cap --format=csv tells it"],
    )


def _named(gpus: Sequence[Gpu]) -> str:
    """Some names, one for each capability first."""
    first = {gpu.compute_capability: gpu for gpu in reversed(gpus)}
    ordered = dict.fromkeys([*(gpu for gpu in gpus if gpu in first.values()), *gpus])
    return ", ".join(gpu.name for gpu in list(ordered)[:_NEAREST])


def _shown(text: str) -> str:
    return shorten(printable(text), 60)
