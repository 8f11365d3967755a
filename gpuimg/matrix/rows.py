"""A mapping from a document → a frozen row of `gpuimg.facts`, by the row's own type annotations.

Text becomes values that compare; what doesn't parse, is missing or is unknown is reported with file, row and field.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar, cast

from packaging.version import InvalidVersion, Version

from gpuimg.errors import MatrixError
from gpuimg.facts import UNKNOWN, Unknown
from gpuimg.versions import ComputeCapability, CudaVersion, DriverVersion, Platform, PythonVersion

Row = TypeVar("Row")
Reader = Callable[[Any, str, str], object]
"""Value, file, place in the file → what the field holds."""

_PARSERS: Final[Mapping[type, Callable[[str], object]]] = {
    Version: functools.cache(Version),
    CudaVersion: functools.cache(CudaVersion.parse),
    PythonVersion: functools.cache(PythonVersion.parse),
    DriverVersion: functools.cache(DriverVersion.parse),
    ComputeCapability: functools.cache(ComputeCapability.parse),
    Platform: Platform,
    Decimal: Decimal,
}


def build_row(row_type: type[Row], mapping: Mapping[str, Any], *, file: str, where: str) -> Row:
    """Give the row that `mapping` holds. Raises MatrixError where a value doesn't parse or a field is missing."""
    values: dict[str, object] = {}
    for name, (read, absent) in _readers(cast("Any", row_type)).items():
        if name in mapping:
            values[name] = read(mapping[name], file, f"{where}.{name}")
        elif absent == "none":
            values[name] = None
        elif absent == "error":
            raise MatrixError(file, f"{where}.{name}", "is missing")
    return row_type(**values)


@functools.cache
def _readers(row_type: type[Any]) -> Mapping[str, tuple[Reader, str]]:
    """How to read each field of a row, and what its absence means: its ``default``, ``none`` or an ``error``."""
    hints = typing.get_type_hints(row_type)
    readers = {}
    for field in dataclasses.fields(row_type):
        optional = type(None) in typing.get_args(hints[field.name])
        absent = "none" if optional else "error" if field.default is dataclasses.MISSING else "default"
        readers[field.name] = (_reader(hints[field.name]), absent)
    return readers


def _reader(hint: Any) -> Reader:
    if typing.get_origin(hint) in {types.UnionType, typing.Union}:
        return _union_reader(typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        read_item = _reader(typing.get_args(hint)[0])
        return lambda value, file, where: tuple(read_item(item, file, f"{where}[{n}]") for n, item in enumerate(value))
    if dataclasses.is_dataclass(hint) and hint not in _PARSERS:
        return lambda value, file, where: build_row(cast("type[Any]", hint), value, file=file, where=where)
    parser = _PARSERS.get(hint)
    if parser is None:
        return lambda value, _file, _where: value
    return functools.partial(_parse, parser)


def _union_reader(members: tuple[Any, ...]) -> Reader:
    """The reader of ``X | None``, ``X | Unknown`` or both."""
    inner = _reader(next(member for member in members if member not in {type(None), Unknown}))

    def read(value: Any, file: str, where: str) -> object:
        if value is None and type(None) in members:
            return None
        if value == UNKNOWN.value and Unknown in members:
            return UNKNOWN
        return inner(value, file, where)

    return read


def _parse(parser: Callable[[str], object], value: Any, file: str, where: str) -> object:
    try:
        return parser(value)
    except (InvalidVersion, ValueError) as error:
        raise MatrixError(file, where, str(error)) from error
