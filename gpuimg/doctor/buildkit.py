"""Whether the engine can build with BuildKit, whose mounts our Dockerfiles need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gpuimg.doctor.features import feature
from gpuimg.doctor.finding import Finding, Status, Subject, mend

_NAME: Final = "buildkit"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at which engine it is, and which release."""
    info = subject.info
    if info is None:
        yield Finding(check=_NAME, status=Status.SKIP, what="no engine to ask")
    elif info.is_podman:
        yield Finding(
            check=_NAME,
            status=Status.FAIL,
            what=f"Podman {info.release} has none",
            why="its builder knows neither the mounts nor the progress that `gpuimg build` is written for;"
            " `gpuimg verify` and `gpuimg render` work",
            mend=mend(subject, "install-engine"),
        )
    elif info.version is not None and info.version < feature(subject.hosts, "buildkit-by-default"):
        yield Finding(
            check=_NAME,
            status=Status.OK,
            what="there, by request",
            why=f"plain `docker build` needs DOCKER_BUILDKIT=1 before Docker"
            f" {feature(subject.hosts, 'buildkit-by-default')}; gpuimg asks for it itself",
        )
    else:
        yield Finding(check=_NAME, status=Status.OK, what="there")
