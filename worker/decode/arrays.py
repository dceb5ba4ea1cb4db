"""Decoded columns as Arrow arrays: their texts are copied out of the buffer once, all together, and their UTF-8 is checked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from worker.decode.cursor import Bools, Buffer, Ints, SmallInts
from worker.decode.plan import Column, arrow_schema


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Bounds in the buffer; `present`: None where no text is null."""

    start: Ints
    stop: Ints
    present: Bools | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    values: SmallInts
    present: Bools | None = None


Scalars: TypeAlias = Texts | Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Items of row i: from offsets[i] to offsets[i + 1]."""

    offsets: Ints
    columns: Sequence[Column]
    items: Mapping[str, Scalars]


Columns: TypeAlias = Mapping[str, Scalars | Lists]


def spread(parts: Sequence[tuple[Ints, Scalars | Lists]], n: int, present: Bools | None = None) -> Scalars:
    """Parts of a column of n values, each with the places of its values, as one. `present`, if given, stands for the parts' own."""
    places = [place for place, _ in parts]
    values = [value for _, value in parts if not isinstance(value, Lists)]
    if present is None and any(value.present is not None for value in values):
        present = _joined(places, [np.True_ if value.present is None else value.present for value in values], n, np.bool_)
    texts = [value for value in values if isinstance(value, Texts)]
    if texts:
        start = _joined(places, [text.start for text in texts], n, np.int64)
        return Texts(start, _joined(places, [text.stop for text in texts], n, np.int64), present)
    return Numbers(_joined(places, [value.values for value in values if isinstance(value, Numbers)], n, np.int64), present)


def _joined(places: Sequence[Ints], values: Sequence[Any], n: int, kind: type[np.generic]) -> NDArray[Any]:
    out = np.zeros(n, kind)
    for place, value in zip(places, values, strict=True):
        out[place] = value
    return out


def to_arrow(columns: Sequence[Column], values: Columns, buffer: Buffer, ok: Bools) -> pa.RecordBatch:
    """The columns as one batch. Rows with bad UTF-8 lose their `ok`."""
    texts = {id(found): array for found, array in _text_arrays(buffer, list(_texts(values)), ok)}
    arrays = [_array(column, values[column.name], texts) for column in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(columns))


def _array(column: Column, value: Scalars | Lists, texts: Mapping[int, pa.Array]) -> pa.Array:
    match value:
        case Texts():
            return texts[id(value)]
        case Numbers(values=numbers, present=present):
            numbers = np.ascontiguousarray(numbers, np.int32 if column.arrow == pa.int32() else np.int64)
            return pa.Array.from_buffers(column.arrow, len(numbers), [_bitmap(present), pa.py_buffer(numbers)])
        case Lists(offsets=offsets, columns=inner, items=items):
            arrays = [_array(item, items[item.name], texts) for item in inner]
            struct = pa.StructArray.from_arrays(arrays, fields=list(column.arrow.value_type))
            bounds = pa.py_buffer(offsets.astype(np.int32))
            return pa.Array.from_buffers(column.arrow, len(offsets) - 1, [None, bounds], children=[struct])


def _texts(values: Columns) -> Iterator[tuple[Texts, Ints | None]]:
    """All texts, those of items too, with the row of each item."""
    for value in values.values():
        if isinstance(value, Texts):
            yield value, None
        elif isinstance(value, Lists):
            row_of = np.repeat(np.arange(len(value.offsets) - 1), np.diff(value.offsets))
            yield from ((item, row_of) for item in value.items.values() if isinstance(item, Texts))


def _text_arrays(buffer: Buffer, texts: Sequence[tuple[Texts, Ints | None]], ok: Bools) -> Iterator[tuple[Texts, pa.Array]]:
    """The array of each column of texts. Arrow copies them: the buffer is cut into texts and gaps, and every second piece is taken."""
    total = sum(len(text.start) for text, _ in texts)
    cuts = np.empty(2 * total + 1, np.int32)
    cuts[0:-1:2] = np.concatenate([text.start for text, _ in texts])
    cuts[1::2] = np.concatenate([text.stop for text, _ in texts])
    cuts[-1] = len(buffer.raw)
    pieces = pa.Array.from_buffers(pa.binary(), 2 * total, [None, pa.py_buffer(cuts), pa.py_buffer(buffer.raw)])
    _, offsets, data = pieces.take(pa.array(np.arange(0, 2 * total, 2, dtype=np.int32))).buffers()
    characters = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    has_other_than_ascii = bool(np.bitwise_or.reduce(characters) & 0x80)
    first = 0
    for text, row_of in texts:
        n = len(text.start)
        array = pa.Array.from_buffers(pa.string(), n, [_bitmap(text.present), offsets.slice(4 * first, 4 * n + 4), data])
        if has_other_than_ascii:
            bad = rows_of_bad_utf8(array)
            ok[bad if row_of is None else row_of[bad]] = False
        first += n
        yield text, array


def rows_of_bad_utf8(array: pa.Array) -> Ints:
    """The rows of a string array that are no UTF-8: Arrow takes texts on trust."""
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return np.array([row for row, text in enumerate(array.view(pa.binary())) if not _is_utf8(text.as_py())], np.int64)
    return np.zeros(0, np.int64)


def _is_utf8(text: bytes | None) -> bool:
    try:
        (text or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _bitmap(present: Bools | None) -> pa.Buffer | None:
    return None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
