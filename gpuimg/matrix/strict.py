"""Bytes → a checked document: YAML read strictly, then held against its JSON Schema.

Errors name file, row and field; a misspelt key gets the nearest valid one. Who changes what is refused here raises the
format number in `gpuimg.matrix.cache`, which keeps what passed.
"""

from __future__ import annotations

import difflib
import functools
import json
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
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, "a key that is no text", node.start_mark)
        if key in keys[:n]:
            raise yaml.constructor.ConstructorError(None, None, f"the key `{key}` stands twice", node.start_mark)
    values = [loader.construct_object(value, deep=True) for _, value in node.value]
    return dict(zip(keys, values, strict=True))


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
# A date would be turned into an object: everything here that looks like one is text.
_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))


def checked_document(content: bytes, *, schema: bytes, file: str) -> dict[str, Any]:
    """Give the document that `content` holds, valid by `schema`. Errors call it `file`.

    Raises:
        MatrixError: not UTF-8, not YAML, or not valid: with file, row and field.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MatrixError(file, "", f"is not UTF-8 text (byte {error.start})") from error
    try:
        _refuse_aliases(text)
        document = yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}" if mark else ""
        raise MatrixError(file, where, f"is not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError, KeyError, TypeError) as error:
        raise MatrixError(file, "", f"is not valid YAML: {shorten(printable(str(error)), 200)}") from error
    _refuse_hostile(document, file=file, path=())
    _validate(document, schema=schema, file=file)
    return cast("dict[str, Any]", document)


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
        raise MatrixError(file, _where(path[:3]), "is nested too deep")
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
                raise MatrixError(file, _where(path), f"`{shorten(printable(value), 80)}` has control characters")
        case float():
            raise MatrixError(file, _where(path), _NUMBER.format(value=value))
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
    raise MatrixError(file, _where(error.absolute_path), _problem(error))


def _where(path: Iterable[str | int]) -> str:
    """``stacks[3].cuda``: rows are counted from 0, as in Python and jq."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _problem(error: jsonschema.ValidationError) -> str:
    """The schema's complaint in our words."""
    value, rule = error.instance, error.validator
    schema = cast("dict[str, Any]", error.schema)
    if rule == "additionalProperties" and isinstance(value, dict):
        known = list(schema.get("properties", {}))
        unknown = next(str(key) for key in value if key not in known)
        nearest = difflib.get_close_matches(unknown, known, n=1)
        return f"unknown field `{unknown}`; " + (f"did you mean `{nearest[0]}`?" if nearest else f"known are {known}")
    if rule == "required" and isinstance(value, dict):
        missing = next(str(key) for key in schema["required"] if key not in value)
        return f"field `{missing}` is missing"
    if rule == "type" and isinstance(value, float | int) and error.validator_value == "string":
        return _NUMBER.format(value=value)
    if rule == "pattern":
        return f"`{shorten(str(value), 80)}` does not look like {schema.get('description') or schema['pattern']}"
    return shorten(error.message, 300)
