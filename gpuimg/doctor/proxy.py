"""Whether the engine and the builds use the proxy that this shell uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gpuimg.doctor.finding import Finding, Mend, Status, Subject, mend, restarted

_NAME: Final = "proxy"
_NAMES: Final = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
_LOOPBACK: Final = re.compile(r"(?:.*://)?(?:[^@/]*@)?(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::|/|$)")


def check(subject: Subject) -> Iterator[Finding]:
    """Look at the shell's proxies beside the engine's."""
    environ, info = subject.machine.environ, subject.info
    named = {name: environ[name] for name in _NAMES if environ.get(name)}
    engines = [] if info is None else [text for key in ("HttpsProxy", "HttpProxy") if (text := info.text(key))]
    if not named and not engines:
        yield Finding(check=_NAME, status=Status.OK, what="none, neither here nor in the engine")
        return
    secret = [name for name, value in named.items() if "@" in value]
    if secret:
        yield Finding(
            check=_NAME,
            status=Status.WARN,
            what=f"{secret[0]} holds a password, so builds don't get it",
            why="the engine keeps build arguments in its records",
            mend=Mend(hints=("name a proxy that asks for none, or mirrors with --index-url and --torch-index-url",)),
        )
    local = [name for name, value in named.items() if _LOOPBACK.match(value) and name not in secret]
    if local:
        yield Finding(
            check=_NAME,
            status=Status.WARN,
            what=f"{local[0]} is on this machine's loopback, which builds don't reach",
            why="a build has a network of its own, with a loopback of its own",
            mend=Mend(hints=("`gpuimg build --build-network host` gives builds this machine's",)),
        )
    yield from _engines(subject, bool(named), bool(engines), other=bool(secret or local))


def _engines(subject: Subject, ours: bool, theirs: bool, *, other: bool) -> Iterator[Finding]:
    if ours and not theirs and subject.info is not None:
        yield Finding(
            check=_NAME,
            status=Status.WARN,
            what="this shell has a proxy, and the engine has none",
            why="the engine pulls base images itself, past the proxy",
            mend=_given(subject),
        )
    elif theirs and not ours:
        yield Finding(
            check=_NAME,
            status=Status.WARN,
            what="the engine has a proxy, and this shell has none",
            why="builds get the shell's, not the engine's, and so reach no index",
            mend=Mend(hints=("set HTTPS_PROXY, HTTP_PROXY and NO_PROXY here as the engine has them: `docker info`",)),
        )
    elif not other:
        what = "the same way out for shell and engine" if theirs else "this shell has one; no engine to ask for its own"
        yield Finding(check=_NAME, status=Status.OK, what=what)


def _given(subject: Subject) -> Mend:
    if not subject.is_local:
        return Mend(hints=("on the engine's machine: https://docs.docker.com/engine/daemon/proxy/",))
    if subject.info is not None and subject.info.is_rootless:
        return mend(subject, "give-engine-the-proxy-rootless") + restarted(subject)
    if not subject.distribution.systemd:
        return mend(subject, "give-engine-the-proxy-without-systemd")
    return mend(subject, "give-engine-the-proxy") + restarted(subject)
