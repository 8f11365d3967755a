"""A mapping from YAML → a frozen row of `gpuimg.model`, by the row's own type annotations.

The JSON Schema has checked shapes and names before; here text becomes values that compare, and what doesn't parse is
reported with file, row and field.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from packaging.version import InvalidVersion, Version

from gpuimg.errors import MatrixError
from gpuimg.versions import ComputeCapability, CudaVersion, DriverVersion, Platform, PythonVersion

Row = TypeVar("Row")

_PARSERS: Mapping[type, Callable[[str], object]] = {
    Version: Version,
    CudaVersion: CudaVersion.parse,
    PythonVersion: PythonVersion.parse,
    DriverVersion: DriverVersion.parse,
    ComputeCapability: ComputeCapability.parse,
    Platform: Platform,
}


def build_row(row_type: type[Row], mapping: Mapping[str, Any], *, file: str, where: str) -> Row:
    """Give the row that `mapping` holds. Raises MatrixError where a value doesn't parse or a field is missing."""
    hints = typing.get_type_hints(row_type)
    values: dict[str, object] = {}
    for field in dataclasses.fields(typing.cast("Any", row_type)):
        place = f"{where}.{field.name}"
        if field.name in mapping:
            values[field.name] = _value(hints[field.name], mapping[field.name], file=file, where=place)
        elif _optional(hints[field.name]) is not None:
            values[field.name] = None
        elif field.default is dataclasses.MISSING:
            raise MatrixError(file, place, "is missing")
    return row_type(**values)


def _optional(hint: Any) -> Any:
    """The X of ``X | None``, else None."""
    if typing.get_origin(hint) in {types.UnionType, typing.Union}:
        return next(argument for argument in typing.get_args(hint) if argument is not type(None))
    return None


def _value(hint: Any, value: Any, *, file: str, where: str) -> object:
    inner = _optional(hint)
    if inner is not None:
        return None if value is None else _value(inner, value, file=file, where=where)
    if typing.get_origin(hint) is tuple:
        item_type = typing.get_args(hint)[0]
        return tuple(_value(item_type, item, file=file, where=f"{where}[{n}]") for n, item in enumerate(value))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return build_row(hint, value, file=file, where=where)
    parser = _PARSERS.get(hint)
    if parser is None:
        return value
    try:
        return parser(value)
    except (InvalidVersion, ValueError) as error:
        raise MatrixError(file, where, str(error)) from error
