"""Bytes → a checked document: YAML read strictly, then held against its JSON Schema.

Errors name file, row and field; a misspelt key gets the nearest valid one. Who changes what is refused here raises the
format number in `gpuimg.matrix.cache`, which keeps what passed.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterable
from typing import Any, cast

import jsonschema
import yaml

from gpuimg.errors import MatrixError
from gpuimg.text import printable, shorten

_NUMBER = '{value} is a number, so YAML drops its zeros; write it as text: "{value}"'
_MAX_DEPTH = 12


class _StrictLoader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]  # either base
    """YAML without what hides mistakes and no table of facts needs: double keys, dates, keys that are no text."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[object, object]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for n, key in enumerate(keys):
        mark = node.value[n][0].start_mark
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, "a key that is no text", mark)
        if key in keys[:n]:
            raise yaml.constructor.ConstructorError(None, None, f"the key `{key}` stands twice", mark)
    values = [loader.construct_object(value, deep=True) for _, value in node.value]
    return dict(zip(keys, values, strict=True))


def _integer(_: _StrictLoader, node: yaml.ScalarNode) -> int:
    """A number as it stands there: ``0644`` and ``1:30`` are others to YAML than to whoever wrote them."""
    if not re.fullmatch(r"0|-?[1-9][0-9]{0,18}", node.value, re.ASCII):
        raise yaml.constructor.ConstructorError(
            None, None, f'YAML takes {node.value} for another number; write it as text: "{node.value}"', node.start_mark
        )
    return int(node.value)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_StrictLoader.add_constructor("tag:yaml.org,2002:int", _integer)
# A date would be turned into an object: everything here that looks like one is text.
_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))


def checked_document(content: bytes, *, schema: bytes, file: str) -> dict[str, Any]:
    """Give the document that `content` holds, valid by `schema`. Errors call it `file`.

    Raises:
        MatrixError: not UTF-8, not YAML, or not valid: with file, row and field.
    """
    document = read_yaml(content, file=file)
    check(document, schema=schema, file=file)
    return cast("dict[str, Any]", document)


def check(document: object, *, schema: bytes, file: str) -> None:
    """Raise MatrixError where `document`, whatever it was read from, has hostile text or is not valid by `schema`."""
    _refuse_hostile(document, file=file, path=())
    _validate(document, schema=schema, file=file)


def read_yaml(content: bytes, *, file: str) -> object:
    """Give what the YAML in `content` says. Raises MatrixError where it isn't UTF-8, or no YAML as used here."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MatrixError(file, "", f"is not UTF-8 text (byte {error.start})") from error
    try:
        _refuse_aliases(text)
        return cast("object", yaml.load(text, Loader=_StrictLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}" if mark else ""
        raise MatrixError(file, where, f"is not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError, KeyError, TypeError) as error:
        raise MatrixError(file, "", f"is not valid YAML: {shorten(printable(str(error)), 200)}") from error


def _refuse_aliases(text: str) -> None:
    """A few aliases of aliases make a document of billions of rows. Raises yaml.MarkedYAMLError."""
    if "*" not in text:
        return
    for event in yaml.parse(text, Loader=_StrictLoader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                problem="aliases are not used here: write the value out",
                problem_mark=cast("yaml.Mark", event.start_mark),
            )


def _refuse_hostile(value: object, *, file: str, path: tuple[str | int, ...]) -> None:
    """No text may hold what a terminal would obey or what ends a line, and no number is anything but whole."""
    if len(path) > _MAX_DEPTH:
        raise MatrixError(file, _where(path[:3]), "is nested too deep", path=path[:3])
    match value:
        case dict():
            for key, item in value.items():
                _refuse_hostile(key, file=file, path=(*path, "key"))
                _refuse_hostile(item, file=file, path=(*path, key))
        case list():
            for n, item in enumerate(value):
                _refuse_hostile(item, file=file, path=(*path, n))
        case str():
            if printable(value) != value:
                problem = f"`{shorten(printable(value), 80)}` has control characters"
                raise MatrixError(file, _where(path), problem, path=path)
        case float():
            raise MatrixError(file, _where(path), _NUMBER.format(value=value), path=path)
        case _:
            pass


@functools.cache
def _validator(schema: bytes) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(schema))


def _validate(document: object, *, schema: bytes, file: str) -> None:
    errors = list(_validator(schema).iter_errors(document))
    if not errors:
        return
    # A misspelt field is an unknown one and a missing one: the unknown one tells what to mend.
    unknown = [error for error in errors if error.validator == "additionalProperties"]
    error = unknown[0] if unknown else jsonschema.exceptions.best_match(errors)
    path = (*error.absolute_path, *([_unknown(error)] if unknown else []))
    raise MatrixError(file, _where(error.absolute_path), _problem(error), path=path)


def _where(path: Iterable[str | int]) -> str:
    """``stacks[3].cuda``: rows are counted from 0, as in Python and jq."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _unknown(error: jsonschema.ValidationError) -> str:
    """The first key that the schema doesn't know."""
    known = cast("dict[str, Any]", error.schema).get("properties", {})
    return next(str(key) for key in cast("dict[object, Any]", error.instance) if key not in known)


def _problem(error: jsonschema.ValidationError) -> str:
    """The schema's complaint in our words."""
    value, rule = error.instance, error.validator
    schema = cast("dict[str, Any]", error.schema)
    if rule == "additionalProperties" and isinstance(value, dict):
        known = list(schema.get("properties", {}))
        unknown = _unknown(error)
        nearest = difflib.get_close_matches(unknown, known, n=1)
        return f"unknown field `{unknown}`; " + (f"did you mean `{nearest[0]}`?" if nearest else f"known are {known}")
    if rule == "required" and isinstance(value, dict):
        missing = next(str(key) for key in schema["required"] if key not in value)
        return f"field `{missing}` is missing"
    if rule == "type" and isinstance(value, bool | float | int | None):
        return _wrong_type(value, str(error.validator_value)) or shorten(error.message, 300)
    if rule == "pattern":
        return f"`{shorten(str(value), 80)}` does not look like {schema.get('description') or schema['pattern']}"
    return shorten(error.message, 300)


def _wrong_type(value: float | None, wanted: str) -> str | None:
    """What YAML made of a value that was likely meant as text; None: the schema's own words will do."""
    if value is None:
        return "there is no value; give it one or leave the key out"
    if isinstance(value, bool):
        return f"YAML reads this as {str(value).lower()}; write it as text, in quotes"
    return _NUMBER.format(value=value) if wanted == "string" else None
