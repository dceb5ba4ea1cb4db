"""Columns of a file as the reader's columns: other widths, units and encodings of the same values, exactly or not at all."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from worker.decode.arrays import rows_of_bad_utf8
from worker.decode.avro import NO_DEFAULT, Array, Record
from worker.decode.cursor import Bools
from worker.decode.ids import uuid_texts
from worker.decode.plan import Column, arrow_schema, columns_of

_MICROS_PER = {"s": 1_000_000, "ms": 1_000}
_INT64_MAX = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the reader; of an array, `items` are the columns of its records."""

    column: Column
    items: tuple["Field", ...] = ()


def fields_of(reader: Record) -> tuple[Field, ...]:
    """The reader's fields, in its order."""
    return tuple(
        Field(column, fields_of(field.type.items) if isinstance(field.type, Array) and isinstance(field.type.items, Record) else ())
        for field, column in zip(reader.fields, columns_of(reader), strict=True)
    )


def mismatches(fields: Sequence[Field], given: Iterable[pa.Field], within: str = "") -> Iterator[str]:
    """Why columns can't be read as the reader's fields, whatever their values. Columns are matched by name; others are not looked at."""
    columns = [(column.name, column.type) for column in given]
    types = dict(columns)
    twice = {name for name, count in Counter(name for name, _ in columns).items() if count > 1}
    for field in fields:
        name = f"{within}{field.column.name}"
        if field.column.name in twice:
            yield f"there are two columns {name}"
        elif field.column.name in types:
            yield from _mismatches(field, types[field.column.name], name)
        elif field.column.default is NO_DEFAULT:
            yield f"there is no column {name}"


def _mismatches(field: Field, kind: pa.DataType, name: str) -> Iterator[str]:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if field.items and _is_list(kind) and pa.types.is_struct(kind.value_type):
        yield from mismatches(field.items, kind.value_type, f"{name}.")
    elif not pa.types.is_null(kind) and (field.items or not _is_readable(field.column, kind)):
        yield f"{name} is {kind}, not {_expected(field)}"


def _is_readable(column: Column, kind: pa.DataType) -> bool:
    if column.is_text:
        return any(of(kind) for of in (*_STRINGS, *_BINARIES)) or kind == pa.uuid()
    if column.is_time:
        return bool(pa.types.is_timestamp(kind)) or kind in (pa.int64(), pa.uint64())
    return bool(pa.types.is_integer(kind))


def _expected(field: Field) -> str:
    if field.items:
        return "a list of structs"
    if field.column.is_time:
        return "a timestamp (or int64: UTC microseconds)"
    return "a string" if field.column.is_text else "an integer"


def conformed(fields: Sequence[Field], batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Bools]:
    """The batch as the reader's columns, and which of its rows are whole: the others hold a null or a value that has no place there.

    `batch` has no `mismatches`.
    """
    ok = np.ones(len(batch), np.bool_)
    names = set(batch.schema.names)
    arrays = []
    for field in fields:
        found = batch[field.column.name] if field.column.name in names else None
        array, bad = _conformed(field, found, len(batch))
        if bad is not None:
            ok &= ~bad
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(field.column for field in fields)), ok


def _conformed(field: Field, array: pa.Array | None, n: int) -> tuple[pa.Array, Bools | None]:
    """The array as the reader's column, and its bad rows; None: there are none."""
    column = field.column
    if array is None:
        return pa.repeat(pa.scalar(column.default, column.arrow), n), None
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_null(array.type):
        array, bad = array.cast(column.arrow), None
    elif field.items:
        array, bad = _list(field, array)
    else:
        array, bad = (_text if column.is_text else _time if column.is_time else _number)(column, array)
    if array.null_count and not column.nullable:
        bad = _either(bad, _bools(array.is_null()))
    return array, bad


def _text(_: Column, array: pa.Array) -> tuple[pa.Array, Bools | None]:
    if array.type == pa.uuid():
        return uuid_texts(array), None
    if any(of(array.type) for of in _BINARIES):
        array = array.cast(pa.binary()).view(pa.string())
    array = array.cast(pa.string())
    if _is_ascii(array):
        return array, None
    rows = rows_of_bad_utf8(array)
    if not len(rows):
        return array, None
    bad = np.zeros(len(array), np.bool_)
    bad[rows] = True
    return array, bad


