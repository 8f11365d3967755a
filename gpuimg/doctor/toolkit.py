"""Whether the engine can hand GPUs to containers: NVIDIA's Container Toolkit as a runtime, or CDI.

``--gpus`` works where the engine has the runtime ``nvidia``, or lists the devices ``nvidia.com/gpu=…`` of CDI; that is
what gpuimg itself goes by (`gpuimg.smoke.gpus.wanted_gpus`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Final

from gpuimg.doctor.features import feature
from gpuimg.doctor.finding import Finding, Mend, Status, Subject, mend, restarted
from gpuimg.engine.info import EngineInfo
from gpuimg.smoke.gpus import CDI_FOLDERS, wanted_gpus
from gpuimg.text import printable
from gpuimg.versions import DriverVersion

_NAME: Final = "toolkit"
_PROGRAMS: Final = ("nvidia-ctk", "nvidia-container-runtime", "nvidia-container-toolkit")
_LISTS: Final = "/etc/apt/sources.list.d"
_OLD_LISTS: Final = ("nvidia-docker.list", "nvidia-container-runtime.list", "libnvidia-container.list")
"""Of the toolkit's former repositories: without a key of their own, apt refuses the current one beside them."""
_LIBCUDA: Final = re.compile(r"libcuda\.so\.(\d{3,4}(?:\.\d+){1,2})")


def check(subject: Subject) -> Iterator[Finding]:
    """Look at what the engine offers, then at what is installed."""
    info = subject.info
    if info is not None and wanted_gpus("auto", info.raw) is not None:
        yield from _offered(subject, info)
    elif info is not None and info.is_desktop:
        yield _desktop(subject)
    elif not subject.is_local:
        yield Finding(
            check=_NAME,
            status=Status.WARN,
            what="the engine offers no GPUs",
            why="where its machine has some, its toolkit is not installed, or not registered with the engine",
            mend=Mend(hints=("run `gpuimg doctor` there",)),
        )
    elif not subject.nvidia.installed:
        yield Finding(check=_NAME, status=Status.SKIP, what="without a driver it has nothing to hand on")
    elif info is not None and info.is_snap:
        yield Finding(
            check=_NAME,
            status=Status.FAIL,
            what="the engine is a snap, which can't see the toolkit or the driver of this machine",
            mend=mend(subject, "leave-snap", "install-engine", *([] if _installed(subject) else ["install-toolkit"]))
            + _registered(subject),
        )
    elif not _installed(subject):
        yield Finding(
            check=_NAME,
            status=Status.FAIL,
            what="NVIDIA's Container Toolkit is not installed",
            why="containers get no GPU without it: `could not select device driver`, or `unknown runtime`",
            mend=_old_lists(subject) + mend(subject, "install-toolkit") + _registered(subject),
        )
    elif info is None:
        yield Finding(check=_NAME, status=Status.SKIP, what="installed; no engine to ask whether it knows of it")
    else:
        yield _unregistered(subject, info)


def _offered(subject: Subject, info: EngineInfo) -> Iterator[Finding]:
    runtime = info.nvidia_runtime
    if runtime is None:
        stale = _stale(subject, info)
        yield stale or Finding(check=_NAME, status=Status.OK, what="the engine hands on GPUs by CDI")
        return
    missing = subject.is_local and not info.is_snap and not _has(subject, runtime)
    if missing:
        yield Finding(
            check=_NAME,
            status=Status.FAIL,
            what=f"the engine's runtime nvidia is `{printable(runtime)}`, and that is not there",
            why="the toolkit was removed, or lies elsewhere",
            mend=_old_lists(subject) + mend(subject, "install-toolkit") + _registered(subject),
        )
    elif subject.is_local and not subject.nvidia.installed:
        yield Finding(
            check=_NAME, status=Status.SKIP, what="the engine has the runtime nvidia; there is no driver to hand on"
        )
    else:
        yield Finding(check=_NAME, status=Status.OK, what="the engine has the runtime nvidia")


