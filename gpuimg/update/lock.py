"""The wheel-set files of the matrix: those whose inputs have changed are resolved anew, the others stay as they are."""

from __future__ import annotations

import contextlib
import functools
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeAlias

from gpuimg.errors import UpstreamError
from gpuimg.extras.uv import find_uv
from gpuimg.facts import Stack, StackPlatform
from gpuimg.matrix.files import read_document
from gpuimg.matrix.rows import build_row
from gpuimg.update.builds import PYPI, Build
from gpuimg.update.closure import Found, close
from gpuimg.update.index import IndexFile, read_project
from gpuimg.update.record import Record
from gpuimg.update.session import Session
from gpuimg.update.sets import Bound, Inputs, derive_sets, dump_sets, inputs_of
from gpuimg.versions import CudaVersion
from gpuimg.wheels import Target

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with how many steps are done, how many are known so far, and what was done last."""

_LEAVE_OUT: Final = "where no set can be closed for a Python, a row of `left_out` in builds.yaml says so"
_RESOLVERS: Final = 8
"""uv processes at a time: each waits for the index more than it computes."""


def lock_sets(
    wanted: Sequence[Inputs],
    folder: Path,
    *,
    relock: Set[str],
    index_url: str,
    today: date,
    open_session: Callable[[], Session],
    progress: Progress,
) -> dict[str, str]:
    """Give the texts of all wheel-set files of the matrix in `folder`, by name below it.

    Sets are resolved anew where what they rest on has changed, and for the stacks in `relock`.

    Raises:
        UpstreamError: uv finds no set, or the index doesn't answer.
    """
    texts: dict[str, str] = {}
    stale: list[Inputs] = []
    for inputs in wanted:
        path = folder / "wheels" / f"{inputs.stack.name}.yaml"
        old = read_document(path, schema="wheels") if path.exists() else None
        if old is not None and old["inputs"] == inputs.digest and inputs.stack.name not in relock:
            texts[f"wheels/{path.name}"] = path.read_text(encoding="utf-8")
        else:
            stale.append(inputs)
    jobs = [(inputs, on) for inputs in stale for on in inputs.stack.platforms]
    if not jobs:
        return texts
    uv = subprocess.run([*find_uv(), "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    with open_session() as session:
        for done, (inputs, on, row) in enumerate(_resolved(jobs, index_url, session), start=1):
            found[inputs.stack.name, str(on.platform)] = row
            progress(done, len(jobs), f"wheel sets of {inputs.stack.name} on {on.platform}")
    for inputs in stale:
        document = {
            "schema": 1,
            "stack": inputs.stack.name,
            "resolved_with": f"uv {uv}",
            "resolved_on": today.isoformat(),
            "inputs": inputs.digest,
            "platforms": [found[inputs.stack.name, str(on.platform)] for on in inputs.stack.platforms],
        }
        texts[f"wheels/{inputs.stack.name}.yaml"] = dump_sets(_dated(document, folder))
    return texts


def inputs_for(
    stacks: Sequence[Stack], builds: Sequence[Build], folder: Path, *, pytorch: Record | None
) -> tuple[Inputs, ...]:
    """Give what the wheel sets of each stack rest on; bounds and toolkits are those of the matrix in `folder`."""
    bounds, cudas = _bounds(folder), _cudas_with_wheels(folder)
    return tuple(
        inputs_of(
            stack,
            requirements=_requirements(stack, builds),
            bounds=bounds,
            toolkit=stack.cuda in cudas,
            pytorch=pytorch,
        )
        for stack in stacks
    )


def _resolved(
    jobs: Sequence[tuple[Inputs, StackPlatform]], index_url: str, session: Session
) -> Iterator[tuple[Inputs, StackPlatform, dict[str, Any]]]:
    """The sets of each job as they come; the first that fails stops those that have not begun."""

    @functools.cache
    def listed(name: str) -> Sequence[IndexFile]:
        return read_project(index_url, project=name, index=PYPI, session=session)

    @functools.cache  # the stacks of one torch share what it needs beside its libraries
    def resolve(requirements: tuple[str, ...], constraints: tuple[str, ...], target: Target) -> Mapping[str, Found]:
        return close(requirements, constraints=constraints, target=target, index_url=index_url, listed=listed)

    pool = ThreadPoolExecutor(_RESOLVERS)
    try:
        running = {pool.submit(derive_sets, inputs, on=on, close=resolve): (inputs, on) for inputs, on in jobs}
        for job in as_completed(running):
            inputs, on = running[job]
            try:
                yield inputs, on, job.result()
            except UpstreamError as error:
                subject = f"{inputs.stack.name}: {error.subject}"
                hints = [_LEAVE_OUT] if "unsatisfiable" in error.problem else error.hints
                raise UpstreamError(error.index, subject, error.problem, hints=hints) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _dated(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """With the date and the uv of the old file where the wheels are the same: a second run changes nothing."""
    path = folder / "wheels" / f"{document['stack']}.yaml"
    with contextlib.suppress(OSError):
        old = read_document(path, schema="wheels") if path.exists() else {}
        if old.get("platforms") == document["platforms"]:
            return {**document, "resolved_with": old["resolved_with"], "resolved_on": old["resolved_on"]}
    return document


def _requirements(stack: Stack, builds: Sequence[Build]) -> Mapping[str, tuple[str, ...]]:
    mine = [build for build in builds if (build.torch, build.cuda) == (stack.torch, stack.cuda)]
    return {str(build.platform): build.requirements for build in mine if build.requirements}


def _bounds(folder: Path) -> tuple[Bound, ...]:
    rows = read_document(folder / "local.yaml", schema="local").get("constraints", ())
    return tuple(
        build_row(Bound, row, file=f"{folder.name}/local.yaml", where=f"constraints[{n}]") for n, row in enumerate(rows)
    )


def _cudas_with_wheels(folder: Path) -> Set[CudaVersion]:
    """The CUDAs whose nvcc comes as wheels."""
    rows = read_document(folder / "bases.yaml", schema="bases").get("toolkits", ())
    return {CudaVersion.parse(row["cuda"]) for row in rows if row["kind"] == "wheels"}