def _is_ascii(array: pa.StringArray) -> bool:
    _, offsets, data = array.buffers()
    if data is None:
        return True
    bounds = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    return bool(np.bitwise_or.reduce(np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]) < 0x80) if len(bounds) else True


def _number(column: Column, array: pa.Array) -> tuple[pa.Array, Bools | None]:
    """Integers of any width; those that don't fit are bad."""
    if array.type == column.arrow:
        return array, None
    target = pa.int32() if column.arrow == pa.int32() else pa.int64()
    try:
        return array.cast(target), None
    except pa.ArrowInvalid:
        own, wanted = np.iinfo(array.type.to_pandas_dtype()), np.iinfo(target.to_pandas_dtype())
        low, high = pa.scalar(max(own.min, wanted.min), array.type), pa.scalar(min(own.max, wanted.max), array.type)
        return array.cast(target, safe=False), _bools(pc.or_(pc.less(array, low), pc.greater(array, high)))


def _time(column: Column, array: pa.Array) -> tuple[pa.Array, Bools | None]:
    """Timestamps of any unit; one without a time zone is UTC, as is an integer, in microseconds. What is no whole microsecond is bad."""
    if not pa.types.is_timestamp(array.type):
        numbers, bad = _number(column, array)
        return numbers.view(column.arrow), bad
    unit, numbers, bad = array.type.unit, array.cast(pa.int64()), None
    if unit == "ns":
        micros = pc.divide(numbers, 1_000)
        bad = _bools(pc.not_equal(pc.multiply(micros, 1_000), numbers))
        numbers = micros
    elif unit in _MICROS_PER:
        most = _INT64_MAX // _MICROS_PER[unit]
        bad = _bools(pc.or_(pc.greater(numbers, most), pc.less(numbers, -most)))
        numbers = pc.multiply(numbers, _MICROS_PER[unit])
    return numbers.view(column.arrow), bad


def _list(field: Field, array: pa.Array) -> tuple[pa.Array, Bools | None]:
    """Lists of structs; a row with a bad item is bad. (pyarrow 26 casts views of lists to lists that are not valid.)"""
    structs, row_of = array.flatten(), pc.list_parent_indices(array).to_numpy()
    item_bad = _bools(structs.is_null()) if structs.null_count else None
    arrays, names = [], [child.name for child in structs.type]
    for item in field.items:
        found = structs.field(item.column.name) if item.column.name in names else None
        values, bad = _conformed(item, found, len(structs))
        item_bad = _either(item_bad, bad)
        arrays.append(values)
    inner = pa.StructArray.from_arrays(arrays, fields=list(field.column.arrow.value_type))
    bounds = np.zeros(len(array) + 1, np.int32)
    np.cumsum(pc.list_value_length(array).fill_null(0).to_numpy(), out=bounds[1:])
    is_null = array.is_null() if array.null_count else None
    validity = None if is_null is None else pc.invert(is_null).buffers()[1]
    lists = pa.Array.from_buffers(field.column.arrow, len(array), [validity, pa.py_buffer(bounds)], children=[inner])
    if item_bad is None:
        return lists, None
    of_row = np.zeros(len(array), np.bool_)
    of_row[row_of[item_bad]] = True
    return lists, of_row


def _bools(array: pa.BooleanArray) -> Bools:
    bools: Bools = array.fill_null(False).to_numpy(zero_copy_only=False)
    return bools


def _either(one: Bools | None, other: Bools | None) -> Bools | None:
    return other if one is None else one if other is None else one | other


def _is_list(kind: pa.DataType) -> bool:
    return any(of(kind) for of in _LISTS)


_Kind = Callable[[pa.DataType], bool]
_STRINGS: tuple[_Kind, ...] = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BINARIES: tuple[_Kind, ...] = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
_LISTS: tuple[_Kind, ...] = (
    *(pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list),
    *(pa.types.is_list_view, pa.types.is_large_list_view),
)
