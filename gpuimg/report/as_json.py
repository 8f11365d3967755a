"""Reports as JSON and back. The schema beside this file says what each field means."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from gpuimg import __version__
from gpuimg.errors import RequestError
from gpuimg.model import Check, Image, Measurement, Report, Status
from gpuimg.report import figures
from gpuimg.text import printable, shorten

SCHEMA_VERSION = 1


def dumps(reports: Sequence[Report]) -> str:
    """JSON text with keys in a fixed order and a line break at its end, ASCII only.

    NaN and infinities, for which JSON has no numbers, are spelt out as strings.
    """
    document = {
        "schema": SCHEMA_VERSION,
        "tool": "gpuimg",
        "version": __version__,
        "reports": [_report(report) for report in reports],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def loads(text: str, *, source: str = "report") -> tuple[Report, ...]:
    """The reports in `text`; `source` is what messages call it, such as its file.

    Raises RequestError naming the first field that doesn't hold. Fields that the schema doesn't have are passed over:
    a later gpuimg may add some.
    """
    try:
        document = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise _error(source, f"it is not JSON: {error}") from error
    if isinstance(document, dict) and document.get("schema", SCHEMA_VERSION) != SCHEMA_VERSION:
        raise _error(
            source, f"schema: {document['schema']!r} is not a version that this gpuimg reads: {SCHEMA_VERSION}"
        )
    _validate(document, source)
    return tuple(_read_report(entry) for entry in document["reports"])


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what `dumps` writes."""
    import importlib.resources

    text = importlib.resources.files("gpuimg.report").joinpath("report.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


# --- to JSON ---------------------------------------------------------------------------------------------------------


def _report(report: Report) -> dict[str, Any]:
    return {
        "verdict": figures.verdict(report).value,
        "counts": {status.value: number for status, number in figures.counts(report).items()},
        "image": _image(report.image) if report.image else None,
        "torch": report.torch,
        "python": report.python,
        "gpus": [_plain(gpu) for gpu in report.gpus],
        "node": report.node,
        "seconds": _seconds(report.seconds),
        "notices": list(report.notices),
        "checks": [_check(check) for check in report.checks],
    }


def _image(image: Image) -> dict[str, Any]:
    return {
        "reference": image.reference,
        "id": image.id,
        "tags": list(image.tags),
        "size_bytes": image.size_bytes,
        "platform": image.platform,
        "labels": dict(sorted(image.labels.items())),
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "group": check.group,
        "status": check.status.value,
        "measured": {name: _measurement(measurement) for name, measurement in check.measured.items()},
        "expected": check.expected,
        "reason": check.reason,
        "remedy": check.remedy,
        "seconds": _seconds(check.seconds),
        "gpu": check.gpu,
        "data": _plain(check.data),
    }


def _measurement(measurement: Measurement) -> dict[str, Any]:
    value = measurement.value
    return {"value": str(value).lower() if isinstance(value, bool) else _plain(value), "unit": measurement.unit}


def _seconds(value: float) -> float:
    return max(value, 0.0) if math.isfinite(value) else 0.0


def _plain(value: object) -> Any:
    """`value` in what JSON has."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(item) for item in value]
    return str(value)


# --- from JSON -------------------------------------------------------------------------------------------------------


def _validate(document: object, source: str) -> None:
    from jsonschema.exceptions import best_match

    error = best_match(_validator().iter_errors(document))
    if error is not None:
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        problem = shorten(printable(error.message), 300)
        raise _error(source, f"{printable(where.removeprefix('.'))}: {problem}" if where else problem)


@functools.cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema())


def _read_report(entry: Mapping[str, Any]) -> Report:
    image = entry["image"]
    return Report(
        image=_read_image(image) if image is not None else None,
        torch=entry["torch"],
        python=entry["python"],
        gpus=tuple(entry["gpus"]),
        checks=tuple(_read_check(check) for check in entry["checks"]),
        seconds=float(entry["seconds"]),
        notices=tuple(entry["notices"]),
        node=entry.get("node"),  # the first gpuimg wrote none
    )


def _read_image(entry: Mapping[str, Any]) -> Image:
    return Image(
        reference=entry["reference"],
        id=entry["id"],
        tags=tuple(entry["tags"]),
        size_bytes=entry["size_bytes"],
        platform=entry["platform"],
        labels=entry["labels"],
    )


def _read_check(entry: Mapping[str, Any]) -> Check:
    return Check(
        name=entry["name"],
        group=entry["group"],
        status=Status(entry["status"]),
        measured={
            name: Measurement(value=item["value"], unit=item.get("unit")) for name, item in entry["measured"].items()
        },
        expected=entry["expected"],
        reason=entry["reason"],
        remedy=entry["remedy"],
        seconds=float(entry["seconds"]),
        gpu=entry["gpu"],
        data=entry["data"],
    )


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large a number")
    return value


def _error(source: str, problem: str) -> RequestError:
    return RequestError(f"{source}: {problem}", hints=["gpuimg verify --json FILE writes a report that holds"])
