"""The columnar decoder: a plan runs over many messages at once, from bytes to Arrow, without a Python object per field."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from worker.decode.avro import MAX_NODES, MILLIS, NULL, Array, Enum, Fixed, Map, Primitive, Record, Type, Union, takes_no_bytes
from worker.decode.cursor import Bools, Buffer, Cursor, Ints
from worker.decode.plan import Column, List, RecordPlan, Scalar, Skip

PADDING = bytes(16 * MAX_NODES)  # no plan reads further past the end of a message
MAX_TURNS = 1_000  # items of one array, and of arrays within it, that are read in columns; a message with more is left to fastavro
MAX_EMPTY_ITEMS = 1_000  # of an array whose items take no bytes: nothing else would bound their number

_INT32 = np.iinfo(np.int32)
_MILLIS_LIMIT = np.iinfo(np.int64).max // 1000


@dataclass(frozen=True, slots=True)
class Texts:
    """Bounds in the buffer; `present`: None where no text is null."""

    start: Ints
    stop: Ints
    present: Bools | None = None


@dataclass(frozen=True, slots=True)
class Numbers:
    values: NDArray[np.signedinteger]
    present: Bools | None = None


@dataclass(frozen=True, slots=True)
class Lists:
    """Items of row i: from offsets[i] to offsets[i + 1]."""

    offsets: Ints
    items: "Columns"


Columns: TypeAlias = Mapping[str, Texts | Numbers | Lists]


def read(plan: RecordPlan, buffer: Buffer, start: Ints, end: Ints) -> tuple[pa.RecordBatch, Bools]:
    """The messages' bodies from start[i] to end[i] as the plan's columns, and which of them are well-formed (of the others, any values).

    The buffer must go on for len(PADDING) bytes after the last body.
    """
    run = _Run(plan, buffer)
    cursor = Cursor(run.buffer, start, end)
    columns = run.record(plan, cursor)
    ok = cursor.ok & (cursor.pos == cursor.end)
    arrays = [run.arrow(column, columns[column.name], ok, None) for column in plan.columns]
    schema = pa.schema([pa.field(column.name, column.arrow, column.nullable) for column in plan.columns])
    return pa.RecordBatch.from_arrays(arrays, schema=schema), ok


class _Run:
    """One run of a plan over one buffer."""

    def __init__(self, plan: RecordPlan, buffer: Buffer) -> None:
        self._turns_left = 0
        self._depth = 0
        self._constants: dict[str, tuple[int, int]] = {}
        texts = list(_constant_texts(plan))
        if texts:
            buffer = self._with_constants(buffer, texts)
        self.buffer = buffer

    def _with_constants(self, buffer: Buffer, texts: Sequence[str]) -> Buffer:
        """Symbols of enums and defaults stand after the messages, so that they are texts of the buffer like all others."""
        raw = bytearray(buffer.raw)
        for text in texts:
            encoded = text.encode()
            self._constants[text] = (len(raw), len(raw) + len(encoded))
            raw += encoded
        return Buffer(bytes(raw + PADDING))

    def record(self, plan: RecordPlan, cursor: Cursor) -> Columns:
        columns = {column.name: self._constant(column, column.default, len(cursor)) for column in plan.absent}
        for step in plan.steps:
            match step:
                case Skip(type=kind):
                    self._skip(kind, cursor)
                case Scalar(column=column):
                    columns[column.name] = self._scalar(step, cursor)
                case List(column=column):
                    columns[column.name] = self._list(step, cursor)
        return columns

    def _constant(self, column: Column, value: Any, n: int) -> Texts | Numbers:
        """A column of one value: the reader's default, or null where the writer has nothing else."""
        present = np.zeros(n, np.bool_) if value is None else None
        if pa.types.is_string(column.arrow):
            start, stop = self._constants[value] if value else (0, 0)
            return Texts(np.full(n, start), np.full(n, stop), present)
        return Numbers(np.full(n, value or 0), present)

    def _scalar(self, step: Scalar, cursor: Cursor) -> Texts | Numbers:
        if not step.is_union:
            (branch,) = step.branches
            return self._constant(step.column, None, len(cursor)) if branch == NULL else self._value(step.column, branch, cursor)
        index = cursor.varint()
        readable = [(i, branch) for i, branch in enumerate(step.branches) if branch is not None and branch != NULL]
        nulls = [i for i, branch in enumerate(step.branches) if branch == NULL]
        is_null = index == nulls[0] if nulls else np.zeros(len(cursor), np.bool_)
        if len(readable) == 1:
            place, branch = readable[0]
            present = index == place
            cursor.flag(~(present | is_null))
            return self._value_where(step.column, branch, cursor, present)
        return self._value_of_any(step.column, readable, cursor, index, is_null)

    def _value_where(self, column: Column, branch: Type, cursor: Cursor, present: Bools) -> Texts | Numbers:
        nullable = None if not column.nullable else present
        if present.all():
            value = self._value(column, branch, cursor)
            return Texts(value.start, value.stop, nullable) if isinstance(value, Texts) else Numbers(value.values, nullable)
        if isinstance(branch, Primitive) and branch.name in ("string", "bytes"):
            return Texts(*cursor.text_where(present), nullable)
        return self._value_of_any(column, [(1, branch)], cursor, present.view(np.int8), ~present)

    def _value_of_any(
        self, column: Column, readable: Sequence[tuple[int, Type]], cursor: Cursor, index: NDArray[np.signedinteger], is_null: Bools
    ) -> Texts | Numbers:
        """Each branch for its own messages, brought together."""
        n = len(cursor)
        start, stop, values = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
        present = np.zeros(n, np.bool_)
        for place, branch in readable:
            rows = np.flatnonzero(index == place)
            part = cursor.at(rows)
            value = self._value(column, branch, part)
            cursor.put(rows, part)
            present[rows] = True
            if isinstance(value, Texts):
                start[rows], stop[rows] = value.start, value.stop
            else:
                values[rows] = value.values
        cursor.flag(~(present | is_null))
        nullable = present if column.nullable else None
        return Texts(start, stop, nullable) if pa.types.is_string(column.arrow) else Numbers(values, nullable)

    def _value(self, column: Column, writer: Type, cursor: Cursor) -> Texts | Numbers:
        match writer:
            case Enum(symbols=symbols):
                bounds = np.array([self._constants[symbol] for symbol in symbols])
                index = self._enum_index(writer, cursor)
                return Texts(bounds[index, 0], bounds[index, 1])
            case Primitive(name="string" | "bytes"):
                return Texts(*cursor.text())
            case Primitive(name="int"):
                return Numbers(self._int(cursor))
        values = cursor.varint()
        if isinstance(writer, Primitive) and writer.logical == MILLIS and pa.types.is_timestamp(column.arrow):
            cursor.flag((values > _MILLIS_LIMIT) | (values < -_MILLIS_LIMIT))
            values = values.astype(np.int64) * 1000
        return Numbers(values)

    def _int(self, cursor: Cursor) -> NDArray[np.signedinteger]:
        values = cursor.varint()
        if values.dtype == np.int64:
            cursor.flag((values < _INT32.min) | (values > _INT32.max))
        return values

    def _enum_index(self, enum: Enum, cursor: Cursor) -> NDArray[np.signedinteger]:
        index = cursor.varint()
        bad = (index < 0) | (index >= len(enum.symbols))
        cursor.flag(bad)
        return np.where(bad, 0, index)

    def _list(self, step: List, cursor: Cursor) -> Lists:
        if step.branch is not None:
            cursor.flag(cursor.varint() != step.branch)
        rows: list[Ints] = []
        parts: list[Columns] = []
        for active, part in self._turns(cursor, takes_no_bytes=False):
            rows.append(active)
            parts.append(self.record(step.item, part))
        if not rows:
            rows, parts = [np.zeros(0, np.int64)], [self.record(step.item, cursor.at(np.zeros(0, np.int64)))]
        offsets = np.zeros(len(cursor) + 1, np.int64)
        np.cumsum(np.bincount(np.concatenate(rows), minlength=len(cursor)), out=offsets[1:])
        # Every message takes one item a turn: item t of a message stands t places after its first.
        place = np.concatenate([offsets[active] + turn for turn, active in enumerate(rows)])
        return Lists(offsets, {name: _gathered([part[name] for part in parts], place) for name in parts[0]})

    def _turns(self, cursor: Cursor, takes_no_bytes: bool) -> Iterator[tuple[Ints, Cursor]]:
        """The messages that have one more item in the array at the cursor, and their own cursor, which must read or skip that item."""
        if self._depth == 0:
            self._turns_left = MAX_TURNS
        self._depth += 1
        rows = np.flatnonzero(cursor.ok)
        part, blocks = cursor.at(rows), _Blocks(len(rows), takes_no_bytes)
        while len(rows):
            blocks.advance(part)
            going = (blocks.left > 0) & part.ok
            if not going.all():
                cursor.put(rows, part)
                keep = np.flatnonzero(going)
                rows, part = rows[keep], part.at(keep)
                blocks.keep(keep)
                continue
            self._turns_left -= 1
            if self._turns_left < 0:
                part.flag(going)
                cursor.put(rows, part)
                break
            yield rows, part
            blocks.left -= 1
        self._depth -= 1

    def _skip(self, kind: Type, cursor: Cursor) -> None:
        match kind:
            case Primitive(name="boolean"):
                cursor.advance(1)
            case Primitive(name="int"):
                self._int(cursor)
            case Primitive(name="long"):
                cursor.varint()
            case Primitive(name="float"):
                cursor.advance(4)
            case Primitive(name="double"):
                cursor.advance(8)
            case Primitive(name="string" | "bytes"):
                cursor.text()
            case Fixed(size=size):
                cursor.advance(size)
            case Enum():
                self._enum_index(kind, cursor)
            case Record(fields=fields):
                for field in fields:
                    self._skip(field.type, cursor)
            case Array(items=items):
                for _, part in self._turns(cursor, takes_no_bytes(items)):
                    self._skip(items, part)
            case Map(values=values):
                for _, part in self._turns(cursor, takes_no_bytes=False):
                    part.text()
                    self._skip(values, part)
            case Union(branches=branches):
                self._skip_union(branches, cursor)

    def _skip_union(self, branches: Sequence[Type], cursor: Cursor) -> None:
        index = cursor.varint()
        cursor.flag((index < 0) | (index >= len(branches)))
        for place, branch in enumerate(branches):
            rows = np.flatnonzero(index == place)
            if len(rows) and branch != NULL:
                part = cursor.at(rows)
                self._skip(branch, part)
                cursor.put(rows, part)

    def arrow(self, column: Column, values: Texts | Numbers | Lists, ok: Bools, row_of: Ints | None) -> pa.Array:
        """The Arrow array of a column. Rows with bad UTF-8 lose their `ok`; `row_of` tells the row of each item."""
        match values:
            case Texts():
                array = _text_array(self.buffer, values)
                if _has_other_than_ascii(array):
                    bad = _rows_of_bad_utf8(array)
                    ok[bad if row_of is None else row_of[bad]] = False
                return array
            case Numbers(values=numbers, present=present):
                number_type = np.int32 if column.arrow == pa.int32() else np.int64
                numbers = np.ascontiguousarray(numbers, number_type)
                return pa.Array.from_buffers(column.arrow, len(numbers), [_bitmap(present), pa.py_buffer(numbers)])
            case Lists(offsets=offsets, items=items):
                return self._list_array(column, offsets, items, ok)

    def _list_array(self, column: Column, offsets: Ints, items: Columns, ok: Bools) -> pa.Array:
        row_of = np.repeat(np.arange(len(ok)), np.diff(offsets))
        item_type = column.arrow.value_type
        columns = [Column(field.name, field.type, field.nullable) for field in item_type]
        arrays = [self.arrow(inner, items[inner.name], ok, row_of) for inner in columns]
        struct = pa.StructArray.from_arrays(arrays, fields=list(item_type))
        return pa.Array.from_buffers(column.arrow, len(ok), [None, pa.py_buffer(offsets.astype(np.int32))], children=[struct])


