"""Whether builds and the engine trust the company's certificates that this shell trusts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gpuimg.doctor.finding import Finding, Mend, Status, Subject, mend, restarted
from gpuimg.errors import RequestError
from gpuimg.settings import ca_bundle
from gpuimg.text import shown_path

_NAME: Final = "certificates"
_OTHERS: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_SYSTEM: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
)
"""Where Go's crypto/x509, and with it the engine, looks; the first that is there counts."""
_REGISTRIES: Final = "/etc/docker/certs.d"
_COMPANYS: Final = 20
"""A bundle of more certificates is a public one, of another age than the system's; a company's may be in it or not."""
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


def check(subject: Subject) -> Iterator[Finding]:
    """Look at the bundle that builds get, and at what the engine trusts."""
    environ = subject.machine.environ
    named = environ.get("SSL_CERT_FILE")
    if not named:
        other = next((name for name in _OTHERS if environ.get(name)), None)
        if other is None:
            yield Finding(check=_NAME, status=Status.OK, what="the system's own")
            return
        yield Finding(
            check=_NAME,
            status=Status.WARN,
            what=f"{other} is set, and SSL_CERT_FILE is not",
            why="builds get the bundle that SSL_CERT_FILE names",
            mend=Mend(commands=(f'export SSL_CERT_FILE="${other}"',)),
        )
        return
    try:
        bundle = ca_bundle(subject.machine.path(named) if named.startswith("/") else Path(named))
    except RequestError as error:
        yield Finding(
            check=_NAME,
            status=Status.FAIL,
            what=f"SSL_CERT_FILE: {error.message}",
            why="gpuimg refuses to build with it",
            mend=Mend(commands=("unset SSL_CERT_FILE",)),
        )
        return
    yield _trust(subject, _certificates(bundle.decode("utf-8", "replace")), named)


def _trust(subject: Subject, ours: set[str], named: str) -> Finding:
    shown = shown_path(Path(named))
    if not subject.is_local or subject.info is None:
        what = f"{shown} is a PEM bundle, for builds; what the engine trusts can't be looked at"
        return Finding(check=_NAME, status=Status.OK, what=what)
    trusted: set[str] = set()
    for path in (*_system(subject), *_registries(subject)):
        trusted |= _certificates(subject.machine.read(path) or "")
    foreign = len(ours - trusted)
    if not foreign:
        return Finding(check=_NAME, status=Status.OK, what=f"the engine trusts what {shown} has, too")
    if len(ours) > _COMPANYS:
        return Finding(
            check=_NAME,
            status=Status.OK,
            what=f"{shown} has {len(ours)} certificates, of which the engine knows all but {foreign}",
            why="where one of those is your company's, the engine needs it as well",
        )
    return Finding(
        check=_NAME,
        status=Status.WARN,
        what=f"{foreign} of {len(ours)} certificates of {shown} are unknown to the engine",
        why="builds trust them; pulls from a registry or through a proxy that they sign fail",
        mend=mend(subject, "trust-ca", file=shlex.quote(named)) + restarted(subject),
    )


def _system(subject: Subject) -> tuple[str, ...]:
    found = [path for path in _SYSTEM if subject.machine.exists(path)]
    return tuple(found[:1])


def _registries(subject: Subject) -> Iterator[str]:
    for registry in subject.machine.names(_REGISTRIES):
        for name in subject.machine.names(f"{_REGISTRIES}/{registry}"):
            if name.endswith(".crt"):
                yield f"{_REGISTRIES}/{registry}/{name}"


def _certificates(text: str) -> set[str]:
    return {"".join(body.split()) for body in _PEM.findall(text)}
