"""Which GPUs the containers of an engine get, and how several images share them. Pure: the engine was asked before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gpuimg.errors import RequestError

_CDI: Final = "nvidia.com/gpu="
CDI_FOLDERS: Final = ("/etc/cdi", "/var/run/cdi")
"""Where engines look for specifications of devices, unless they are told otherwise."""
_CPUS_AN_IMAGE: Final = 2
"""Compilers and checks of two ranks keep two busy; with less, a check may outlast its time limit."""
MEMORY_AN_IMAGE: Final = 4 * 2**30
"""A guess on the safe side, for two processes that each have torch and CUDA's libraries in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU, or a slice of one."""

    name: str
    """Index or UUID, as the engine takes it."""
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Room for one image at a time."""

    gpus: str | None = None
    """What its container asks the engine for; None: whatever ``--gpus`` says."""
    label: str = ""
    """Such as ``GPU 0``; empty where `gpus` is None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How several images share the GPUs, as far as the user said."""

    per_image: int | None = 1
    """GPUs that each image gets at a time; None: all."""
    jobs: int | None = None
    """How many images at once at most. None: one a group of GPUs, as far as the engine's CPUs and memory bear it; and
    one without GPUs, since the checks load all cores and have time limits."""


def wanted_gpus(text: str, info: Mapping[str, Any]) -> str | None:
    """What to ask the engine for where the user said `text`; None: for no GPU.

    Args:
        text: ``auto`` (all, where the engine can give GPUs), ``none``, ``all``, or indexes and UUIDs.
        info: what the engine says of itself.
    """
    if text == "none":
        return None
    runtimes = info.get("Runtimes")
    has_runtime = isinstance(runtimes, dict) and "nvidia" in runtimes
    by_name = not has_runtime and f"{_CDI}all" in _cdi_devices(info)
    if text == "auto":
        if not has_runtime and not by_name:
            return None
        text = "all"
    return ",".join(_CDI + name for name in text.split(",")) if by_name else text


def share_gpus(found: Sequence[Device], info: Mapping[str, Any], sharing: Sharing, *, images: int) -> tuple[Slot, ...]:
    """How many of `images` are checked at once, and with which GPUs.

    Args:
        found: the GPUs; none, and each image gets what ``--gpus`` says.
        info: what the engine says of itself.

    Raises RequestError where there are fewer GPUs than each image is to get.
    """
    size = sharing.per_image or len(found)
    if size > max(len(found), 1):
        raise RequestError(
            f"each image is to get {size} GPUs, and there {'is' if len(found) == 1 else 'are'} {len(found) or 'none'}",
            hints=["`--gpus-per-image all` gives each image all that there are"],
        )
    if not found:
        return (Slot(),) * min(sharing.jobs or 1, images)
    if size == len(found) == 1:  # nothing to share; and a slice of a GPU goes by a name that the guest can't see
        return (Slot(),)
    groups = [found[first : first + size] for first in range(0, len(found) - size + 1, size)]
    return tuple(_slot(group, info) for group in groups[: min(sharing.jobs or _bearable(info), images)])


def named_devices(text: str) -> tuple[Device, ...]:
    """The GPUs that the user named; none for ``auto``, ``none`` and ``all``.

    >>> [device.label for device in named_devices("0,GPU-3d4a8bc1-aaaa-bbbb-cccc-ddddeeeeffff")]
    ['0', 'GPU-3d4a8bc1']
    """
    if text in {"auto", "none", "all"}:
        return ()
    return tuple(Device(name=name, label=name[:12]) for name in dict.fromkeys(text.split(",")))


def _slot(group: Sequence[Device], info: Mapping[str, Any]) -> Slot:
    names, labels = (",".join(texts) for texts in zip(*((device.name, device.label) for device in group), strict=True))
    return Slot(gpus=wanted_gpus(names, info), label=f"GPU {labels}")


def _bearable(info: Mapping[str, Any]) -> int:
    """How many images at once the engine's machine can check within the checks' time limits."""
    cpus, memory = int(info.get("NCPU") or 1), int(info["MemTotal"])
    return max(min(cpus // _CPUS_AN_IMAGE, memory // MEMORY_AN_IMAGE), 1)


def _cdi_devices(info: Mapping[str, Any]) -> set[str]:
    devices = info.get("DiscoveredDevices")
    rows = devices if isinstance(devices, list) else []
    return {str(device.get("ID")) for device in rows if isinstance(device, dict)}
