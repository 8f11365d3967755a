"""The text of a project file → a checked document, and the line that each of its values stands in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import yaml

from gpuimg import toml
from gpuimg.errors import MatrixError, RequestError
from gpuimg.matrix.strict import check, read_yaml
from gpuimg.paths import SCHEMAS
from gpuimg.project.find import PYPROJECT
from gpuimg.text import printable, shorten

Path_: TypeAlias = tuple[str | int, ...]
_MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a project file says, valid by its schema."""

    label: str
    values: dict[str, Any]
    line: Callable[[Path_], int | None]
    """The line of a value, or of the nearest that holds it; None: not known."""

    def where(self, path: Sequence[str | int]) -> str:
        """``gpuimg.yaml, line 7: images.train.python``."""
        return _where(self.label, tuple(path), self.line)


def read_document(file: Path) -> Document:
    """Give the document in `file`. Raises RequestError, with line and key, where it doesn't hold."""
    content = _content(file)
    in_table = file.name == PYPROJECT
    label = f"{PYPROJECT} [tool.gpuimg]" if in_table else file.name
    line = _no_line if in_table else _lines(content)
    values = _table(content) if in_table else _yaml(content, label)
    if values is None:
        raise RequestError(f"{label} is empty", hints=["`gpuimg init --force` writes one"])
    try:
        check(values, schema=(SCHEMAS / "project.schema.json").read_bytes(), file=label)
    except MatrixError as error:
        raise RequestError(f"{_where(label, error.path, line)}: {error.problem}", hints=_hints(error)) from error
    return Document(label=label, values=cast("dict[str, Any]", values), line=line)


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise RequestError(f"{printable(str(file))} can't be read: {error.strerror or error}") from error
    if len(content) > _MAX_BYTES:
        raise RequestError(f"{printable(str(file))} has more than {_MAX_BYTES >> 20} MiB: that is no project file")
    return content


def _table(content: bytes) -> object:
    try:
        document = toml.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{PYPROJECT} is not valid TOML: {shorten(printable(str(error)), 200)}") from error
    return document.get("tool", {}).get("gpuimg")


def _yaml(content: bytes, label: str) -> object:
    try:
        return read_yaml(content, file=label)
    except MatrixError as error:
        where = f"{label}, {error.where}" if error.where else label
        raise RequestError(f"{where}: {error.problem}") from error


def _no_line(_: Path_) -> None:
    """TOML's reader tells no lines."""


def _lines(content: bytes) -> Callable[[Path_], int | None]:
    """Where values stand in a YAML file; it is composed when first asked, which is when something is wrong."""

    def line(path: Path_) -> int | None:
        try:
            node = yaml.compose(content.decode("utf-8"), Loader=yaml.SafeLoader)
        except (yaml.YAMLError, RecursionError, ValueError):
            return None
        number = None
        for part in path:
            found = _entry(node, part)
            if found is None:
                break
            number, node = found
        return number

    return line


def _entry(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    """Line and node of an item of a list, or of a key's value."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def _where(label: str, path: Path_, line: Callable[[Path_], int | None]) -> str:
    number = line(path)
    key = ""
    for part in path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
    head = f"{label}, line {number}" if number is not None else label
    return f"{head}: {shorten(printable(key.lstrip('.')), 100)}" if key else head


def _hints(error: MatrixError) -> Sequence[str]:
    if "`schema` is missing" in error.problem:
        return ["write `schema: 1`, the version of the file format"]
    return ["`gpuimg init --schema` has all keys"] if "unknown field" in error.problem else []
