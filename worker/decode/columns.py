"""The columnar decoder: a plan runs over many messages at once, from bytes to Arrow, without a Python object per field."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from worker.decode.arrays import Lists, Numbers, Scalars, Texts, spread, to_arrow
from worker.decode.avro import MAX_NODES, MILLIS, NULL, Array, Enum, Fixed, Map, Primitive, Record, Type, Union, takes_no_bytes
from worker.decode.cursor import MAX_STEP, Bools, Buffer, Cursor, Ints, SmallInts
from worker.decode.plan import Column, List, RecordPlan, Scalar, Skip

PADDING = bytes(MAX_STEP * MAX_NODES)  # no plan reads further past the end of a message
MAX_TURNS = 1_000  # items of one array, and of arrays within it, that are read in columns; a message with more is left to fastavro
MAX_EMPTY_ITEMS = 1_000  # of an array whose items take no bytes: nothing else would bound their number

_INT32 = np.iinfo(np.int32)
_MAX_MILLIS = np.iinfo(np.int64).max // 1000
_NO_ROWS = np.zeros(0, np.int64)


def read(plan: RecordPlan, buffer: Buffer, start: Ints, end: Ints) -> tuple[pa.RecordBatch, Bools]:
    """The messages' bodies from start[i] to end[i] as the plan's columns, and which of them are well-formed (of the others, any values).

    The buffer goes on for len(PADDING) bytes after the last body.
    """
    run = _Run(plan, buffer)
    cursor = Cursor(run.buffer, start, end)
    values = run.record(plan, cursor)
    ok = cursor.ok & (cursor.pos == end)
    return to_arrow(plan.columns, values, run.buffer, ok), ok


class _Run:
    """One run of a plan over one buffer."""

    def __init__(self, plan: RecordPlan, buffer: Buffer) -> None:
        self._turns_left = 0
        self._depth = 0
        self._constants: dict[str, tuple[int, int]] = {}
        self.buffer = self._with_constants(buffer, plan.constants) if plan.constants else buffer

    def _with_constants(self, buffer: Buffer, texts: Sequence[str]) -> Buffer:
        """Symbols of enums and defaults stand after the messages, so that they are texts of the buffer like all others."""
        raw = bytearray(buffer.raw)
        for text in texts:
            start = len(raw)
            raw += text.encode()
            self._constants[text] = start, len(raw)
        return Buffer(bytes(raw))

    def record(self, plan: RecordPlan, cursor: Cursor) -> dict[str, Scalars | Lists]:
        """The plan's columns of the records at the cursor."""
        values: dict[str, Scalars | Lists] = {}
        for column in plan.absent:
            values[column.name] = self._constant(column, column.default, len(cursor))
        for step in plan.steps:
            match step:
                case Scalar(column=column):
                    values[column.name] = self._scalar(step, cursor)
                case Skip(type=kind):
                    self._skip(kind, cursor)
                case List(column=column):
                    values[column.name] = self._list(step, cursor)
        return values

    def _constant(self, column: Column, value: Any, n: int) -> Scalars:
        """A column of one value: the reader's default, or null where the writer has nothing else."""
        present = np.zeros(n, np.bool_) if value is None else None
        if column.is_text:
            start, stop = (0, 0) if value is None else self._constants[value]
            return Texts(np.full(n, start), np.full(n, stop), present)
        return Numbers(np.full(n, value or 0), present)

    def _scalar(self, step: Scalar, cursor: Cursor) -> Scalars:
        if step.alone is not None:
            place, writer = step.alone
            present = cursor.is_second() if place == 1 else ~cursor.is_second()
            return self._value_where(step.column, writer, cursor, present)
        if step.is_union:
            return self._value_of_any(step, cursor)
        _, writer = step.readable[0]
        return self._value(step.column, writer, cursor)

    def _value_where(self, column: Column, writer: Type, cursor: Cursor, present: Bools) -> Scalars:
        """A value where it is `present`; elsewhere it is null, which not every column may be."""
        count = np.count_nonzero(present)
        if count == len(present):
            return self._value(column, writer, cursor)
        if not column.nullable:
            cursor.flag(~present)
        if isinstance(writer, Primitive) and column.is_text:
            return Texts(*cursor.text_where(present), present)
        if not count:
            return self._constant(column, None, len(cursor))
        rows = np.flatnonzero(present)
        return spread([(rows, self._part_value(column, writer, cursor, rows))], len(cursor), present)

    def _value_of_any(self, step: Scalar, cursor: Cursor) -> Scalars:
        """A union in general: each branch is read for its own messages, and all are brought together."""
        index = cursor.varint()
        cursor.flag(~np.isin(index, [place for place, _ in step.readable]))
        present = np.zeros(len(cursor), np.bool_)
        values = []
        for place, writer in step.readable:
            rows = np.flatnonzero(index == place)
            present[rows] = writer != NULL
            values.append((rows, self._part_value(step.column, writer, cursor, rows)))
        return spread(values, len(cursor), present)

    def _part_value(self, column: Column, writer: Type, cursor: Cursor, rows: Ints) -> Scalars:
        part = cursor.at(rows)
        value = self._value(column, writer, part)
        cursor.put(rows, part)
        return value

    def _value(self, column: Column, writer: Type, cursor: Cursor) -> Scalars:
        match writer:
            case Primitive(name="string" | "bytes"):
                return Texts(*cursor.text())
            case Primitive(name="int"):
                return Numbers(self._int(cursor))
            case Primitive(name="null"):
                return self._constant(column, None, len(cursor))
            case Enum(symbols=symbols):
                bounds = np.array([self._constants[symbol] for symbol in symbols])
                start, stop = bounds[self._index(len(symbols), cursor)].T
                return Texts(start, stop)
            case Primitive(logical=logical) if logical == MILLIS and column.is_time:
                values = cursor.varint()
                cursor.flag((values > _MAX_MILLIS) | (values < -_MAX_MILLIS))
                return Numbers(values.astype(np.int64) * 1000)
        return Numbers(cursor.varint())

    def _int(self, cursor: Cursor) -> SmallInts:
        values = cursor.varint()
        if values.dtype == np.int64:
            cursor.flag((values < _INT32.min) | (values > _INT32.max))
        return values

    def _index(self, count: int, cursor: Cursor) -> SmallInts:
        """An index below `count`; one that is not is flagged, and 0 stands in its place."""
        index = cursor.varint()
        fits = (index >= 0) & (index < count)
        cursor.flag(~fits)
        return index * fits

    def _list(self, step: List, cursor: Cursor) -> Lists:
        if step.branch is not None:
            cursor.flag(cursor.varint() != step.branch)
        turns: list[tuple[Ints, dict[str, Scalars | Lists]]] = []
        for rows, part in self._turns(cursor, takes_no_bytes=False):
            turns.append((rows, self.record(step.item, part)))
        offsets = np.zeros(len(cursor) + 1, np.int64)
        np.cumsum(np.bincount(np.concatenate([_NO_ROWS, *(rows for rows, _ in turns)]), minlength=len(cursor)), out=offsets[1:])
        if not turns:
            turns = [(_NO_ROWS, self.record(step.item, cursor.at(_NO_ROWS)))]
        # Every message takes one item a turn: its item of turn t stands t places after its first.
        places = [offsets[rows] + turn for turn, (rows, _) in enumerate(turns)]
        items = {}
        for column in step.item.columns:
            parts = [(place, values[column.name]) for place, (_, values) in zip(places, turns, strict=True)]
            items[column.name] = spread(parts, int(offsets[-1]))
        return Lists(offsets, step.item.columns, items)

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
            if np.count_nonzero(going) < len(rows):
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
            case Enum(symbols=symbols):
                self._index(len(symbols), cursor)
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
        head, ended = cursor.at(due), self._stop[due]
        head.flag((ended >= 0) & (ended != head.pos))
        count = head.varint()
        if np.count_nonzero(count < 0):
            count, ended[:] = self._sized(head, count.astype(np.int64))
        else:
            ended[:] = -1
        most = head.end - head.pos  # an item takes a byte at least
        if self._empty is not None:
            most = MAX_EMPTY_ITEMS - self._empty[due]
            self._empty[due] += np.minimum(count, most + 1)
        head.flag((count < 0) | (count > most))
        cursor.put(due, head)
        # Items of no bytes are skipped all at once.
        self.left[due] = count if self._empty is None else np.minimum(count, 1)
        self._stop[due] = ended

    def _sized(self, head: Cursor, count: Ints) -> tuple[Ints, Ints]:
        """Counts, of which some are negative: the block's size in bytes follows these. Returns them made positive, and where blocks end."""
        stop = np.full(len(count), -1, np.int64)
        rows = np.flatnonzero(count < 0)
        part = head.at(rows)
        size = part.varint()
        part.flag((size < 0) | (size > part.end - part.pos))
        head.put(rows, part)
        stop[rows] = part.pos + size
        return np.where(count < 0, -count, count), stop
