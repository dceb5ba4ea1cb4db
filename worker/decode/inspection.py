"""One message looked at, whatever is wrong with it: its writer schema, and its record as far as the bytes follow that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.decode import columns
from worker.decode.avro import MICROS, MILLIS, Primitive, Record, SchemaRefused, Type, Union, describe, parse
from worker.decode.framing import SchemaRef, unframe
from worker.decode.reread import as_written
from worker.decode.schemas import NoSchema, SchemaSource
from worker.decode.walk import Malformed, walk_over
from worker.events import Message


@dataclass(frozen=True, slots=True)
class FieldRead:
    """A field as its writer wrote it (what JSON has); of a time, `time` says it as text."""

    name: str
    value: Any
    time: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """`ref` names the writer schema, `record` is the name of its record; `fault`: why there is not more, empty where all was read."""

    ref: SchemaRef | None = None
    record: str = ""
    fields: Sequence[FieldRead] = ()
    fault: str = ""


def inspect(message: Message, schemas: SchemaSource) -> Inspection:
    """What can be read of a message that has a value. Raises Unavailable and Fatal where its schema can't be asked for."""
    value = message.value() or b""
    frames = unframe([message], [value], np.array([len(value)]), columns.PADDING)
    if not frames.bodies:
        return Inspection(fault=frames.broken[0][1])
    (body,) = frames.bodies
    text = schemas.text(body.ref)
    if isinstance(text, NoSchema):
        return Inspection(body.ref, fault=text.detail)
    try:
        writer = parse(text)
    except SchemaRefused as error:
        return Inspection(body.ref, fault=str(error))
    if not isinstance(writer, Record):
        return Inspection(body.ref, fault=f"its schema is {describe(writer)}, not a record")
    fields, fault = _read(writer, frames.buffer.raw[int(body.start[0]) : int(body.end[0])])
    return Inspection(body.ref, writer.name, fields, fault)


def _read(writer: Record, body: bytes) -> tuple[list[FieldRead], str]:
    """Field after field, up to the first that the bytes don't follow, and why they don't."""
    fields: list[FieldRead] = []
    at = 0
    for field in writer.fields:
        try:
            end = walk_over(field.type)(body, at)
        except Malformed as error:
            return fields, str(error.within(field.name))
        value = as_written(field.type, body[at:end])
        fields.append(FieldRead(field.name, value, _time(field.type, value)))
        at = end
    return fields, f"{len(body) - at} bytes are left over" if at < len(body) else ""


def _time(kind: Type, value: Any) -> str:
    """A time as text, however far off; empty for what is none."""
    branches = kind.branches if isinstance(kind, Union) else (kind,)
    logical = {branch.logical for branch in branches if isinstance(branch, Primitive)}
    if not isinstance(value, int) or not logical & {MICROS, MILLIS}:
        return ""
    return f"{np.datetime64(value, 'us') if MICROS in logical else np.datetime64(value, 'ms')}Z"
