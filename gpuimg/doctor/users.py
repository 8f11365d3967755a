"""Whose files those in a container are: user namespaces, by a rootless engine or ``userns-remap``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gpuimg.doctor.finding import Finding, Mend, Status, Subject, mend

_NAME: Final = "users"
_TOOLKIT_CONFIG: Final = "/etc/nvidia-container-runtime/config.toml"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at the engine's security options."""
    info = subject.info
    if info is None:
        yield Finding(check=_NAME, status=Status.SKIP, what="no engine to ask")
        return
    if info.is_rootless:
        yield from _rootless(subject)
    elif "userns" in info.security:
        yield Finding(
            check=_NAME,
            status=Status.WARN,
            what="the engine maps users of containers to others of its machine (userns-remap)",
            why="files in mounted folders belong to neither, and the toolkit may not open the GPUs for them",
            mend=Mend(hints=("leave one container out of it: `docker run --userns host …`",)),
        )
    else:
        yield Finding(check=_NAME, status=Status.OK, what="users of containers are those of the machine")


def _rootless(subject: Subject) -> Iterator[Finding]:
    info = subject.info
    if info is None:
        return
    hook = info.nvidia_runtime is not None
    config = subject.machine.read(_TOOLKIT_CONFIG) or ""
    left_alone = any(line.replace(" ", "").startswith("no-cgroups=true") for line in config.splitlines())
    if hook and subject.is_local and not left_alone:
        yield Finding(
            check=_NAME,
            status=Status.FAIL,
            what="the engine is rootless, and the toolkit wants to manage cgroups",
            why="containers with GPUs don't start: `failed to add device rules`, or `operation not permitted`",
            mend=mend(subject, "leave-cgroups-to-rootless"),
        )
    elif info.text("CgroupDriver") == "none" or info.text("CgroupVersion") == "1":
        yield Finding(
            check=_NAME,
            status=Status.WARN,
            what="the engine is rootless and can't limit memory or CPUs",
            why="that needs cgroup v2 and systemd; --memory has no effect",
            mend=Mend(hints=("how: https://docs.docker.com/engine/security/rootless/tips/",)),
        )
    else:
        yield Finding(
            check=_NAME, status=Status.OK, what="the engine is rootless: root in a container is you outside of it"
        )
