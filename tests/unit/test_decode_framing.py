"""Frames against Confluent's own deserializers."""

from random import Random
from typing import Any, cast
from uuid import UUID

import numpy as np
import pytest
from confluent_kafka.schema_registry import dual_schema_id_deserializer
from confluent_kafka.schema_registry.serde import SchemaId
from confluent_kafka.serialization import MessageField, SerializationContext

from tests.support.avro import Headers, message
from worker.decode import columns
from worker.decode.framing import SchemaRef, unframe
from worker.events import Message

GUID = UUID("01234567-89ab-cdef-0123-456789abcdef")
HEADER = "__value_schema_id"

HEADERS: list[Headers] = [
    None,
    [],
    [("trace", b"\0\0\0\0\1")],
    [(HEADER, b"\1" + GUID.bytes)],
    [("trace", b"x"), (HEADER, b"\1" + GUID.bytes + b"more")],
    [(HEADER, b"\0\0\0\1\2")],
    [(HEADER, None)],
    [(HEADER, b"\1" + GUID.bytes), (HEADER, b"\0\0\0\0\7")],
    [("__key_schema_id", b"\0\0\0\0\7")],
    [(HEADER, b"")],
    [(HEADER, b"\2" + GUID.bytes)],
    [(HEADER, b"\1" + GUID.bytes[:15])],
]
VALUES = [
    b"\0\0\0\0\1body",
    b"\0\0\0\0\1",
    b"\0\xff\xff\xff\xffbody",
    b"\1" + GUID.bytes + b"body",
    b"\1" + GUID.bytes,
    b"\1" + GUID.bytes[:15],
    b"\0\0\0\1",
    b"\0",
    b"",
    b"\2\0\0\0\1body",
    b"\xff\0\0\0\1body",
]


def by_confluent(value: bytes, headers: Headers) -> tuple[SchemaRef, bytes] | None:
    """The schema and the body, or None where Confluent's deserializer can't tell."""
    found = SchemaId("AVRO")
    try:
        rest = dual_schema_id_deserializer(value, SerializationContext("t", MessageField.VALUE, cast(Any, headers)), found)
    # whatever it stumbles upon: struct.error, ValueError, SerializationError
    except Exception:
        return None
    ref = found.id if found.id is not None else found.guid
    return None if ref is None else (ref, rest.read())


def by_frames(messages: list[Message]) -> list[tuple[SchemaRef, bytes] | None]:
    values = [one.value() or b"" for one in messages]
    frames = unframe(messages, values, np.array(list(map(len, values))), columns.PADDING)
    found: list[tuple[SchemaRef, bytes] | None] = [None] * len(messages)
    for bodies in frames.bodies:
        for row, start, end in zip(bodies.rows, bodies.start, bodies.end, strict=True):
            found[row] = bodies.ref, frames.buffer.raw[start:end]
    told = [row for bodies in frames.bodies for row in bodies.rows] + [row for row, _ in frames.broken]
    assert sorted(told) == list(range(len(messages)))
    return found


def test_every_frame_is_told_as_confluents_deserializer_tells_it() -> None:
    messages = [message(value, headers=headers) for value in VALUES for headers in HEADERS]
    assert by_frames(messages) == [by_confluent(value, headers) for value in VALUES for headers in HEADERS]


def test_frames_of_random_messages_are_told_as_confluents_deserializer_tells_them(seed: int) -> None:
    random = Random(seed)
    cases = [(random.choice(VALUES[:5]) + random.randbytes(random.randrange(9)), random.choice(HEADERS)) for _ in range(500)]
    messages = [message(value, headers=headers) for value, headers in cases]
    assert by_frames(messages) == [by_confluent(*case) for case in cases]


@pytest.mark.parametrize(
    ("value", "headers", "detail"),
    [
        (b"\0\0\0", None, "the 3 bytes are too few for a schema id"),
        (b"{}", None, "magic byte 123 where 0 (id) or 1 (GUID) is expected"),
        (b"\0\0\0\0\1", [(HEADER, b"\7")], "magic byte 7 where 0 (id) or 1 (GUID) is expected"),
    ],
)
def test_a_broken_frame_says_what_is_wrong(value: bytes, headers: Headers, detail: str) -> None:
    frames = unframe([message(value, headers=headers)], [value], np.array([len(value)]), columns.PADDING)
    assert frames.broken == [(0, detail)]
