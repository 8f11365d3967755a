"""Reports as JSON and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from gpuimg.errors import RequestError
from gpuimg.model import Report
from gpuimg.report import as_json


def plain(value: object) -> Any:
    """As it comes back: JSON has no tuples."""
    return json.loads(json.dumps(value))


def test_report_comes_back_as_it_went(healthy: Report, failing: Report) -> None:
    got = as_json.loads(as_json.dumps([healthy, failing]))
    assert got == (healthy, replace(failing, gpus=tuple(plain(failing.gpus))))


def test_same_report_gives_the_same_bytes(failing: Report) -> None:
    text = as_json.dumps([failing])
    assert as_json.dumps(as_json.loads(text)) == text
    assert text.endswith("}\n")
    assert list(json.loads(text)) == ["schema", "tool", "version", "reports"]


def test_hostile_text_is_only_text(hostile: Report) -> None:
    text = as_json.dumps([hostile])
    assert text.isascii()
    assert not any(ord(char) < 32 and char != "\n" for char in text)
    (got,) = as_json.loads(text)
    assert got.notices == hostile.notices
    assert got.checks[1].reason == hostile.checks[1].reason


def test_what_json_has_no_number_for_is_a_string(hostile: Report) -> None:
    text = as_json.dumps([hostile])
    assert "NaN" not in text
    assert "Infinity" not in text
    check = json.loads(text)["reports"][0]["checks"][1]
    assert check["measured"]["nan"] == {"value": "nan", "unit": None}
    assert check["seconds"] == 0.0


def test_verdict_and_counts_are_there_to_read(failing: Report) -> None:
    report = json.loads(as_json.dumps([failing]))["reports"][0]
    assert report["verdict"] == "FAIL"
    assert report["counts"] == {"PASS": 11, "FAIL": 3, "SKIP": 8}


def test_schema_holds_and_is_complete(healthy: Report, failing: Report, hostile: Report) -> None:
    """What is written and what the schema lists are the same fields."""
    schema = as_json.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == "https://gpuimg.io/schema/1/report.schema.json"
    closed = closed_copy(schema)
    for report in (healthy, failing, hostile, replace(healthy, image=None, torch=None)):
        jsonschema.Draft202012Validator(closed).validate(json.loads(as_json.dumps([report])))


def closed_copy(schema: Any) -> Any:
    """The schema with no other property allowed, and all required."""
    if isinstance(schema, list):
        return [closed_copy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed_copy(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        found["additionalProperties"] = False
        found["required"] = list(schema["properties"])
    return found


def changed(change: Callable[[Any], object]) -> Callable[[Mapping[str, Any]], str]:
    def apply(document: Mapping[str, Any]) -> str:
        change(document)
        return json.dumps(document)

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["reports"][0]["checks"][2].update(status="OK"), "reports[0].checks[2].status: 'OK' is not one of"),
        (lambda d: d["reports"][0].pop("seconds"), "reports[0]: 'seconds' is a required property"),
        (lambda d: d["reports"][0]["image"].update(size_bytes="5 GB"), "reports[0].image.size_bytes: '5 GB' is not"),
        (lambda d: d["reports"][0]["checks"][0].update(seconds=-1), "reports[0].checks[0].seconds: -1 is less"),
        (lambda d: d["reports"][0].update(notices=["\x1b[2J", 7]), "reports[0].notices[1]: 7 is not of type 'string'"),
        (lambda d: d.update(schema=2), "schema: 2 is not a version that this gpuimg reads"),
        (lambda d: d.update(tool="other"), "tool: 'gpuimg' was expected"),
        (lambda d: d.clear(), "'schema' is a required property"),
    ],
)
def test_bad_file_is_refused_with_its_field(change: Callable[[Any], object], message: str, healthy: Report) -> None:
    text = changed(change)(json.loads(as_json.dumps([healthy])))
    with pytest.raises(RequestError) as caught:
        as_json.loads(text, source="old.json")
    assert caught.value.message.startswith("old.json: ")
    assert message in caught.value.message
    assert caught.value.hints


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema":1e999}', '{"schema":NaN}', "[" * 100_000])
def test_file_that_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        as_json.loads(text)


def test_field_of_a_later_gpuimg_is_passed_over(healthy: Report) -> None:
    document = json.loads(as_json.dumps([healthy]))
    document["reports"][0]["checks"][0]["severity"] = "high"
    assert as_json.loads(json.dumps(document)) == (healthy,)