class _Blocks:
    """Where each message stands in the blocks of its array: items left in the block, and where a block that told its size must end."""

    def __init__(self, n: int, takes_no_bytes: bool) -> None:
        self.left = np.zeros(n, np.int64)
        self._stop = np.full(n, -1, np.int64)
        self._empty = np.zeros(n, np.int64) if takes_no_bytes else None

    def keep(self, rows: Ints) -> None:
        self.left, self._stop = self.left[rows], self._stop[rows]
        self._empty = None if self._empty is None else self._empty[rows]

    def advance(self, cursor: Cursor) -> None:
        """Reads the next block's head of messages that have no items left; 0 items end the array. Flags what can't be true."""
        cursor.flag(cursor.pos > cursor.end)
        due = np.flatnonzero(self.left == 0)
        if not len(due):
            return
        head = cursor.at(due)
        head.flag((self._stop[due] >= 0) & (self._stop[due] != head.pos))
        count = head.varint().astype(np.int64)
        stop = np.full(len(due), -1, np.int64)
        sized = np.flatnonzero(count < 0)
        if len(sized):
            part = head.at(sized)
            size = part.varint().astype(np.int64)
            part.flag((size < 0) | (size > part.end - part.pos))
            stop[sized] = part.pos + size
            head.put(sized, part)
            count[sized] = -count[sized]
        most = head.end - head.pos  # an item takes a byte at least
        if self._empty is not None:
            self._empty[due] += np.minimum(np.abs(count), MAX_EMPTY_ITEMS + 1)
            most = MAX_EMPTY_ITEMS - self._empty[due] + count
            count_left = np.minimum(count, 1)
        else:
            count_left = count
        head.flag((count < 0) | (count > most))
        cursor.put(due, head)
        self.left[due], self._stop[due] = count_left, stop


