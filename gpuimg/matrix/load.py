"""Files → rows, with all checks: nothing that this module gives needs to be checked again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from gpuimg import facts
from gpuimg.errors import MatrixError, UnknownStackError
from gpuimg.matrix.checks import check_matrix
from gpuimg.matrix.files import read_document
from gpuimg.matrix.rows import build_row
from gpuimg.matrix.sources import check_host_sources
from gpuimg.paths import MATRICES
from gpuimg.text import shown_path
from gpuimg.versions import Platform, PythonVersion

Row = TypeVar("Row")


def load_matrix(overlays: Sequence[Path] = (), *, base: Path = MATRICES) -> facts.Matrix:
    """Give all rows of the matrix in `base`; a file of the same name in an overlay replaces or adds rows by name.

    Raises:
        MatrixError: a file doesn't hold, or rows contradict each other.
    """
    folders = (base, *overlays)
    for folder in overlays:
        _refuse_useless(folder)
    matrix = facts.Matrix(
        stacks=_rows(facts.Stack, folders, file="torch", section="stacks", key="name"),
        compatible=_rows(facts.CompatibleName, folders, file="local", section="compatible", key="name"),
        source_builds=_rows(facts.SourceBuild, folders, file="local", section="source_builds", key="name"),
        cudas=_rows(facts.Cuda, folders, file="cuda", section="cudas", key="version"),
        chips=_rows(facts.Chip, folders, file="gpus", section="chips", key="compute_capability"),
        gpus=_rows(facts.Gpu, folders, file="gpus", section="gpus", key="name"),
        datasheets=_rows(facts.Datasheet, folders, file="datasheets", section="datasheets", key="name"),
        bases=_rows(facts.Base, folders, file="bases", section="bases", key="name"),
        toolkits=_rows(facts.Toolkit, folders, file="bases", section="toolkits", key="cuda"),
        flavors=_rows(facts.Flavor, folders, file="flavors", section="flavors", key="name"),
        allocator=_rows(facts.AllocatorSetting, folders, file="allocator", section="settings", key="torch"),
        trim=_rows(facts.TrimRule, folders, file="trim", section="rules", key=None),
        open_packages=_rows(facts.OpenPackage, folders, file="extras", section="open", key="requirement"),
        sdist_extras=_rows(facts.SdistExtra, folders, file="extras", section="sdists", key="name"),
        extra_limits=_rows(facts.ExtraLimit, folders, file="extras", section="limits", key=None),
        resolvers=_rows(facts.Resolver, folders, file="extras", section="resolvers", key="name"),
        pytorch_index=_setting(folders, file="local", field="pytorch_index"),
        overlays=tuple(overlays),
    )
    try:
        check_matrix(matrix)
    except MatrixError as error:
        raise _in_overlay(error, overlays) from error
    return matrix


def load_hosts(overlays: Sequence[Path] = (), *, base: Path = MATRICES) -> facts.HostFacts:
    """Give what is known of hosts and what mends them; an overlay's rows take the place of ours.

    Raises:
        MatrixError: a file doesn't hold.
    """
    folders = (base, *overlays)
    hosts = facts.HostFacts(
        remedies=_rows(facts.Remedy, folders, file="remedies", section="remedies", key="name"),
        engine_features=_rows(facts.EngineFeature, folders, file="remedies", section="engine_features", key="feature"),
    )
    check_host_sources(hosts)
    return hosts


def load_wheels(
    stack: str,
    platform: Platform,
    python: PythonVersion,
    *,
    overlays: Sequence[Path] = (),
    base: Path = MATRICES,
    kind: str = "wheels",
) -> facts.WheelSet:
    """Give the closed wheel set of one stack × platform × Python, split into its layers.

    Args:
        kind: the folder of its file: ``wheels``, or ``source`` for a stack that is compiled.

    Raises:
        MatrixError: the stack's file is missing or doesn't hold.
        UnknownStackError: the file has no such platform or Python.
    """
    candidates = [folder / kind / f"{stack}.yaml" for folder in (*reversed(overlays), base)]
    path = next((path for path in candidates if path.exists()), candidates[-1])
    document = read_document(path, schema="wheels")
    file = f"matrices/{kind}/{path.name}"
    if document["stack"] != stack:
        raise MatrixError(file, "stack", f"is `{document['stack']}`: this is the file of {stack}")
    for n, entry in enumerate(document["platforms"]):
        if entry["platform"] != str(platform):
            continue
        for m, per_python in enumerate(entry["pythons"]):
            if per_python["python"] == str(python):
                where = f"platforms[{n}].pythons[{m}]"
                rows = [*entry["shared"], *per_python["wheels"]]
                names = [row["name"] for row in rows if row["layer"] != "build"]
                twice = next((name for name in names if names.count(name) > 1), None)
                if twice is not None:
                    raise MatrixError(file, f"{where}.{twice}", "stands twice")
                return facts.WheelSet(
                    cuda=_layer(rows, "cuda", file=file, where=where),
                    torch=_layer(rows, "torch", file=file, where=where),
                    toolkit=_layer(rows, "toolkit", file=file, where=where),
                    closed=entry["closed"],
                    build=_layer(rows, "build", file=file, where=where),
                )
    raise UnknownStackError(f"{stack} has no wheels for Python {python} on {platform}", nearest=())


def _layer(rows: Sequence[dict[str, Any]], layer: str, *, file: str, where: str) -> tuple[facts.Wheel, ...]:
    wheels = [
        build_row(facts.Wheel, row, file=file, where=f"{where}.{row['name']}") for row in rows if row["layer"] == layer
    ]
    return tuple(sorted(wheels, key=lambda wheel: wheel.name))


def _refuse_useless(folder: Path) -> None:
    """A folder that adds nothing is a mistake in its name."""
    known = [f"{path.stem}.yaml" for path in MATRICES.glob("*.yaml")]
    try:
        if not folder.is_dir():
            raise MatrixError(shown_path(folder), "", "is not a folder")
        if not any((folder / name).exists() for name in (*known, "wheels")):
            raise MatrixError(
                str(folder), "", f"holds no matrix file; those are {', '.join(sorted(known))} and wheels/"
            )
    except OSError as error:
        raise MatrixError(shown_path(folder), "", f"can't be read: {error.strerror}") from error


def _in_overlay(error: MatrixError, overlays: Sequence[Path]) -> MatrixError:
    """The same of the user's own file, where there is one of that name: gpuimg's rows hold by themselves."""
    name = Path(error.file).name
    folder = next((folder for folder in reversed(overlays) if (folder / name).exists()), None)
    if folder is None:
        return error
    return MatrixError(f"{folder.name}/{name}", error.where, error.problem, path=error.path, hints=error.hints)


def _setting(folders: Sequence[Path], *, file: str, field: str) -> str:
    """A field that stands once in a file; the last folder that has it wins."""
    paths = _files(folders, file)
    documents = [read_document(path, schema=file) for path in paths]
    return next(str(document[field]) for document in reversed(documents) if field in document)


def _files(folders: Sequence[Path], file: str) -> list[Path]:
    """The files of one name; the first folder, which is no overlay, must have it."""
    paths = [folder / f"{file}.yaml" for folder in folders]
    return [paths[0], *(path for path in paths[1:] if path.exists())]


def _rows(row_type: type[Row], folders: Sequence[Path], *, file: str, section: str, key: str | None) -> tuple[Row, ...]:
    """All rows of one section; with a `key`, a later folder's row takes the place of the row of the same key."""
    found: dict[object, Row] = {}
    for path in _files(folders, file):
        folder = path.parent
        seen: dict[object, int] = {}
        for n, mapping in enumerate(read_document(path, schema=file).get(section, ())):
            where = f"{section}[{n}]"
            row = build_row(row_type, mapping, file=f"{folder.name}/{path.name}", where=where)
            identity = getattr(row, key) if key else (folder, n)
            if identity in seen:
                raise MatrixError(
                    f"{folder.name}/{path.name}",
                    f"{where}.{key}",
                    f"`{identity}` stands in {section}[{seen[identity]}] too",
                )
            seen[identity] = n
            found[identity] = row
    return tuple(found.values())
