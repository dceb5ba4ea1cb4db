"""A cursor per message over one buffer: numpy reads the next value of all messages at once.

A message that breaks the encoding is flagged in `ok` and read on harmlessly; nothing is raised. Positions may run past the end of a
message: the reader of a whole record compares them with `end` when it is done.
"""

from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Bytes: TypeAlias = NDArray[np.uint8]

_STOP = np.uint64(0x8080808080808080)
_PAYLOAD = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONE = np.uint64(1)
# Joins groups of 7 bits to 14, 28 and 56: (the lower groups, the upper groups, by how much these move down).
_JOINS = [
    (np.uint64(0x007F007F007F007F), np.uint64(0x7F007F007F007F00), _ONE),
    (np.uint64(0x00003FFF00003FFF), np.uint64(0x3FFF00003FFF0000), np.uint64(2)),
    (np.uint64(0x000000000FFFFFFF), np.uint64(0x0FFFFFFF00000000), np.uint64(4)),
]


class Buffer:
    """Bytes that can be read at any position of a message, and somewhat past it: `padding` bytes more than the messages have."""

    __slots__ = ("bytes", "raw", "words")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.bytes: Bytes = np.frombuffer(raw, np.uint8)
        # The 8 bytes from each position on, unaligned.
        self.words: NDArray[np.uint64] = np.ndarray((len(raw) - 7,), np.dtype("<u8"), raw, 0, (1,))


class Cursor:
    """The positions of n messages. `pos` is replaced, never written into: columns keep it as the bounds of their texts."""

    __slots__ = ("buffer", "end", "ok", "pos")

    def __init__(self, buffer: Buffer, pos: Ints, end: Ints) -> None:
        self.buffer, self.pos, self.end = buffer, pos, end
        self.ok: Bools = np.ones(len(pos), np.bool_)

    def __len__(self) -> int:
        return len(self.pos)

    def at(self, rows: Ints) -> Self:
        """A cursor of these messages alone; `put` brings it back."""
        return type(self)(self.buffer, self.pos[rows], self.end[rows])

    def put(self, rows: Ints, part: Self) -> None:
        self.pos = self.pos.copy()
        self.pos[rows] = part.pos
        self.ok[rows] &= part.ok

    def flag(self, bad: Bools) -> None:
        self.ok &= ~bad

    def advance(self, size: int) -> None:
        """Past `size` bytes of each message, which must be there."""
        room = self.end - self.pos >= size
        self.flag(~room)
        self.pos = self.pos + np.where(room, size, 0)

    def varint(self) -> NDArray[np.signedinteger]:
        """A zigzag number of each message: int8 where all are one byte long, else int64. Flags what doesn't fit 64 bits."""
        first = self.buffer.bytes[self.pos]
        if first.max(initial=0) < 128:
            self.pos = self.pos + 1
            return _unzigzag8(first)
        is_long = first >= 128
        count = np.count_nonzero(is_long)
        if 4 * count > len(first):
            value, length = self._wide(self.pos, slice(None))
        else:
            rows = np.flatnonzero(is_long)
            value, length = _unzigzag8(first).astype(np.int64), np.ones(len(first), np.int64)
            value[rows], length[rows] = self._wide(self.pos[rows], rows)
        self.pos = self.pos + length
        return value

    def _wide(self, pos: Ints, rows: Ints | slice) -> tuple[Ints, Ints]:
        """Value and length of numbers of any length: 8 bytes at once, the rare ninth and tenth by themselves."""
        word = self.buffer.words[pos]
        stop = ~word & _STOP
        below = stop ^ (stop - _ONE)  # up to the first byte without a continuation bit; all ones where none of the 8 is
        value = word & below & _PAYLOAD
        for lower, upper, shift in _JOINS:
            value = (value & lower) | ((value & upper) >> shift)
        length = (np.bitwise_count(below) >> 3).astype(np.int64)
        if not stop.all():
            longer = np.flatnonzero(stop == 0)
            ninth = self.buffer.bytes[pos[longer] + 8]
            tenth = np.where(ninth >= 128, self.buffer.bytes[pos[longer] + 9], 0)
            value[longer] |= ((ninth & 127).astype(np.uint64) << np.uint64(56)) | (tenth.astype(np.uint64) << np.uint64(63))
            length[longer] = np.where(ninth >= 128, 10, 9)
            too_long = np.zeros(len(pos), np.bool_)
            too_long[longer] = tenth > 1
            self.ok[rows] &= ~too_long
        return ((value >> _ONE) ^ -(value & _ONE)).view(np.int64), length

    def text(self) -> tuple[Ints, Ints]:
        """The bounds of a string or bytes of each message."""
        length = self.varint()
        start = self.pos
        bad = (length < 0) | (length > self.end - start)
        if bad.any():
            self.flag(bad)
            length = np.where(bad, 0, length)
        self.pos = start + length
        return start, self.pos

    def text_where(self, present: Bools) -> tuple[Ints, Ints]:
        """The bounds of a string or bytes of the messages where `present`; nothing is read of the others."""
        first = self.buffer.bytes[self.pos] * present
        start = self.pos + present
        stop = start + (first >> 1)
        if first.max(initial=0) < 128 and not (first & 1).any() and not (stop > self.end).any():
            self.pos = stop
            return start, stop
        rows = np.flatnonzero(present)
        part = self.at(rows)
        start, stop = self.pos.copy(), self.pos.copy()
        start[rows], stop[rows] = part.text()
        self.put(rows, part)
        return start, stop


def _unzigzag8(first: Bytes) -> NDArray[np.int8]:
    return (first >> 1).view(np.int8) ^ -(first & 1).view(np.int8)
