"""Confluent framing: which writer schema each message names, in a prefix or in a header, and where its Avro body begins."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import numpy as np

from worker.decode.cursor import Bools, Buffer, Ints
from worker.events import Message

SchemaRef: TypeAlias = int | UUID
Headers: TypeAlias = list[tuple[str, bytes | None]]

SCHEMA_HEADER = "__value_schema_id"
ILLEGIBLE_HEADERS = "tidemark.illegible_headers"  # the name of the one header that stands for headers that can't be read
_BROKEN = -1
_ID_SIZE, _GUID_SIZE = 5, 17  # magic byte 0 and four bytes; magic byte 1 and sixteen


@dataclass(frozen=True, slots=True)
class Bodies:
    """Messages of one writer schema: their rows, ascending, and the bounds of their Avro bodies in the buffer."""

    ref: SchemaRef
    rows: Ints
    start: Ints
    end: Ints


@dataclass(frozen=True, slots=True)
class Frames:
    buffer: Buffer
    bodies: Sequence[Bodies]
    broken: Sequence[tuple[int, str]]  # rows whose frame is not legible, and why


def unframe(messages: Sequence[Message], values: Sequence[bytes], size: Ints, padding: bytes) -> Frames:
    """The frames of messages, of which `values` are the values and `size` their lengths; `padding` goes after them.

    As with Confluent's deserializers, a header with the schema goes before a prefix, and both may hold an id or a GUID.
    """
    buffer = Buffer(b"".join((*values, padding)))
    end = np.cumsum(size)
    start = end - size
    has_id = (size >= _ID_SIZE) & (buffer.bytes[start] == 0)
    # The ref of each row by number: an id is itself, others follow from 2^32 on.
    number = np.where(has_id, buffer.words[start].byteswap() >> np.uint64(24) & np.uint64(0xFFFFFFFF), _BROKEN).astype(np.int64)
    body = start + _ID_SIZE
    others: dict[SchemaRef, int] = {}
    broken = []
    for row, ref, is_header in _written_otherwise(messages, values, has_id):
        if isinstance(ref, str):
            number[row] = _BROKEN
            broken.append((row, ref))
        else:
            number[row] = ref if isinstance(ref, int) else others.setdefault(ref, (1 << 32) + len(others))
            body[row] = start[row] + (0 if is_header else _GUID_SIZE)
    refs = {place: ref for ref, place in others.items()}
    bodies = [Bodies(refs.get(n, n), rows, body[rows], end[rows]) for n, rows in _groups(number)]
    return Frames(buffer, bodies, broken)


def headers_of(messages: Sequence[Message]) -> list[Headers | None]:
    """The headers of each message; where the name of one is not UTF-8, one header named ILLEGIBLE_HEADERS in place of all."""
    found: list[Headers | None] = []
    for message in messages:
        try:
            found.append(message.headers())
        except SystemError:  # confluent_kafka's; asked once more, it would hand out a name that is no object, and the process would end
            message.set_headers([(ILLEGIBLE_HEADERS, None)])
            found.append([(ILLEGIBLE_HEADERS, None)])
    return found


def _written_otherwise(messages: Sequence[Message], values: Sequence[bytes], has_id: Bools) -> Iterator[tuple[int, SchemaRef | str, bool]]:
    """Rows whose schema is not an id in the prefix: what names it or is wrong with it, and whether that is a header."""
    in_header = set()
    all_headers = headers_of(messages)
    if any(all_headers):
        for row, headers in enumerate(all_headers):
            raw = next((value for name, value in headers or () if name == SCHEMA_HEADER), None)
            if raw is not None:
                in_header.add(row)
                yield row, _ref(raw), True
            elif headers and headers[0][0] == ILLEGIBLE_HEADERS:
                in_header.add(row)
                yield row, "the name of a header is not UTF-8", True
    for row in np.flatnonzero(~has_id).tolist():
        if row not in in_header:
            yield row, _ref(values[row]), False


def _ref(raw: bytes) -> SchemaRef | str:
    """The schema id or GUID at the beginning of `raw`, or what is wrong with it."""
    match raw[:1]:
        case b"\x00" if len(raw) >= _ID_SIZE:
            return int.from_bytes(raw[1:_ID_SIZE])
        case b"\x01" if len(raw) >= _GUID_SIZE:
            return UUID(bytes=raw[1:_GUID_SIZE])
        case b"\x00" | b"\x01" | b"":
            return f"the {len(raw)} bytes are too few for a schema id"
    return f"magic byte {raw[0]} where 0 (id) or 1 (GUID) is expected"


def _groups(number: Ints) -> Iterator[tuple[int, Ints]]:
    """The rows of each number but _BROKEN."""
    is_one = len(number) > 0 and bool((number == number[0]).all())  # as a rule; sorting is dearer
    for n in (number[:1] if is_one else np.unique(number)).tolist():
        if n != _BROKEN:
            yield n, np.flatnonzero(number == n)
