"""Which kinds of manifest there are, which one an image gets, and what users can say of each. Pure: asks no cluster."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Final

from gpuimg.errors import RequestError
from gpuimg.export.image import ExportedImage
from gpuimg.export.k8s import names
from gpuimg.export.k8s.train import GROUP, JOB, JOB_SET, PYTORCH_JOB
from gpuimg.facts import Flavor
from gpuimg.launch.ports import JUPYTER, SERVE
from gpuimg.text import did_you_mean, shown

SMOKE: Final = "smoke"
NOTEBOOK: Final = "notebook"
SERVER: Final = "server"
KINDS: Final = (JOB, JOB_SET, PYTORCH_JOB, NOTEBOOK, SERVER)
_TRAINING: Final = (JOB, JOB_SET, PYTORCH_JOB)
_FITS: Final[Mapping[str, tuple[str, ...]]] = {
    "--multi-node": (SMOKE,),
    "--only": (SMOKE,),
    "--skip": (SMOKE,),
    "--nodes": (SMOKE, *_TRAINING),
    "--timeout": (SMOKE, *_TRAINING),
    "--no-torchrun": _TRAINING,
    "--max-restarts": _TRAINING,
    "--storage": (NOTEBOOK,),
    "--storage-class": (NOTEBOOK,),
    "a command": (*_TRAINING, SERVER),
}
"""Options that mean something to some kinds alone."""
_SHOWN: Final = {SMOKE: "--smoke"}
_CALLED: Final = {SMOKE: "gpuimg-smoke", NOTEBOOK: "notebook", SERVER: "server"}
_HEALTH_HINT: Final = "write it as --env HEALTH_URL=http://127.0.0.1:8000/health"


def choose_kind(named: str | None, image: ExportedImage, *, smoke: bool, nodes: int, command: Sequence[str]) -> str:
    """The kind that was `named`, or the one that the image is for. Raises RequestError where that is none."""
    if smoke:
        if named is not None:
            raise RequestError("--smoke is a kind of its own", hints=["leave --smoke or --kind out"])
        return SMOKE
    flavor = image.label("flavor")
    if named is not None:
        if named not in KINDS:
            hints = [*did_you_mean(named, list(KINDS)), f"kinds are {', '.join(KINDS)}"]
            raise RequestError(f"there is no kind `{shown(named)}`", hints=hints)
        if named == NOTEBOOK and flavor and flavor != JUPYTER:
            raise RequestError(
                f"{image.reference} is of flavor {flavor}, which has no notebook server",
                hints=["name one that has: 2.6-cu124-jupyter"],
            )
        return named
    if flavor == JUPYTER and not command and image.command[:1] in {(), (JUPYTER,)}:
        return NOTEBOOK
    if flavor == SERVE:
        return SERVER
    return JOB if nodes == 1 else JOB_SET


def refuse_strays(kind: str, given: Mapping[str, bool]) -> None:
    """Raise RequestError for an option that was `given` and means nothing to `kind`."""
    for option, is_given in given.items():
        if is_given and kind not in _FITS[option]:
            kinds = ", ".join(_SHOWN.get(each, each) for each in _FITS[option])
            raise RequestError(
                f"{option} means nothing to {_SHOWN.get(kind, f'a {kind}')}", hints=[f"it is for {kinds}: leave it out"]
            )


def read_name(kind: str, text: str | None, *, nodes: int) -> str:
    """`text` if it can name that kind, or what it is called by itself. Raises RequestError."""
    named = text if text is not None else _CALLED.get(kind, "train")
    if kind in {NOTEBOOK, SERVER}:
        return names.server_name(named)
    if kind == JOB_SET:
        return names.job_set_name(named, group=GROUP, pods=nodes)
    if kind == PYTORCH_JOB:
        return names.pytorch_job_name(named, pods=nodes)
    return names.job_name(named, pods=nodes)


def health(flavors: Sequence[Flavor], name: str, *, own: str | None = None) -> tuple[str, int]:
    """Path and port that the health check of a flavor asks; `own` is a URL that takes the place of its own.

    Raises RequestError where there is none.
    """
    url = own if own is not None else next((flavor.health for flavor in flavors if flavor.name == name), None)
    if url is None:
        raise RequestError(
            f"flavor {name} has no health check to ask",
            hints=[_HEALTH_HINT, "or give the flavor `health` in flavors.yaml"],
        )
    try:
        parts = urllib.parse.urlsplit(url)
        port = 80 if parts.port is None else parts.port
    except ValueError as error:
        raise RequestError(f"HEALTH_URL: `{shown(url)}` is no URL", hints=[_HEALTH_HINT]) from error
    if parts.scheme != "http" or not parts.hostname or not port:
        raise RequestError(f"HEALTH_URL: `{shown(url)}` is not one that a probe can ask", hints=[_HEALTH_HINT])
    return urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, "")), port
