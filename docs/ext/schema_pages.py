"""JSON Schemas as pages: what each field may hold, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from docs.ext.markdown import code, page, plain, table, toctree
from gpuimg.paths import SCHEMAS
from gpuimg.report import as_json

PROJECT: Final = "project"
_PLAIN_TYPES: Final = {
    "string": "text",
    "object": "fields",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "`null`",
}


def schema_pages() -> Mapping[str, str]:
    """File name → text: the project file, each matrix file, and reports."""
    found = {path.name.removesuffix(".schema.json"): json.loads(path.read_text("utf-8")) for path in _files()}
    project = found.pop(PROJECT)
    names = sorted(found)
    rows = [(f"[{found[name]['title']}](matrix-files/{name}.md)", plain(found[name]["description"])) for name in names]
    index = page(
        "Matrix files",
        "What `matrices/` holds, and what a folder of your own that `--matrix-dir` names can hold. `gpuimg matrix"
        " validate` says which file, row and field does not hold. Versions stand in quotes, or YAML would make numbers"
        " of them.",
        table(("file", "says"), rows),
        toctree(f"matrix-files/{name}.md" for name in names),
    )
    return {
        "project-file.md": _page(project, title="Project file", before=_PROJECT_FILE),
        "matrix-files.md": index,
        **{f"matrix-files/{name}.md": _page(found[name]) for name in names},
        "report.md": _page(as_json.schema(), title="Reports as JSON", before=_REPORT),
    }


_PROJECT_FILE: Final = (
    "`gpuimg init` writes one, and `gpuimg init --schema` prints this schema for editors. Fields at the top are those"
    " of the one image, or, beside `images`, what all of them share."
)
_REPORT: Final = (
    "[A report of an image](sample-report.md) looks like this as a page; these are the fields of the JSON."
    " `gpuimg report schema` prints the schema."
)


def _files() -> Iterator[Any]:
    yield from sorted(SCHEMAS.glob("*.schema.json"))


def _page(schema: Mapping[str, Any], *, title: str | None = None, before: str = "") -> str:
    """The document itself, then each object that it is made of, then the values."""
    definitions = schema.get("$defs", {})
    parts = [plain(schema["description"]), before, _fields(schema, definitions)]
    for name, definition in definitions.items():
        if "properties" in definition:
            parts += [f"## {name}", plain(definition.get("description", "")), _fields(definition, definitions)]
    values = [(code(name), *_meaning(it, definitions)) for name, it in definitions.items() if "properties" not in it]
    if values:
        parts += ["## Values", table(("name", "is", "means"), values)]
    return page(title or schema["title"], *parts)


def _fields(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = [
        (f"{code(name)}{'' if name in required else ' (optional)'}", *_meaning(field, definitions))
        for name, field in schema.get("properties", {}).items()
    ]
    return table(("field", "is", "means"), rows)


def _meaning(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[str, str]:
    text = plain(field.get("description", ""))
    if "default" in field:
        text = f"{text} By default {code(json.dumps(field['default']))}.".strip()
    return kind(field, definitions), text


def kind(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a field may be, in a few words.

    >>> kind({"type": "array", "items": {"type": "string"}, "minItems": 1}, {})
    'list of text, one or more'
    """
    for word in ("anyOf", "oneOf"):
        if word in field:
            return " or ".join(dict.fromkeys(kind(option, definitions) for option in field[word]))
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name})" if "properties" in definitions.get(name, {}) else f"[{name}](#values)"
    if "const" in field:
        return code(_scalar(field["const"]))
    if "enum" in field:
        return " or ".join(code(_scalar(value)) for value in field["enum"])
    types = field.get("type", "anything")
    return " or ".join(_typed(name, field, definitions) for name in ([types] if isinstance(types, str) else types))


def _typed(name: str, field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    words = _PLAIN_TYPES.get(name, name)
    if name == "string" and "pattern" in field:
        words = f"text like {code(field['pattern'])}"
    elif name == "array":
        items = kind(field["items"], definitions) if "items" in field else "anything"
        words = f"list of {items}" + {0: "", 1: ", one or more"}.get(field.get("minItems", 0), ", several")
    elif name == "object" and isinstance(field.get("additionalProperties"), dict):
        words = f"names with {kind(field['additionalProperties'], definitions)}"
    bounds = [f"{word} {field[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in field]
    return " ".join([words, *bounds])


def _scalar(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
