"""Avro in Confluent framing, for all records at once: each field of all records is a matrix of bytes, and fields are joined by rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Octets = NDArray[np.uint8]

_PLACES = np.arange(255, dtype=np.uint8)  # in a field; fields are shorter than 255 bytes
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_DIGITS = np.delete(np.arange(36), [8, 13, 18, 23])


@dataclass(frozen=True, slots=True)
class Pieces:
    """One field of n records: of each row of `cells`, shape (n, width), the first `used`, shape (n,), are its bytes."""

    cells: Octets
    used: Ints

    def at(self, rows: Ints) -> "Pieces":
        """The pieces of these rows."""
        return Pieces(self.cells[rows], self.used[rows])

    def where(self, present: Bools) -> "Pieces":
        """Nothing at all where not present."""
        return Pieces(self.cells, np.where(present, self.used, 0))

    def __add__(self, other: "Pieces") -> "Pieces":
        """Each row followed by the other's."""
        width = int(self.used.max(initial=0) + other.used.max(initial=0))
        cells = np.zeros((len(self.used), width), np.uint8)
        for piece, start in ((self, np.zeros_like(self.used)), (other, self.used)):
            rows, places = np.nonzero(np.arange(piece.cells.shape[1]) < piece.used[:, None])
            cells[rows, start[rows] + places] = piece.cells[rows, places]
        return Pieces(cells, self.used + other.used)


def numbers(values: Ints) -> Pieces:
    """Avro int or long: zigzag, then seven bits a byte."""
    rest = ((values << 1) ^ (values >> 63)).astype(np.uint64)
    width = max(1, -(-int(rest.max(initial=0)).bit_length() // 7))
    cells = np.empty((len(values), width), np.uint8)
    used = np.ones(len(values), np.int64)
    for place in range(width):
        octets = rest.astype(np.uint8) & 0x7F
        rest >>= np.uint64(7)
        more = rest > 0
        cells[:, place] = octets | more.view(np.uint8) << 7
        used += more
    return Pieces(cells, used)


def texts(values: Sequence[str]) -> Pieces:
    """Avro strings (the table of a vocabulary: take rows by `at`)."""
    encoded = [value.encode() for value in values]
    sizes = np.array([len(text) for text in encoded], np.int64)
    cells = np.array(encoded, f"S{sizes.max()}").view(np.uint8).reshape(len(encoded), -1)
    return numbers(sizes) + Pieces(cells, sizes)


def hexadecimal(ids: Octets) -> Octets:
    """The texts of UUIDs of 16 bytes each, shape (n, 16): shape (n, 36)."""
    cells = np.full((len(ids), 36), ord("-"), np.uint8)
    cells[:, _DIGITS[0::2]] = _HEX[ids >> 4]
    cells[:, _DIGITS[1::2]] = _HEX[ids & 15]
    return cells


def uuids(ids: Octets) -> Pieces:
    """Avro strings: canonical UUIDs of 16 bytes each, shape (n, 16)."""
    cells = hexadecimal(ids)
    return Pieces(np.hstack([np.full((len(ids), 1), 2 * 36, np.uint8), cells]), np.full(len(ids), 37))


def optional(present: Bools, piece: Pieces) -> Pieces:
    """Avro ["null", x]."""
    branch = present.astype(np.uint8)[:, None] * 2
    return Pieces(np.hstack([branch, piece.cells]), 1 + np.where(present, piece.used, 0))


def frame(schema_id: int, rows: int) -> Pieces:
    """The five bytes before each Avro body."""
    return Pieces(np.tile(np.frombuffer(b"\0" + schema_id.to_bytes(4, "big"), np.uint8), (rows, 1)), np.full(rows, 5))


def messages(fields: Sequence[Pieces]) -> list[bytes]:
    """The fields of each record one after another, a message a record."""
    whole = np.hstack([piece.cells for piece in fields])
    is_used = np.hstack([_PLACES[: piece.cells.shape[1]] < piece.used.astype(np.uint8)[:, None] for piece in fields])
    data = whole[is_used].tobytes()
    ends = np.cumsum(reduce(np.add, [piece.used for piece in fields])).tolist()
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
