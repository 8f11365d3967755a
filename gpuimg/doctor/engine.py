"""Whether an engine is there and answers this user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gpuimg.doctor.finding import Finding, Mend, Status, Subject, mend
from gpuimg.errors import EngineForbiddenError, EngineNotFoundError, GpuimgError

_NAME: Final = "engine"
_DAEMONS: Final = ("/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd", "/snap/bin/dockerd")
_PODMAN_SOCKET: Final = "systemctl --user enable --now podman.socket"


def check(subject: Subject) -> Iterator[Finding]:
    """Look at the engine; where it doesn't answer, at what is installed."""
    problem, info = subject.engine.problem, subject.info
    if info is None:
        if problem is not None:
            yield _no_engine(subject, problem)
        return
    where = f"at {subject.engine.host}"
    kind = "Podman" if info.is_podman else "Docker"
    rootless = ", rootless" if info.is_rootless else ""
    what = f"{kind} {info.release}, API {info.api}{rootless}, {where}"
    if info.text("OSType") not in {"", "linux"}:
        yield Finding(
            check=_NAME,
            status=Status.FAIL,
            what=what,
            why=f"it runs {info.text('OSType')} containers, and these images are Linux's",
            mend=Mend(hints=("switch Docker Desktop to Linux containers",)),
        )
        return
    why = "" if subject.is_local else "it runs on another machine, of which this one's files say nothing"
    yield Finding(check=_NAME, status=Status.OK, what=what, why=why)


def _no_engine(subject: Subject, problem: GpuimgError) -> Finding:
    if isinstance(problem, EngineForbiddenError):
        return _forbidden(subject, problem)
    named = subject.machine.environ.get("DOCKER_HOST")
    if not isinstance(problem, EngineNotFoundError) or not subject.engine.host:
        why, mends = "", Mend(hints=problem.hints)
    elif not subject.is_local:
        why = "DOCKER_HOST names it" if named else "the current docker context names it"
        mends = Mend(hints=("is its machine up, and reachable from here? `docker context ls` shows what there is",))
    elif named:
        why = "DOCKER_HOST names it, whatever else runs here"
        mends = Mend(commands=("unset DOCKER_HOST",))
    else:
        why, mends = _not_running(subject)
    return Finding(check=_NAME, status=Status.FAIL, what=problem.message, why=why, mend=mends)


def _not_running(subject: Subject) -> tuple[str, Mend]:
    """What is installed, though it doesn't answer."""
    machine = subject.machine
    if machine.which("dockerd") or any(machine.exists(path) for path in _DAEMONS):
        problem = "start-engine" if subject.distribution.systemd else "start-engine-without-systemd"
        return "Docker is installed here and doesn't run", mend(subject, problem)
    if machine.which("podman"):
        command = f"export DOCKER_HOST=unix://${{XDG_RUNTIME_DIR}}/podman/podman.sock && {_PODMAN_SOCKET}"
        return (
            "Podman is here, whose builds are not BuildKit's: install Docker beside it",
            mend(subject, "install-engine") + Mend(hints=(f"or try Podman's service: `{command}`",)),
        )
    return "no engine is installed here; `gpuimg render` needs none", mend(subject, "install-engine")


def _forbidden(subject: Subject, problem: GpuimgError) -> Finding:
    user = subject.machine.environ.get("USER", "")
    groups = subject.machine.read("/etc/group") or ""
    rows = [line.split(":") for line in groups.splitlines() if line.startswith("docker:")]
    is_member = any(user and user in row[-1].split(",") for row in rows)
    return Finding(
        check=_NAME,
        status=Status.FAIL,
        what=problem.message,
        why="this login is older than the user's place in the group docker"
        if is_member
        else "it listens to root and to the group docker",
        mend=mend(subject, "log-in-again" if is_member else "join-docker-group"),
    )
