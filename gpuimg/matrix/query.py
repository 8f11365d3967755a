"""Which stacks a host can run, and why not the others. What isn't known is answered as unknown, never guessed.

The rules and where they come from; all numbers are rows of ``matrices/``:

- A driver runs a CUDA release from the oldest driver of its major on, `Cuda.min_driver` (minor-version compatibility:
  docs.nvidia.com/deploy/cuda-compatibility). Below `Cuda.toolkit_driver` it doesn't take PTX that this CUDA compiled.
- A driver runs a chip from `Chip.min_driver` to `Chip.last_driver`, whatever the stack.
- A chip X.y runs code for X.z with z ≤ y, and compiles PTX of any capability that isn't above its own (CUDA C++
  Programming Guide, binary and PTX compatibility). The capabilities of architecture-specific code (``sm_90a``) are no
  rows of ours. The same guide: on Tegra, which Jetsons have, there is no binary compatibility between chips.
- PTX serves where the build's CUDA knows the chip: libraries that are older than a chip are nobody's promise.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpuimg.facts import UNKNOWN, Chip, CompatibleName, Cuda, Matrix, Stack, StackPlatform
from gpuimg.versions import ComputeCapability, CudaVersion, DriverVersion, Platform, PythonVersion

_SURE: Final = {"stated", "seen"}
"""Confidences by which an oldest driver is the oldest; others say only from where on a chip is known to run."""
_PTX_LIMIT: Final = "is older than its CUDA's toolkit: PTX compiled with that doesn't load; torch's own kernels do"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What stacks are selected by; None: any."""

    torch: SpecifierSet | None = None
    cuda: CudaVersion | int | None = None
    """A release, or a major."""
    python: PythonVersion | None = None
    platform: Platform | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGpu:
    """A GPU of the host: `label` is the name that the user knows it by, None where only its capability was named."""

    label: str | None
    compute_capability: ComputeCapability
    platforms: tuple[Platform, ...] = ()
    """Those of the hosts that have it; empty: any."""

    def __str__(self) -> str:
        return (
            f"compute capability {self.compute_capability}"
            if self.label is None
            else f"{self.label} ({self.compute_capability})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What is known of a host: what isn't named is not asked about."""

    driver: DriverVersion | None = None
    gpus: tuple[HostGpu, ...] = ()


class Answer(enum.Enum):
    """Whether a host runs a stack, best first."""

    RUNS = "runs"
    UNKNOWN = "unknown"
    CANNOT = "cannot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer for one stack. `reasons` say why it can't, or what isn't known; `notes` what holds where it runs."""

    stack: Stack
    answer: Answer
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    platforms: tuple[Platform, ...]
    """Those of the stack that the answer is about."""


def select(matrix: Matrix, wishes: Wishes) -> tuple[Stack, ...]:
    """Give the stacks that have all of `wishes`, newest first; platform and Python must go together."""
    stacks = (stack for stack in matrix.stacks if _is_wanted(stack, wishes))
    return tuple(sorted(stacks, key=lambda stack: (stack.torch, stack.cuda), reverse=True))


def select_compatible(matrix: Matrix, wishes: Wishes) -> tuple[CompatibleName, ...]:
    """Give the names that were never published and fit `wishes` by their own torch and CUDA."""
    stacks = {stack.name: stack for stack in matrix.stacks}
    return tuple(
        row
        for row in matrix.compatible
        if _has_versions(row.torch, row.cuda, wishes) and wanted_platforms(stacks[row.use], wishes)
    )


def judge(stack: Stack, host: Host, matrix: Matrix, *, wishes: Wishes | None = None) -> Verdict:
    """Tell whether `host` runs `stack` on one of its platforms, or on one that `wishes` allow."""
    cuda = _cuda(stack, matrix)
    general = [*_driver_for_cuda(cuda, host, matrix), *_drivers_for_chips(host, matrix)]
    findings: dict[StackPlatform, list[_Finding]] = {}
    wishes = wishes or Wishes()
    hosts = _host_platforms(host) if wishes.platform is None else {wishes.platform}
    for on in wanted_platforms(stack, wishes):
        if hosts is not None and on.platform not in hosts:
            continue
        findings[on] = [*general, *(said for gpu in host.gpus for said in _code(on, gpu, cuda, host, matrix))]
    if not findings:
        reason = f"no build for {' or '.join(sorted(map(str, hosts or ())))}"
        return Verdict(stack=stack, answer=Answer.CANNOT, reasons=(reason,), platforms=())
    best = min(map(_answer, findings.values()), key=list(Answer).index)
    texts = _texts(findings, best)
    return Verdict(
        stack=stack,
        answer=best,
        reasons=() if best is Answer.RUNS else texts,
        notes=texts if best is Answer.RUNS else (),
        platforms=tuple(on.platform for on in findings if _answer(findings[on]) is best),
    )


def _host_platforms(host: Host) -> set[Platform] | None:
    """The platforms that a host with all its GPUs may have; None: any."""
    named = [set(gpu.platforms) for gpu in host.gpus if gpu.platforms]
    return set.intersection(*named) if named else None


def wanted_platforms(stack: Stack, wishes: Wishes) -> tuple[StackPlatform, ...]:
    """The platforms of `stack` that `wishes` are about."""
    return tuple(
        on
        for on in stack.platforms
        if wishes.platform in {None, on.platform} and (wishes.python is None or wishes.python in on.pythons)
    )


def needed_driver(stack: Stack, host: Host, matrix: Matrix) -> DriverVersion:
    """The oldest driver that is known to run `stack` on the host's GPUs."""
    chips = [_chip(gpu, matrix) for gpu in host.gpus]
    oldest = [chip.min_driver for chip in chips if chip is not None and chip.min_driver is not UNKNOWN]
    return max([_cuda(stack, matrix).min_driver, *oldest])


def last_driver(host: Host, matrix: Matrix) -> DriverVersion | None:
    """The last driver branch that runs all the host's GPUs; None: none has dropped any."""
    chips = [_chip(gpu, matrix) for gpu in host.gpus]
    return min((chip.last_driver for chip in chips if chip and chip.last_driver), default=None)


def without_driver(host: Host) -> Host:
    """The same GPUs, whatever the driver."""
    return replace(host, driver=None)


_Finding = tuple[Answer, str]
"""What one rule says: RUNS with a note, CANNOT with the reason, UNKNOWN with what isn't known."""


def _is_wanted(stack: Stack, wishes: Wishes) -> bool:
    return _has_versions(stack.torch, stack.cuda, wishes) and bool(wanted_platforms(stack, wishes))


def _has_versions(torch: Version, cuda: CudaVersion, wishes: Wishes) -> bool:
    return (wishes.torch is None or wishes.torch.contains(torch)) and wishes.cuda in {None, cuda, cuda.major}


def _answer(findings: Iterable[_Finding]) -> Answer:
    """The worst of what the rules say."""
    return max((answer for answer, _ in findings), key=list(Answer).index, default=Answer.RUNS)


def _texts(findings: Mapping[StackPlatform, Sequence[_Finding]], answer: Answer) -> tuple[str, ...]:
    """What is said for an answer. A reason that isn't one on every platform names its own, or stands back for those."""
    said: dict[str, dict[str, None]] = {}
    for on, found in findings.items():
        for finding, text in found:
            if finding is answer and _answer(found) is answer:
                said.setdefault(text, {})[str(on.platform)] = None
    common = tuple(text for text, platforms in said.items() if len(platforms) == len(findings))
    if answer is Answer.RUNS or len(common) == len(said):
        return tuple(said)
    if answer is Answer.CANNOT and common:
        return common
    return tuple(text if text in common else f"{text} ({', '.join(said[text])})" for text in said)


def _driver_for_cuda(cuda: Cuda, host: Host, matrix: Matrix) -> Iterable[_Finding]:
    if host.driver is None:
        return
    same = {row.min_driver for row in matrix.cudas if row.version.major == cuda.version.major} == {cuda.min_driver}
    named = f"CUDA {cuda.version.major if same else cuda.version}"
    match _reaches(host.driver, cuda.min_driver):
        case False:
            yield Answer.CANNOT, f"driver {host.driver} is below {cuda.min_driver}, which {named} needs"
        case None:
            yield Answer.UNKNOWN, f"{named} needs driver {cuda.min_driver}; {host.driver} says only the branch"
        case True if cuda.toolkit_driver is UNKNOWN:
            yield Answer.RUNS, f"whether driver {host.driver} loads PTX compiled with CUDA {cuda.version} is unknown"
        case True if not _reaches(host.driver, cuda.toolkit_driver):
            yield Answer.RUNS, f"driver {host.driver} {_PTX_LIMIT}"
        case _:
            pass


def _drivers_for_chips(host: Host, matrix: Matrix) -> Iterable[_Finding]:
    if host.driver is None:
        return
    for gpu in host.gpus:
        chip = _chip(gpu, matrix)
        if chip is None or chip.min_driver is UNKNOWN:
            yield Answer.UNKNOWN, f"which driver is the first for {gpu} is unknown"
            continue
        match _reaches(host.driver, chip.min_driver):
            case False if _is_sure(chip):
                yield Answer.CANNOT, f"driver {host.driver} is below {chip.min_driver}, the first for {gpu}"
            case False:
                yield Answer.UNKNOWN, f"whether driver {host.driver} runs {gpu} is unknown; {chip.min_driver} does"
            case None:
                yield Answer.UNKNOWN, f"{gpu} needs driver {chip.min_driver}; {host.driver} says only the branch"
            case _:
                pass
        if chip.last_driver is not None and host.driver.parts[0] > chip.last_driver.parts[0]:
            yield Answer.CANNOT, f"driver {host.driver} no longer runs {gpu}: {chip.last_driver} was the last branch"


def _code(on: StackPlatform, gpu: HostGpu, cuda: Cuda, host: Host, matrix: Matrix) -> Iterable[_Finding]:
    """Whether a build has code, or PTX, that the chip takes."""
    if on.compute_capabilities is UNKNOWN:
        if _key(gpu.compute_capability) < min(map(_key, cuda.compute_capabilities)):
            yield Answer.CANNOT, f"CUDA {cuda.version} compiles for no chip as old as {gpu}"
        else:
            yield Answer.UNKNOWN, "which compute capabilities it has code for is unknown"
        return
    chip, jetson = gpu.compute_capability, _is_jetson(gpu, matrix)
    if any(_runs_code(chip, code, exactly=jetson) for code in on.compute_capabilities):
        return
    if not any(code.ptx and _key(code) <= _key(chip) for code in on.compute_capabilities):
        own = ", and a Jetson takes no other chip's" if jetson else ""
        yield Answer.CANNOT, f"no code for {gpu}{own}"
    elif chip not in cuda.compute_capabilities:
        yield Answer.UNKNOWN, f"only PTX for {gpu}, which is newer than CUDA {cuda.version} and its libraries"
    elif cuda.toolkit_driver is UNKNOWN:
        yield Answer.UNKNOWN, f"only PTX for {gpu}, and which driver takes PTX of CUDA {cuda.version} is unknown"
    else:
        reached = True if host.driver is None else _reaches(host.driver, cuda.toolkit_driver)
        answer = {True: Answer.RUNS, None: Answer.UNKNOWN, False: Answer.CANNOT}[reached]
        yield answer, f"only PTX for {gpu}, and PTX of CUDA {cuda.version} needs driver {cuda.toolkit_driver}"


def _runs_code(chip: ComputeCapability, code: ComputeCapability, *, exactly: bool) -> bool:
    return chip.major == code.major and (code.minor == chip.minor if exactly else code.minor <= chip.minor)


def _key(capability: ComputeCapability) -> tuple[int, int]:
    """Its number, with or without PTX."""
    return capability.major, capability.minor


def _is_jetson(gpu: HostGpu, matrix: Matrix) -> bool:
    """Whether only Jetsons have this chip."""
    products = [product for product in matrix.gpus if product.compute_capability == gpu.compute_capability]
    return bool(products) and all(product.name.startswith("Jetson ") for product in products)


def _reaches(driver: DriverVersion, needed: DriverVersion) -> bool | None:
    """Whether `driver` is `needed` or newer; None where only the branch was named and the release decides."""
    if driver < needed and driver.parts == needed.parts[: len(driver.parts)]:
        return None
    return driver >= needed


def _is_sure(chip: Chip) -> bool:
    return any("min_driver" in source.fields and source.confidence in _SURE for source in chip.sources)


def _chip(gpu: HostGpu, matrix: Matrix) -> Chip | None:
    return next((row for row in matrix.chips if row.compute_capability == gpu.compute_capability), None)


def _cuda(stack: Stack, matrix: Matrix) -> Cuda:
    return next(row for row in matrix.cudas if row.version == stack.cuda)
