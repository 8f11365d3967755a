"""The library: the arrows from a spec to a build context, as other programs call them.

>>> from gpuimg import plan, render
>>> image = plan("2.6-cu124", flavor="devel")
>>> image.stack.name, str(image.stack.cudnn), str(image.python)
('2.6.0-cu124', '9.1.0.70', '3.13')
>>> render(image).tags[0]
'gpuimg:2.6.0-cu124-py313-devel'

Nothing here talks to an engine or prints, and what it gives depends on its arguments alone; only `lock_extras` asks a
network. Matrix files that were checked are remembered in ``$XDG_CACHE_HOME/gpuimg``. Every error that is raised on
purpose is a `gpuimg.errors.GpuimgError` with `message` and `hints`. What stands here is kept from release to release;
what other modules have may change.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TypeVar

from gpuimg import matrix as matrix_files
from gpuimg import settings
from gpuimg import write as folders
from gpuimg.errors import RequestError
from gpuimg.facts import Matrix, Stack
from gpuimg.model import Context, Plan, Resolution
from gpuimg.naming import REPOSITORY
from gpuimg.pipeline import plan as planning
from gpuimg.pipeline import render as rendering
from gpuimg.pipeline import resolve as resolving
from gpuimg.pipeline.spec import parse_spec

Item = TypeVar("Item")

__all__ = [
    "Context",
    "Matrix",
    "Plan",
    "Resolution",
    "Stack",
    "load_matrix",
    "lock_extras",
    "plan",
    "render",
    "resolve",
    "write_context",
]


def load_matrix(overlays: Sequence[str | PathLike[str]] = ()) -> Matrix:
    """Give the rows of the matrix; those of folders in `overlays` add to gpuimg's or take their place, the last first.

    Raises:
        MatrixError: a file doesn't hold: file, row, field.
    """
    return matrix_files.load_matrix(tuple(Path(folder) for folder in _several("overlays", overlays)))


def resolve(spec: str, *, matrix: Matrix | None = None) -> Resolution:
    """Give the stack that serves `spec`; where that is another one than was named, `substitution` says which and why.

    Args:
        spec: such as ``2.6-cu124``, ``2.6`` (its newest CUDA) or ``2.6.0-cuda12.4-cudnn9-devel``.
        matrix: None: gpuimg's own.

    Raises:
        SpecError: `spec` can't be read.
        UnknownStackError: no stack serves it; `nearest` names those that come closest.
        RequestError: it names a flavor that the matrix doesn't have.
    """
    return resolving.resolve(parse_spec(spec), matrix or _own_matrix())


def plan(
    wanted: str | Resolution,
    *,
    flavor: str | None = None,
    python: str | None = None,
    platform: str = "linux/amd64",
    base: str | None = None,
    extras: Sequence[str] = (),
    packages: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    workdir: str | None = None,
    command: Sequence[str] = (),
    index_url: str | None = None,
    torch_index_url: str | None = None,
    ca_bundle: str | PathLike[str] | None = None,
) -> Plan:
    """Give all that an image depends on, for a spec or what it was resolved to.

    Args:
        flavor: a row of the matrix, such as ``devel``; None: the spec's, else ``runtime``.
        python: such as ``3.11`` or ``3.13t``; None: the base's own where it fits.
        base: a reference to a Debian or Ubuntu image; None: the matrix's choice.
        extras: PEP 508 requirements, which the build resolves unless `lock_extras` does.
        packages: names of the distribution's packages.
        environment: variables of the image; they are no place for secrets.
        workdir: an absolute path in the image.
        command: what a container runs; empty: the flavor's own.
        index_url: replaces PyPI in the build. One with credentials is refused.
        torch_index_url: replaces PyTorch's own index.
        ca_bundle: a PEM file that the build trusts.

    Raises:
        RequestError: a setting can't be met, or its value is none.
        MatrixError: the stack's wheel set doesn't hold.
    """
    resolution = resolve(wanted) if isinstance(wanted, str) else wanted
    chosen = planning.Settings(
        flavor=flavor,
        python=settings.python_version(python) if python is not None else None,
        platform=settings.platform(platform),
        base=base,
        extras=_several("extras", extras),
        index_url=index_url,
        torch_index_url=torch_index_url,
        ca_bundle=settings.ca_bundle(Path(ca_bundle)) if ca_bundle is not None else None,
        packages=_several("packages", packages),
        environment=dict(environment or {}),
        workdir=workdir,
        command=_several("command", command),
    )
    return planning.make_plan(resolution, resolution.matrix, chosen)


def lock_extras(plan: Plan, *, environ: Mapping[str, str]) -> Plan:
    """Give `plan` with each file of its extras by hash, as uv resolves them against the stack: the index is asked.

    Args:
        environ: of uv's process: proxies, certificates, and what reaches a private index.

    Raises:
        RequestError: the extras contradict the stack or each other, don't exist, or need nvcc, which the image lacks.
        UpstreamError: the index doesn't answer, or not with what can be held to.
    """
    from gpuimg.extras import lock

    return lock.lock_extras(plan, plan.resolution.matrix, environ=environ)


def render(plan: Plan, *, template_dirs: Sequence[str | PathLike[str]] = (), repository: str = REPOSITORY) -> Context:
    """Give the build context: the Dockerfile and its files as bytes, the tags in `repository`, the plan's digest.

    Equal plans give equal bytes. Templates in `template_dirs` take the place of gpuimg's by name.

    Raises:
        RequestError: `repository` is no name, or a template doesn't hold.
    """
    return rendering.render(
        plan,
        plan.resolution.matrix,
        template_dirs=tuple(Path(folder) for folder in _several("template_dirs", template_dirs)),
        repository=settings.repository(repository),
    )


def write_context(context: Context, folder: str | PathLike[str]) -> None:
    """Write the context to `folder`, which ``docker build`` takes; an earlier one of gpuimg's there is replaced.

    Raises:
        RequestError: the folder holds files that gpuimg did not write, or it can't be written.
    """
    folders.write_context(context, Path(folder))


def _several(name: str, values: Sequence[Item]) -> tuple[Item, ...]:
    """`values`; a text is a sequence too, of its letters, which nobody means."""
    if isinstance(values, str):
        raise RequestError(f"{name} is a list, not one text", hints=[f"{name}=[{values!r}]"])
    return tuple(values)


@functools.cache
def _own_matrix() -> Matrix:
    return matrix_files.load_matrix()
