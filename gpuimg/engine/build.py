"""`Context` → an image on the engine, through the engine's own BuildKit.

``POST /build?version=2`` with a tar body runs BuildKit without buildx and without a session. No session means that no
secret can reach the build, which is why `gpuimg.settings` lets none into a context.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping

from gpuimg.engine.archive import tar, tar_chunks
from gpuimg.engine.client import Engine
from gpuimg.engine.failures import build_failure
from gpuimg.engine.images import find_image
from gpuimg.engine.progress import BuildState, decode
from gpuimg.errors import GpuimgError, HostError
from gpuimg.model import Context, Image
from gpuimg.versions import Platform


def build_image(
    engine: Engine,
    context: Context,
    *,
    platform: Platform,
    network: str | None = None,
    target: str | None = None,
    build_args: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    on_progress: Callable[[BuildState], None] = lambda _: None,
) -> Image:
    """Give the untagged image that `context` builds. On any error, Ctrl-C included, the engine's build is cancelled.

    Args:
        network: the engine's network for RUN steps, such as ``host``; None: its default bridge.
        target: the stage to build; None: the last one.
        build_args: values for the Dockerfile's ARG instructions.
        labels: more labels, beside those of the Dockerfile.
        on_progress: called after each event.

    Raises:
        BuildError: a step failed.
        ImageNotFoundError: the base image is neither on the engine nor can be pulled.
        DiskFullError: the engine ran out of disk.
        HostError: the engine went away.
    """
    build_id = uuid.uuid4().hex
    state = BuildState()
    with _cancelling(engine, build_id):
        for event in decode(
            engine.post_build(
                _body(context),
                build_id=build_id,
                platform=str(platform),
                network=network,
                target=target,
                build_args=build_args or {},
                labels=labels or {},
            )
        ):
            state.apply(event)
            on_progress(state)
    if state.error is not None:
        raise build_failure(state)
    if state.image_id is None:
        raise HostError(
            "the engine ended the build without an image and without an error",
            hints=[
                "look at the engine's log: `journalctl -u docker`",
                "is it a BuildKit engine (Docker 20.10 or newer)?",
            ],
        )
    return find_image(engine, state.image_id)


def _body(context: Context) -> bytes | Iterator[bytes]:
    """The context as one tar; piece by piece where there are files that are not held."""
    if context.large or context.code:
        return tar_chunks(context.files, context.large, context.code)
    return tar(context.files)


@contextlib.contextmanager
def _cancelling(engine: Engine, build_id: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(GpuimgError):
            engine.cancel_build(build_id)
        raise
