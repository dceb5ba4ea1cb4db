"""A cursor per message over one buffer: numpy reads the next value of all messages at once.

A message that breaks the encoding is flagged in `ok` and read on harmlessly; nothing is raised. A cursor may run past the end of its
message, never back: whoever has read a record to its end compares `pos` with `end`.
"""

from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
SmallInts: TypeAlias = NDArray[np.signedinteger]
Bools: TypeAlias = NDArray[np.bool_]
Bytes: TypeAlias = NDArray[np.uint8]
Words: TypeAlias = NDArray[np.uint64]

MAX_STEP = 64  # bytes that one read can go past the end of a message

_STOP = np.uint64(0x8080808080808080)
_PAYLOAD = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONE = np.uint64(1)
# Joins groups of 7 bits to 14, 28 and 56: from which bit on there must be something, the lower and upper groups, how far these go down.
_JOINS = [
    (8, np.uint64(0x007F007F007F007F), np.uint64(0x7F007F007F007F00), _ONE),
    (16, np.uint64(0x00003FFF00003FFF), np.uint64(0x3FFF00003FFF0000), np.uint64(2)),
    (32, np.uint64(0x000000000FFFFFFF), np.uint64(0x0FFFFFFF00000000), np.uint64(4)),
]

# All bits that are set in any value: one pass tells whether all are small, even, or among two powers.
_bits = np.bitwise_or.reduce


class Buffer:
    """The bytes of all messages, and some after them."""

    __slots__ = ("bytes", "raw", "words")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.bytes: Bytes = np.frombuffer(raw, np.uint8)
        # The 8 bytes from each position on, unaligned.
        self.words: Words = np.ndarray((len(raw) - 7,), np.dtype("<u8"), raw, 0, (1,))


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
        if np.count_nonzero(bad):
            self.ok &= ~bad

    def advance(self, size: int) -> None:
        """Past `size` bytes of each message, which must be there."""
        room = self.end - self.pos >= size
        self.flag(~room)
        self.pos = self.pos + size * room

    def varint(self) -> SmallInts:
        """A zigzag number of each message: int8 where all are one byte long, else int64. Flags what doesn't fit 64 bits."""
        first = self.buffer.bytes[self.pos]
        if _bits(first) < 128:
            self.pos = self.pos + 1
            return _unzigzag8(first)
        is_long = first >= 128
        if 4 * np.count_nonzero(is_long) > len(first):
            value, length = self._wide(self.pos, slice(None))
        else:
            rows = np.flatnonzero(is_long)
            value, length = _unzigzag8(first).astype(np.int64), np.ones(len(first), np.int8)
            value[rows], length[rows] = self._wide(self.pos[rows], rows)
        self.pos = self.pos + length
        return value

    def _wide(self, pos: Ints, rows: Ints | slice) -> tuple[Ints, SmallInts]:
        """Value and length of numbers of any length: 8 bytes at once, the rare ninth and tenth by themselves."""
        word = self.buffer.words[pos]
        stop = ~word & _STOP
        below = stop ^ (stop - _ONE)  # up to the first byte without a continuation bit; all ones where none of the 8 is
        value = word & below & _PAYLOAD
        bits = int(_bits(value))
        for size, lower, upper, shift in _JOINS:
            if bits >> size:
                value = (value & lower) | ((value & upper) >> shift)
        length = (np.bitwise_count(below) >> 3).view(np.int8)
        if np.count_nonzero(stop) < len(stop):
            longer = np.flatnonzero(stop == 0)
            ninth = self.buffer.bytes[pos[longer] + 8]
            is_tenth = ninth >= 128
            tenth = self.buffer.bytes[pos[longer] + 9] * is_tenth
            value[longer] |= ((ninth & 127).astype(np.uint64) << np.uint64(56)) | (tenth.astype(np.uint64) << np.uint64(63))
            length[longer] = 9 + is_tenth
            fits = np.ones(len(pos), np.bool_)
            fits[longer] = tenth <= 1
            self.ok[rows] &= fits
        return ((value >> _ONE) ^ -(value & _ONE)).view(np.int64), length

    def is_second(self) -> Bools:
        """The index into a union of two types: where it is 1. Flags what is neither 0 nor 1."""
        first = self.buffer.bytes[self.pos]
        if _bits(first) in (0, 2):
            self.pos = self.pos + 1
            return np.equal(first, 2)
        index = self.varint()
        self.flag((index < 0) | (index > 1))
        return np.equal(index, 1)

    def text(self) -> tuple[Ints, Ints]:
        """The bounds of a string or bytes of each message."""
        first = self.buffer.bytes[self.pos]
        if not _bits(first) & 0x81:  # lengths of one byte, none of them negative
            start = self.pos + 1
            self.pos = start + (first >> 1)
            return start, self.pos
        length = self.varint()
        start = self.pos
        bad = (length < 0) | (length > self.end - start)
        if np.count_nonzero(bad):
            self.flag(bad)
            length = np.where(bad, 0, length)
        self.pos = start + length
        return start, self.pos

    def text_where(self, present: Bools) -> tuple[Ints, Ints]:
        """The bounds of a string or bytes of the messages where `present`; nothing is read of the others."""
        first = self.buffer.bytes[self.pos] * present
        if not _bits(first) & 0x81:
            start = self.pos + present
            self.pos = start + (first >> 1)
            return start, self.pos
        rows = np.flatnonzero(present)
        part = self.at(rows)
        start, stop = self.pos.copy(), self.pos.copy()
        start[rows], stop[rows] = part.text()
        self.put(rows, part)
        return start, stop


def _unzigzag8(first: Bytes) -> NDArray[np.int8]:
    return (first >> 1).view(np.int8) ^ -(first & 1).view(np.int8)
