"""Names that users give to what a manifest makes: what Kubernetes and its controllers make of them must be names too.

The rules: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

from __future__ import annotations

import re
from typing import Final

from gpuimg.errors import RequestError
from gpuimg.export.values import LABEL, SUBDOMAIN
from gpuimg.text import shown

_POD_SUFFIX: Final = "-abcde"
"""As long as what Kubernetes adds to the name of a Job's pod."""
_REVISION: Final = 11
"""So many characters a StatefulSet adds to its name for a label of its pods, which has 63."""


def job_name(text: str, *, pods: int) -> str:
    """`text` if it can name a Job of `pods` pods and their Service. Raises RequestError.

    Its pods are called ``NAME-INDEX``, which must be a DNS label too; a Service's name begins with a letter.
    """
    return _name(text, room=len(f"-{pods - 1}"), what=f"a Job of {pods} pods", example="gpuimg-smoke")


def job_set_name(text: str, *, group: str, pods: int) -> str:
    """`text` if it can name a JobSet whose only Job is `group`, with `pods` pods. Raises RequestError.

    JobSet's webhook wants room for ``-GROUP-0-INDEX`` and for what Kubernetes adds to a pod's name.
    """
    room = len(f"-{group}-0-{pods - 1}{_POD_SUFFIX}")
    return _name(text, room=room, what=f"a JobSet of {pods} pods", example="train")


def pytorch_job_name(text: str, *, pods: int) -> str:
    """`text` if it can name a PyTorchJob of `pods` pods. Raises RequestError.

    Each has a Service of its name, ``NAME-master-0`` or ``NAME-worker-INDEX``.
    """
    room = len(f"-worker-{max(pods - 2, 0)}")
    return _name(text, room=room, what=f"a PyTorchJob of {pods} pods", example="train")


def server_name(text: str) -> str:
    """`text` if it can name a StatefulSet or a Deployment, and its Service. Raises RequestError."""
    return _name(text, room=_REVISION, what="a server", example="notebook")


def _name(text: str, *, room: int, what: str, example: str) -> str:
    """`text` if it is a DNS label that begins with a letter and leaves `room` characters of 63."""
    longest = 63 - room
    if not re.fullmatch(LABEL, text, re.ASCII) or text[0].isdigit() or len(text) > longest:
        raise RequestError(
            f"`{shown(text)}` can't name {what}",
            hints=[f"use at most {longest} of a-z, 0-9 and -, beginning with a letter: --name {example}"],
        )
    return text


def namespace(text: str) -> str:
    """`text` if it can name a namespace (a DNS label). Raises RequestError."""
    if not re.fullmatch(LABEL, text, re.ASCII) or len(text) > 63:
        raise RequestError(
            f"`{shown(text)}` can't name a namespace",
            hints=["use at most 63 of a-z, 0-9 and -: --namespace training"],
        )
    return text


def object_name(text: str | None, *, option: str) -> str | None:
    """`text`, where `option` gave one, if it can name a Secret or a RuntimeClass (a subdomain). Raises RequestError."""
    if text is not None and (not re.fullmatch(SUBDOMAIN, text, re.ASCII) or len(text) > 253):
        raise RequestError(
            f"`{shown(text)}` can't be a name in Kubernetes",
            hints=[f"use a-z, 0-9, - and dots: {option} my-name"],
        )
    return text
