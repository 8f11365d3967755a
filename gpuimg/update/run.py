"""One update of the matrix: read the indexes, derive the rows, resolve the wheel sets that have changed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from gpuimg.errors import RequestError, UpstreamError
from gpuimg.facts import Stack
from gpuimg.matrix.checks import check_wheels
from gpuimg.matrix.files import read_document
from gpuimg.matrix.load import load_matrix
from gpuimg.matrix.rows import build_row
from gpuimg.update.builds import PYPI, PYTORCH, collect_builds
from gpuimg.update.derive import derive_stacks, dump_stacks
from gpuimg.update.lock import Progress, inputs_for, lock_sets
from gpuimg.update.observe import IndexSource, observe
from gpuimg.update.record import Record, dump_record, load_record
from gpuimg.update.session import BACKOFF_S, Session, Traffic
from gpuimg.update.typed import Typed, load_typed
from gpuimg.versions import CudaVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What an update would write: file name below the matrix folder → its new text; None: the file goes."""

    files: Mapping[str, str | None]
    notices: tuple[str, ...]
    traffic: Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to update and from where."""

    folder: Path
    """The matrix to update: its typed rows are read, its derived files compared."""
    pypi_url: str
    pytorch_url: str
    """With ``{variant}`` where ``cu124`` stands."""
    relock: Set[str] = frozenset()
    """Stacks whose wheel sets are resolved anew although nothing that they rest on has changed."""
    today: date


def update_matrix(
    request: Request, *, cache_dir: Path | None, progress: Progress, backoff_s: float = BACKOFF_S
) -> Update:
    """Give what has changed upstream, as files. Nothing is written but the cache in `cache_dir`.

    An index that doesn't answer leaves its record as it is, with a notice; one that lies is an error. `backoff_s` is
    how long it waits before it tries an index again, doubled each time.

    Raises:
        UpstreamError: an index gives what doesn't hold, or PyPI can't be reached and was never read.
        MatrixError: typed rows don't hold, or the new rows contradict each other.
    """
    traffic = Traffic()

    def open_session() -> Session:  # one for each index: the first error of an index ends all that its session does
        return Session(cache_dir=cache_dir, traffic=traffic, backoff_s=backoff_s)

    typed = load_typed(request.folder)
    records, notices = _read_indexes(request, typed, open_session, progress=progress)
    builds = collect_builds(records, typed)
    last_seen = records[PYTORCH].read_on.isoformat() if PYTORCH in records else "never"
    document = derive_stacks(builds, typed, last_seen=last_seen)
    texts: dict[str, str] = {f"upstream/{name}.yaml": dump_record(record) for name, record in records.items()}
    texts["torch.yaml"] = dump_stacks(document)
    stacks = [
        build_row(Stack, row, file="matrices/torch.yaml", where=f"stacks[{n}]")
        for n, row in enumerate(document["stacks"])
    ]
    inputs = inputs_for(stacks, builds, request.folder, pytorch=records.get(PYTORCH))
    texts |= lock_sets(
        inputs,
        request.folder,
        relock=request.relock,
        index_url=request.pypi_url,
        today=request.today,
        open_session=open_session,
        progress=progress,
    )
    files = _changed(texts, request.folder)
    if files:
        _prove(texts, request.folder)
    return Update(files=files, notices=tuple(notices), traffic=traffic)


def default_index() -> str:
    """PyPI's simple index, as the library that reads it knows it."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return PYPI_SIMPLE_ENDPOINT


def write_update(update: Update, folder: Path) -> None:
    """Write the files of an update: each whole or not at all, the wheel sets first and the rows that need them last.

    Raises:
        RequestError: the folder can't be written.
    """
    try:
        _write(update, folder)
    except OSError as error:
        raise RequestError(f"{folder} can't be written: {error.strerror}") from error


def _write(update: Update, folder: Path) -> None:
    for name in sorted(update.files, key=lambda name: (name == "torch.yaml", name)):
        path, text = folder / name, update.files[name]
        if text is None:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


# --- the indexes -----------------------------------------------------------------------------------------------------


def _read_indexes(
    request: Request, typed: Typed, open_session: Callable[[], Session], *, progress: Progress
) -> tuple[dict[str, Record], list[str]]:
    known = read_document(request.folder / "cuda.yaml", schema="cuda")["cudas"]
    variants = sorted({row.cuda for row in typed.index_builds} | {CudaVersion.parse(row["version"]) for row in known})
    sources = [
        IndexSource(name=PYPI, url=request.pypi_url, oldest_torch=typed.oldest_torch),
        IndexSource(
            name=PYTORCH,
            url=request.pytorch_url,
            oldest_torch=typed.oldest_torch,
            variants=tuple(cuda.variant for cuda in variants),
        ),
    ]
    records: dict[str, Record] = {}
    notices = []
    for source in sources:
        path = request.folder / "upstream" / f"{source.name}.yaml"
        previous = load_record(path) if path.exists() else None
        try:
            with open_session() as session:
                records[source.name] = observe(source, session, previous=previous, progress=progress)
        except UpstreamError as error:
            if not error.unreachable or (source.name == PYPI and previous is None):
                raise
            if previous is not None:
                records[source.name] = previous
            notices.append(f"{error.message}\n{_what_stays(source.name, previous)}")
    if len(notices) == len(sources):
        raise UpstreamError("no index could be read", "", "\n".join(notices), unreachable=True)
    return records, notices


def _what_stays(index: str, previous: Record | None) -> str:
    if previous is None:
        return "What is known of PyTorch's own index stays what people typed into builds.yaml, marked as never seen."
    mark = ", marked with that date" if index == PYTORCH else ""
    return f"What it said on {previous.read_on} stays{mark}."


# --- the files -------------------------------------------------------------------------------------------------------


def _changed(texts: Mapping[str, str], folder: Path) -> dict[str, str | None]:
    changed: dict[str, str | None] = {}
    for name, text in sorted(texts.items()):
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            changed[name] = text
    for path in sorted((folder / "wheels").glob("*.yaml")):
        if f"wheels/{path.name}" not in texts:
            changed[f"wheels/{path.name}"] = None
    return changed


def _prove(texts: Mapping[str, str], folder: Path) -> None:
    """Raise MatrixError where the new files don't hold together: then the old matrix stays in place."""
    with tempfile.TemporaryDirectory() as scratch:
        trial = Path(scratch) / "matrices"
        shutil.copytree(folder, trial, ignore=shutil.ignore_patterns("wheels", "upstream"))
        for name, text in texts.items():
            (trial / name).parent.mkdir(parents=True, exist_ok=True)
            (trial / name).write_text(text, encoding="utf-8")
        check_wheels(load_matrix(base=trial), base=trial)
