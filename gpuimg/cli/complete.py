"""What shells complete: values that the matrix and the checks know. No engine and no network is asked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gpuimg.facts import Matrix

_ASKED: Final = "_GPUIMG_COMPLETE"
"""What the scripts of `gpuimg --show-completion` set when they ask."""


def is_asked() -> bool:
    """Whether a shell asks, in the middle of a line: whatever goes wrong, nothing may be printed into it."""
    return _ASKED in os.environ


def specs(ctx: Any, incomplete: str) -> list[tuple[str, str]]:
    """Specs, with those of rows of your own."""
    from gpuimg.matrix.completion import complete_spec

    return list(complete_spec(incomplete, _matrix(ctx)))


def source_builds(ctx: Any) -> list[tuple[str, str]]:
    """Specs of the stacks that can be compiled."""
    return [(build.name, build.reason) for build in _matrix(ctx).source_builds]


def flavors(ctx: Any) -> list[tuple[str, str]]:
    """Names of flavors."""
    return [(flavor.name, flavor.summary) for flavor in _matrix(ctx).flavors]


def pythons(ctx: Any) -> list[str]:
    """Pythons that some stack has, newest first."""
    found = {python for stack in _matrix(ctx).stacks for each in stack.platforms for python in each.pythons}
    return [str(python) for python in sorted(found, reverse=True)]


def platforms() -> list[str]:
    """Platforms that images are built for."""
    from gpuimg.versions import Platform

    return [str(platform) for platform in Platform]


def checks() -> list[str]:
    """Groups and checks of the smoke step."""
    from gpuimg.smoke.guest.registry import CHECKS

    return [*dict.fromkeys(check.group for check in CHECKS.values()), *CHECKS]


def host_checks() -> list[str]:
    """Checks of `gpuimg doctor`."""
    from gpuimg.doctor.registry import CHECKS

    return list(CHECKS)


def _matrix(ctx: Any) -> Matrix:
    from gpuimg.matrix import load_matrix

    return load_matrix(tuple(ctx.params.get("matrix_dir") or ()))
