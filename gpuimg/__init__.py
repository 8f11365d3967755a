"""gpuimg: a version matrix, Dockerfile templates and a smoke step for GPU training images.

As a library: `resolve` a spec, `plan` an image, `lock_extras` of the plan, `render` its build context, and
`write_context` to a folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuimg.api import (
        Context,
        Matrix,
        Plan,
        Resolution,
        Stack,
        load_matrix,
        lock_extras,
        plan,
        render,
        resolve,
        write_context,
    )

__version__ = "0.1.0"
__all__ = [
    "Context",
    "Matrix",
    "Plan",
    "Resolution",
    "Stack",
    "__version__",
    "load_matrix",
    "lock_extras",
    "plan",
    "render",
    "resolve",
    "write_context",
]

if not TYPE_CHECKING:  # a type checker would take it to give any name at all

    def __getattr__(name: str) -> object:
        """Import the library when it is first asked for: the command line starts without it."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from gpuimg import api

        return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
