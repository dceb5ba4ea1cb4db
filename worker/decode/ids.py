"""event_id as 16 bytes: a canonical UUID is itself, any other text is hashed and kept beside its hash."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from worker.decode.cursor import Bools, Bytes, Ints

_SIZE = 36
_HYPHENS = np.array([8, 13, 18, 23])
_DIGITS = np.delete(np.arange(_SIZE), _HYPHENS)


def uuid_and_text(ids: pa.StringArray) -> tuple[pa.Array, pa.StringArray]:
    """event_uuid and event_text of event ids (none null), as events.TOUCHPOINTS describes them.

    Only 36 characters of lower-case hex digits with hyphens at 8, 13, 18 and 23 are a canonical UUID.
    """
    offsets, data = _buffers(ids)
    uuids = np.empty((len(ids), 16), np.uint8)
    maybe = np.flatnonzero(np.diff(offsets) == _SIZE)
    is_uuid = np.zeros(len(ids), np.bool_)
    if len(maybe) == len(ids):
        is_uuid[:], uuids[:] = _parsed(data[offsets[0] : offsets[-1]].reshape(-1, _SIZE))
    elif len(maybe):
        is_uuid[maybe], uuids[maybe] = _parsed(data[offsets[maybe][:, None] + np.arange(_SIZE)])
    others = np.flatnonzero(~is_uuid)
    if len(others):
        uuids[others] = text_hash(data, offsets[others], offsets[others + 1])
    storage = pa.Array.from_buffers(pa.binary(16), len(ids), [None, pa.py_buffer(uuids)])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage), _where_not(ids, is_uuid)


def _where_not(ids: pa.StringArray, is_uuid: Bools) -> pa.StringArray:
    if is_uuid.all():
        return pa.nulls(len(ids), pa.string())
    return ids.take(pa.array(np.arange(len(ids)), mask=is_uuid))


def _parsed(texts: Bytes) -> tuple[Bools, Bytes]:
    """Of texts of shape (n, 36): which are canonical UUIDs, and their 16 bytes (of the others: anything)."""
    digits = texts[:, _DIGITS]
    from_letter = digits - np.uint8(ord("a"))
    from_zero = digits - np.uint8(ord("0"))
    is_letter = from_letter < 6
    valid = (is_letter | (from_zero < 10)).all(axis=1) & (texts[:, _HYPHENS] == ord("-")).all(axis=1)
    nibbles = np.where(is_letter, from_letter + np.uint8(10), from_zero)
    return valid, (nibbles[:, 0::2] << 4) | nibbles[:, 1::2]


_LANES = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


_FIRST_BYTES = np.array([(1 << 8 * kept) - 1 for kept in range(9)], np.uint64)


def text_hash(data: Bytes, start: Ints, stop: Ints) -> Bytes:
    """A 128-bit hash of each text data[start:stop], shape (n, 16). It is stored: it never changes.

    The text is cut into little-endian 8-byte words, the last one filled up with zeros (no word where it is empty). For each of two
    lanes with constant c: the sum over words w at index i of mix(w + c * (i + 1)), then mix(sum + c * length), modulo 2^64, as 8
    big-endian bytes. mix is splitmix64's finaliser: x ^= x >> 30; x *= BF58476D1CE4E5B9; x ^= x >> 27; x *= 94D049BB133111EB; x ^= x >> 31.
    """
    length = stop - start
    words_of = (length + 7) // 8
    first = np.cumsum(words_of) - words_of
    index = np.arange(int(words_of.sum())) - np.repeat(first, words_of)
    words = _words(data, np.repeat(start, words_of) + 8 * index, np.repeat(stop, words_of))
    hashes = np.empty((len(start), 2), ">u8")
    for lane, constant in enumerate(_LANES):
        mixed = _mix(words + constant * (index + 1).astype(np.uint64))
        total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
        sums = total[first + words_of] - total[first]
        hashes[:, lane] = _mix(sums + constant * length.astype(np.uint64))
    return hashes.view(np.uint8)


def _words(data: Bytes, at: Ints, stop: Ints) -> NDArray[np.uint64]:
    """The 8 bytes from each place on, zeros from `stop` on."""
    padded = np.concatenate([data, np.zeros(8, np.uint8)])
    words = np.ndarray((len(padded) - 7,), np.dtype("<u8"), padded, 0, (1,))[at]
    return words & _FIRST_BYTES[np.minimum(stop - at, 8)]


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * _MIX[0]
    x = (x ^ (x >> np.uint64(27))) * _MIX[1]
    return x ^ (x >> np.uint64(31))


def _buffers(texts: pa.StringArray) -> tuple[Ints, Bytes]:
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    return bounds, np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
