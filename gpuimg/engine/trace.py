"""BuildKit's progress messages, ``moby.buildkit.v1.StatusResponse``, as far as gpuimg reads them.

The descriptor is built here because no Python package ships it. Field numbers are those of
https://github.com/moby/buildkit/blob/v0.25.0/api/services/control/control.proto
"""

from __future__ import annotations

import functools
import graphlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from gpuimg.engine.events import Event, Logged, StepChanged, TaskProgressed, Warned
from gpuimg.text import log_line, printable

_TIMESTAMP: Final = ".google.protobuf.Timestamp"
_REPEATED: Final = "repeated "
_MESSAGES: Final = {
    "StatusResponse": {
        1: ("vertexes", "repeated .moby.buildkit.v1.Vertex"),
        2: ("statuses", "repeated .moby.buildkit.v1.VertexStatus"),
        3: ("logs", "repeated .moby.buildkit.v1.VertexLog"),
        4: ("warnings", "repeated .moby.buildkit.v1.VertexWarning"),
    },
    "Vertex": {
        1: ("digest", "string"),
        2: ("inputs", "repeated string"),
        3: ("name", "string"),
        4: ("cached", "bool"),
        5: ("started", _TIMESTAMP),
        6: ("completed", _TIMESTAMP),
        7: ("error", "string"),
    },
    "VertexStatus": {
        1: ("ID", "string"),
        2: ("vertex", "string"),
        3: ("name", "string"),
        4: ("current", "int64"),
        5: ("total", "int64"),
        6: ("timestamp", _TIMESTAMP),
        7: ("started", _TIMESTAMP),
        8: ("completed", _TIMESTAMP),
    },
    "VertexLog": {
        1: ("vertex", "string"),
        2: ("timestamp", _TIMESTAMP),
        3: ("stream", "int64"),
        4: ("msg", "bytes"),
    },
    "VertexWarning": {1: ("vertex", "string"), 2: ("level", "int64"), 3: ("short", "bytes")},
}


def events(data: bytes) -> list[Event]:
    """Events of one message, a step's inputs before the step. Raises ValueError where `data` is no such message."""
    return list(_events(_parse(data)))


def _events(status: Any) -> Iterator[Event]:
    for vertex in _in_build_order(status.vertexes):
        yield StepChanged(
            step=vertex.digest,
            name=" ".join(printable(vertex.name, multiline=True).split()),
            cached=vertex.cached,
            started=_seconds(vertex, "started"),
            completed=_seconds(vertex, "completed"),
            error=printable(vertex.error, multiline=True) or None,
        )
    for task in status.statuses:
        yield TaskProgressed(
            step=task.vertex,
            task=printable(task.ID),
            name=printable(task.name),
            current=task.current,
            total=task.total,
            at=_seconds(task, "timestamp"),
        )
    for log in status.logs:
        yield Logged(step=log.vertex, stream=log.stream, data=log.msg, at=_seconds(log, "timestamp"))
    for warning in status.warnings:
        yield Warned(text=log_line(warning.short.decode(errors="replace")))


def _in_build_order(vertexes: Sequence[Any]) -> Sequence[Any]:
    """Inputs first: BuildKit announces a graph from its end."""
    inputs = {vertex.digest: vertex.inputs for vertex in vertexes}
    try:
        order = list(graphlib.TopologicalSorter(inputs).static_order())
    except graphlib.CycleError:
        return vertexes
    rank = {digest: position for position, digest in enumerate(order)}
    return sorted(vertexes, key=lambda vertex: rank[vertex.digest])


@functools.cache
def _status_response() -> Any:
    """The message class; protobuf is imported when the first build runs."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

    file = descriptor_pb2.FileDescriptorProto(
        name="gpuimg/control.proto",
        package="moby.buildkit.v1",
        syntax="proto3",
        dependency=[timestamp_pb2.DESCRIPTOR.name],
    )
    kinds = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "string": kinds.TYPE_STRING,
        "bool": kinds.TYPE_BOOL,
        "int64": kinds.TYPE_INT64,
        "bytes": kinds.TYPE_BYTES,
    }
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for number, (name, kind) in fields.items():
            label = kinds.LABEL_REPEATED if kind.startswith(_REPEATED) else kinds.LABEL_OPTIONAL
            field = message.field.add(name=name, number=number, label=label)
            type_name = kind.removeprefix(_REPEATED)
            if type_name in scalars:
                field.type = scalars[type_name]
            else:
                field.type, field.type_name = kinds.TYPE_MESSAGE, type_name
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("moby.buildkit.v1.StatusResponse"))


def _parse(data: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return _status_response().FromString(data)
    except DecodeError as error:
        raise ValueError("not a BuildKit status message") from error


def _seconds(message: Any, field: str) -> float | None:
    """A timestamp field as seconds since 1970; None where it isn't set."""
    if not message.HasField(field):
        return None
    stamp = getattr(message, field)
    return float(stamp.seconds + stamp.nanos / 1e9)