def _constant_texts(plan: RecordPlan) -> Iterator[str]:
    for column in plan.absent:
        if isinstance(column.default, str):
            yield column.default
    for step in plan.steps:
        if isinstance(step, List):
            yield from _constant_texts(step.item)
        if isinstance(step, Scalar):
            for branch in step.branches:
                if isinstance(branch, Enum):
                    yield from branch.symbols


def _gathered(parts: Sequence[Texts | Numbers | Lists], place: Ints) -> Texts | Numbers | Lists:
    """The items of all turns, each at its place."""

    def joined(arrays: Sequence[NDArray[np.generic]]) -> NDArray[np.generic]:
        together = np.concatenate(arrays)
        out = np.empty_like(together)
        out[place] = together
        return out

    first = parts[0]
    present = None if first.present is None else joined([part.present for part in parts])
    if isinstance(first, Texts):
        return Texts(joined([part.start for part in parts]), joined([part.stop for part in parts]), present)
    return Numbers(joined([part.values for part in parts]), present)


def _text_array(buffer: Buffer, texts: Texts) -> pa.Array:
    """Texts copied out of the buffer by Arrow: the buffer is cut into texts and the gaps between them, and every second piece is taken."""
    n = len(texts.start)
    cuts = np.empty(2 * n + 1, np.int32)
    cuts[0:-1:2], cuts[1::2] = texts.start, texts.stop
    cuts[-1] = len(buffer.raw)
    pieces = pa.Array.from_buffers(pa.binary(), 2 * n, [None, pa.py_buffer(cuts), pa.py_buffer(buffer.raw)])
    taken = pieces.take(pa.array(np.arange(0, 2 * n, 2, dtype=np.int32)))
    _, offsets, data = taken.buffers()
    return pa.Array.from_buffers(pa.string(), n, [_bitmap(texts.present), offsets, data])


def _has_other_than_ascii(array: pa.Array) -> bool:
    _, _, data = array.buffers()
    return data is not None and bool(np.frombuffer(data, np.uint8).max(initial=0) >= 128)


def _rows_of_bad_utf8(array: pa.Array) -> Ints:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return np.array([row for row, text in enumerate(array.cast(pa.binary())) if not _is_utf8(text.as_py())], np.int64)
    return np.zeros(0, np.int64)


def _is_utf8(text: bytes | None) -> bool:
    try:
        (text or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _bitmap(present: Bools | None) -> pa.Buffer | None:
    return None if present is None or present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
