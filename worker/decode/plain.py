"""Single rows of files as JSON: to be kept and looked at where they are rejected or expired, and to be read again."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from worker.decode.avro import NO_DEFAULT
from worker.decode.conform import Field
from worker.decode.plan import Column
from worker.decode.walk import Malformed

_MICROS_PER = {"s": 1_000_000, "ms": 1_000, "us": 1}


def to_json(row: Mapping[str, Any]) -> bytes:
    """ASCII: what is no UTF-8 in a text (see Rereader.shown) stands in it as escapes of lone surrogates."""
    return json.dumps(row, separators=(",", ":")).encode()


def from_json(value: bytes | None) -> dict[str, Any]:
    """The row that to_json wrote. Raises Malformed."""
    try:
        row = json.loads(value or b"")
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from None
    if not isinstance(row, dict):
        raise Malformed("not a JSON object")
    return row


def arrow_row(fields: Sequence[Field], batch: pa.RecordBatch, row: int) -> dict[str, Any]:
    """The reader's columns of one row of a file, as the file has them. Times are UTC micros, or text where they are no whole ones."""
    names = batch.schema.names
    return {field.column.name: _plain(field, batch[field.column.name][row]) for field in fields if field.column.name in names}


def _plain(field: Field, value: pa.Scalar) -> Any:
    if isinstance(value, pa.DictionaryScalar):
        value = value.value
    if not value.is_valid:
        return None
    if field.items:
        items = pa.RecordBatch.from_struct_array(value.values)
        return [arrow_row(field.items, items, place) if value.values[place].is_valid else None for place in range(len(items))]
    if isinstance(value, pa.BinaryScalar):
        return value.as_buffer().to_pybytes().decode(errors="surrogateescape")
    if isinstance(value, pa.TimestampScalar):
        return _micros(value.value, value.type.unit)
    return str(value.as_py()) if value.type == pa.uuid() else value.as_py()


def _micros(count: int, unit: str) -> int | str:
    if unit == "ns":
        return f"{np.datetime64(count, 'ns')}Z" if count % 1_000 else count // 1_000
    return count * _MICROS_PER[unit]


def record_of(fields: Sequence[Field], row: Mapping[str, Any]) -> dict[str, Any]:
    """The reader's record from a row of JSON. Raises Malformed: which field, and why."""
    return {field.column.name: _value(field, row) for field in fields}


def _value(field: Field, row: Mapping[str, Any]) -> Any:
    name, column = field.column.name, field.column
    try:
        if name not in row:
            return _default(column)
        value = row[name]
        if value is None and column.nullable:
            return None
        return _items(field.items, value) if field.items else _scalar(column, value)
    except Malformed as error:
        raise error.within(name) from None


def _default(column: Column) -> Any:
    if column.default is NO_DEFAULT:
        raise Malformed("is not there")
    return column.default


def _items(fields: Sequence[Field], values: Any) -> list[dict[str, Any]]:
    if not isinstance(values, list):
        raise Malformed(f"is {_short(values)}, not a list")
    items = []
    for place, value in enumerate(values):
        if not isinstance(value, dict):
            raise Malformed(f"is {_short(value)}, not an item").within(str(place))
        try:
            items.append(record_of(fields, value))
        except Malformed as error:
            raise error.within(str(place)) from None
    return items


def _scalar(column: Column, value: Any) -> str | int:
    if column.is_text and isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Malformed("is no UTF-8") from None
        return value
    if column.is_text or type(value) is not int:
        kind = "text" if column.is_text else "a whole number of microseconds" if column.is_time else "a whole number"
        raise Malformed(f"is {_short(value)}, not {kind}")
    bits = 32 if column.arrow == pa.int32() else 64
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise Malformed(f"{value} doesn't fit {bits} bits")
    return value


def _short(value: Any) -> str:
    return "null" if value is None else json.dumps(value)[:80]
