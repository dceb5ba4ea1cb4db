"""Query results for people and for other programs: plain values, exact, whatever DuckDB's types are in Arrow."""

import csv
import json
from collections.abc import Callable, Iterator
from datetime import date, time
from decimal import Decimal
from typing import Any, TextIO
from uuid import UUID

import pyarrow as pa

from worker.serve.query import QueryError

_BATCH = 10_000


def plain_rows(table: pa.Table) -> Iterator[list[Any]]:
    """Row by row, values that JSON has. Integers stay integers whatever their width (money too); decimals, dates, times, UUIDs and
    not-a-number are text, bytes are hexadecimal, a map is a list of pairs. Raises QueryError for a type that has no plain form.
    """
    plain = [_plain_of(field.type, field.name) for field in table.schema]
    for batch in table.to_batches(_BATCH):
        columns = [[plain_one(value) for value in _values(column)] for plain_one, column in zip(plain, batch.columns, strict=True)]
        yield from (list(row) for row in zip(*columns, strict=True))


def write_json(table: pa.Table, out: TextIO) -> None:
    """One JSON object a line. Of columns with one name, the last is kept: name them apart."""
    for row in plain_rows(table):
        out.write(json.dumps(dict(zip(table.column_names, row, strict=True)), ensure_ascii=False) + "\n")


def write_csv(table: pa.Table, out: TextIO) -> None:
    """A header and the rows; null is an empty field, what is nested is JSON."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows([_cell(value) for value in row] for row in plain_rows(table))


def _cell(value: Any) -> Any:
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False)
    return value


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":  # Python's datetime ends at microseconds
        column = column.cast(pa.string())
    values: list[Any] = column.to_pylist()
    return values


def _plain_of(kind: pa.DataType, name: str) -> Callable[[Any], Any]:
    if isinstance(kind, pa.OpaqueType):
        if kind.type_name not in {"hugeint", "uhugeint"}:
            raise QueryError(f"column {name} is a {kind.type_name}, which has no plain form", f"Cast it: {name}::varchar")
        is_signed = kind.type_name == "hugeint"
        return _unless_null(lambda value: int.from_bytes(value, "little", signed=is_signed))
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        item = _plain_of(kind.value_type, name)
        return _unless_null(lambda values: [item(value) for value in values])
    if pa.types.is_struct(kind):
        fields = {field.name: _plain_of(field.type, name) for field in kind}
        return _unless_null(lambda values: {key: fields[key](value) for key, value in values.items()})
    if pa.types.is_map(kind):
        key_of, item_of = _plain_of(kind.key_type, name), _plain_of(kind.item_type, name)
        return _unless_null(lambda pairs: [[key_of(key), item_of(value)] for key, value in pairs])
    if pa.types.is_interval(kind):
        return _unless_null(lambda value: f"P{value.months}M{value.days}DT{Decimal(value.nanoseconds).scaleb(-9):f}S")
    if pa.types.is_decimal(kind) and kind.scale == 0:
        return _unless_null(int)
    return _plain


def _unless_null(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else function(value)


def _plain(value: Any) -> Any:
    match value:
        case date() | time():
            return value.isoformat()
        case UUID() | Decimal():
            return str(value)
        case bytes():
            return value.hex()
        case float() if value != value or value in (float("inf"), float("-inf")):
            return str(value)
        case _:
            return value
