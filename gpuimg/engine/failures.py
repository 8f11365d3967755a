"""What a failed build amounts to: the engine's words → one error with the command that helps."""

from __future__ import annotations

import re

from gpuimg.engine.progress import BuildState, Step
from gpuimg.errors import BuildError, DiskFullError, GpuimgError, ImageNotFoundError
from gpuimg.text import shorten

_NO_BASE = re.compile(
    r"failed to resolve source metadata for (?P<base>\S+?): |pull access denied|failed to do request|manifest unknown"
)

_UNREACHABLE = "|".join(
    (
        "dns error",
        "Temporary failure",
        "Could not resolve",
        "failed to lookup address",
        "Connection refused",
        "error sending request",
        "Failed to fetch",
        "Connection timed out",
        "Network is unreachable",
    )
)
_CAUSES = (
    (
        r"Hash mismatch|(?i:do not match the hashes)",
        "a wheel that the index gave is not the one that the matrix has: a changed mirror, or worse; don't use it",
    ),
    (
        r"UnknownIssuer|invalid peer certificate|(?i:certificate.verify.failed)|local issuer certificate",
        "the build does not trust the index's certificate: name your company's CA with --ca-bundle FILE",
    ),
    (
        _UNREACHABLE,
        "the build can't reach it: try --build-network host, or name your mirror with --index-url URL",
    ),
    (
        r"not found in the (?:package registry|provided package)|no version of|No matching distribution",
        "the index lacks a wheel of the stack: use a full mirror, or leave --index-url out",
    ),
    (
        r"No solution found|unsatisfiable",
        "an extra can't be had beside this stack: choose another version of it",
    ),
)
"""What the words in a failed step's log point to, and what helps; the first that fits is likely the cause."""


def build_failure(state: BuildState) -> GpuimgError:
    """Give the error for a build that ended with one."""
    step = state.failed_step
    message = state.error or "unknown"
    tail = step.log_tail if step else ()
    text = "\n".join([message, *tail])
    if re.search(r"no space left on device", text, re.IGNORECASE):
        return disk_full(f"at: {_step_name(step)}")
    no_base = _NO_BASE.search(message)
    if no_base and not tail:
        named = re.search(r"metadata for (\S+)", step.title if step else "")  # 20.10 says it in the step's name alone
        return _no_base(message, no_base["base"] or (named[1] if named else ""))
    hints = [hint for pattern, hint in _CAUSES if re.search(pattern, text)]
    return BuildError(
        f"the build failed at: {shorten(_step_name(step), 100)}" if step else f"the build failed: {message}",
        step=_step_name(step),
        log_tail=tail or [message],
        hints=hints[:2],
    )


def _step_name(step: Step | None) -> str:
    return shorten(step.title, 200) if step else "before its first step"


def _no_base(message: str, base: str) -> ImageNotFoundError:
    name = f"`{base}`" if base else "of the Dockerfile"
    return ImageNotFoundError(
        f"the base image {name} is not on the engine and can't be pulled: {message.rpartition(': ')[2]}",
        hints=[
            f"can this host reach the registry? `docker pull {base or 'IMAGE'}` shows it",
            f"where a mirror has it, pull it from there and name it so: `docker tag MIRRORED {base or 'IMAGE'}`",
            "use another with --base IMAGE, but for one that nvcc comes from",
        ],
    )


def disk_full(text: str) -> DiskFullError:
    """The error for an engine whose disk is full; `text` is what it said."""
    return DiskFullError(
        f"the engine ran out of disk: {text}",
        hints=["`docker system df` shows what takes the space", "`docker builder prune` frees the build cache"],
    )
