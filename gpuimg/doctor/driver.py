"""Whether there are GPUs, and a driver that answers."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Final

from gpuimg.doctor.finding import Finding, Mend, Status, Subject, mend
from gpuimg.machine import Machine

_NAME: Final = "driver"
_NVIDIA: Final = "0x10de"
_DISPLAY: Final = "0x03"
"""PCI's vendor NVIDIA, and its class of display and 3D controllers."""


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the driver says, else at the PCI bus."""
    if not subject.shares_gpus:
        yield Finding(
            check=_NAME,
            status=Status.SKIP,
            what="the engine's machine is another one",
            why="`gpuimg verify --only host` asks it from inside an image",
        )
        return
    nvidia = subject.nvidia
    if nvidia.problem is not None:
        why, mends = _failing(subject, nvidia.problem)
        what = f"it doesn't work: {nvidia.problem}"
        yield Finding(check=_NAME, status=Status.FAIL, what=what, why=why, mend=mends)
    elif nvidia.driver is not None:
        counts = collections.Counter(gpu.name for gpu in nvidia.gpus)
        gpus = ", ".join(f"{count} × {name}" if count > 1 else name for name, count in counts.items())
        status = Status.OK if gpus else Status.WARN
        yield Finding(check=_NAME, status=status, what=f"driver {nvidia.driver}, {gpus or 'which names no GPU'}")
    elif _has_gpu(subject.machine):
        held = subject.machine.exists("/sys/module/nouveau")
        yield Finding(
            check=_NAME,
            status=Status.FAIL,
            what="there is a GPU of NVIDIA, and no driver of NVIDIA",
            why="nouveau holds it, which knows no CUDA" if held else "",
            mend=mend(subject, "install-driver"),
        )
    else:
        yield Finding(
            check=_NAME,
            status=Status.FAIL if subject.stacks else Status.SKIP,
            what="this machine has no GPU of NVIDIA",
            why="images build here, and are checked on the CPU",
            mend=mend(subject, "install-driver") if subject.distribution.wsl else Mend(),
        )


def _failing(subject: Subject, problem: str) -> tuple[str, Mend]:
    """Why a driver fails that is there, by its own words."""
    if "mismatch" in problem:
        why = "it was updated, and the kernel has the old one loaded"
        return why, mend(subject, "reload-driver")
    if "communicate with the NVIDIA driver" in problem:
        return "its module isn't in this kernel", mend(subject, "load-driver", "install-driver")
    if "device file" in problem:
        return "its programs are not installed, or not on PATH", mend(subject, "install-driver")
    return "", mend(subject, "reload-driver", "install-driver")


def _has_gpu(machine: Machine) -> bool:
    folder = "/sys/bus/pci/devices"
    return any(
        (machine.read(f"{folder}/{name}/vendor") or "").strip() == _NVIDIA
        and (machine.read(f"{folder}/{name}/class") or "").startswith(_DISPLAY)
        for name in machine.names(folder)
    )