def _desktop(subject: Subject) -> Finding:
    """Docker Desktop has a machine of its own, and the toolkit in it on Windows only."""
    if subject.distribution.wsl:
        return Finding(
            check=_NAME,
            status=Status.FAIL if subject.nvidia.installed else Status.SKIP,
            what="Docker Desktop offers no GPUs",
            why="it does with WSL 2 as its backend and NVIDIA's driver for Windows",
            mend=mend(subject, "enable-desktop-gpus"),
        )
    return Finding(
        check=_NAME,
        status=Status.FAIL if subject.nvidia.installed else Status.SKIP,
        what="Docker Desktop's own machine has no GPUs",
        why="it hands on GPUs on Windows only; on Linux the plain engine does",
        mend=Mend(commands=("docker context use default",)),
    )


def _unregistered(subject: Subject, info: EngineInfo) -> Finding:
    """The toolkit is there, and the engine doesn't know."""
    by_default = feature(subject.hosts, "cdi-by-default")
    specs = [path for path, _ in _specs(subject, info)]
    if specs and info.cdi_folders and info.version is not None and info.version < by_default:
        why = f"it reads {specs[0]}, but tells so only from Docker {by_default} on, and gpuimg asks for what it tells"
        return Finding(
            check=_NAME,
            status=Status.WARN,
            what="the engine hands on GPUs by CDI, and gpuimg can't see it",
            why=why,
            mend=_registered(subject),
        )
    return Finding(
        check=_NAME,
        status=Status.FAIL,
        what="NVIDIA's Container Toolkit is installed, and the engine doesn't know of it",
        why="it has no runtime nvidia, and no CDI device of NVIDIA's",
        mend=_registered(subject),
    )


def _stale(subject: Subject, info: EngineInfo) -> Finding | None:
    """A CDI specification names the driver's files with their version: after an update it names files that are gone."""
    driver = subject.nvidia.driver
    for path, text in _specs(subject, info) if subject.is_local else ():
        named = {DriverVersion.parse(version) for version in _LIBCUDA.findall(text)}
        if driver is not None and named and driver not in named:
            return Finding(
                check=_NAME,
                status=Status.FAIL,
                what=f"{path} is of driver {max(named)}, and the driver is {driver}",
                why="the files that it hands to containers are gone",
                mend=mend(subject, "generate-cdi", file=shlex.quote(path)),
            )
    return None


def _specs(subject: Subject, info: EngineInfo) -> Iterator[tuple[str, str]]:
    """The CDI specifications of NVIDIA's GPUs: path and text."""
    for folder in info.cdi_folders or CDI_FOLDERS:
        for name in subject.machine.names(folder):
            text = subject.machine.read(f"{folder}/{name}") if name.endswith((".yaml", ".json")) else None
            if text is not None and "nvidia.com/gpu" in text:
                yield printable(f"{folder}/{name}"), text


def _installed(subject: Subject) -> bool:
    return any(_has(subject, name) for name in _PROGRAMS)


def _has(subject: Subject, program: str) -> bool:
    """Whether the program is there: by its path, or on PATH or where packages put programs."""
    if program.startswith("/"):
        return subject.machine.exists(program)
    return subject.machine.which(program) is not None or subject.machine.exists(f"/usr/bin/{program}")


def _registered(subject: Subject) -> Mend:
    rootless = subject.info is not None and subject.info.is_rootless
    return mend(subject, "configure-toolkit-rootless" if rootless else "configure-toolkit") + restarted(subject)


def _old_lists(subject: Subject) -> Mend:
    """What removes the lists that the toolkit's former instructions left."""
    found = [f"{_LISTS}/{name}" for name in _OLD_LISTS if subject.machine.exists(f"{_LISTS}/{name}")]
    return mend(subject, "drop-old-toolkit-lists", file=" ".join(found)) if found else Mend()
