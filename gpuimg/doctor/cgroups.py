"""Whether running containers keep their GPUs when systemd reloads its units.

The toolkit's hook lets a container at the devices behind the back of whoever manages its cgroup: where that is systemd,
the next ``systemctl daemon-reload`` takes them away (docs.nvidia.com, Container Toolkit, troubleshooting). By CDI the
engine itself asks for the devices; then some releases of runc still need their links in /dev/char.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gpuimg.doctor.features import feature
from gpuimg.doctor.finding import Finding, Mend, Status, Subject, mend, restarted
from gpuimg.engine.info import EngineInfo
from gpuimg.smoke.gpus import wanted_gpus

_NAME: Final = "cgroups"
_CONTROL_LINK: Final = "/dev/char/195:255"
"""What links to /dev/nvidiactl, by its numbers: Linux's devices.txt."""


def check(subject: Subject) -> Iterator[Finding]:
    """Look at who manages cgroups, and how GPUs come into containers."""
    info = subject.info
    if info is None or wanted_gpus("auto", info.raw) is None:
        yield Finding(check=_NAME, status=Status.SKIP, what="the engine hands on no GPUs")
        return
    manager = info.text("CgroupDriver")
    if manager != "systemd":
        yield Finding(check=_NAME, status=Status.OK, what=f"managed by {manager or 'nobody'}, which takes no GPU away")
    elif info.nvidia_runtime is not None:
        yield Finding(
            check=_NAME,
            status=Status.WARN,
            what="`systemctl daemon-reload` takes the GPUs from running containers",
            why="systemd manages cgroups, and the runtime's hook lets containers at GPUs without telling it:"
            " `Failed to initialize NVML: Unknown Error`",
            mend=_by_cdi(subject, info) + mend(subject, "use-cgroupfs"),
        )
    elif subject.is_local and not subject.machine.exists(_CONTROL_LINK):
        yield Finding(
            check=_NAME,
            status=Status.WARN,
            what="the GPUs have no links in /dev/char",
            why="systemd manages cgroups, and with some releases of runc `systemctl daemon-reload` then takes the GPUs"
            " from running containers",
            mend=mend(subject, "link-devices"),
        )
    else:
        yield Finding(check=_NAME, status=Status.OK, what="managed by systemd, which knows of GPUs by CDI")


def _by_cdi(subject: Subject, info: EngineInfo) -> Mend:
    """What lets containers ask for GPUs by CDI, where the engine is new enough for it."""
    if info.version is None or info.version < feature(subject.hosts, "cdi"):
        return Mend()
    asked = Mend(hints=("ask for GPUs by CDI: `docker run --device nvidia.com/gpu=all`, not --gpus all",))
    return asked if info.cdi_folders else mend(subject, "enable-cdi") + restarted(subject) + asked
