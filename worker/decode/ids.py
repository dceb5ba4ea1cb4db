"""event_id as 16 bytes: a canonical UUID is itself, any other text is hashed and kept beside its hash."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from worker.decode.cursor import Bools, Bytes, Ints, Words

_HYPHEN, _LOW = ord("-"), np.uint64(0xFFFFFFFF)
_BLOCK = 4_096  # texts parsed at once: they stay in the processor's cache
_SIZE = 36  # characters of a UUID: 32 digits in groups of 8, 4, 4, 4 and 12, hyphens between them
_DIGITS = [place for place in range(_SIZE) if place not in (8, 13, 18, 23)]
_HEX = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], np.uint8)


def uuid_and_text(ids: pa.StringArray) -> tuple[pa.Array, pa.StringArray]:
    """event_uuid and event_text of event ids (none null), as events.TOUCHPOINTS describes them.

    Only lower-case hex digits, with hyphens at places 8, 13, 18 and 23 of 36, are a canonical UUID.
    """
    offsets, data = _buffers(ids)
    is_uuid, uuids = np.zeros(len(ids), np.bool_), np.zeros((len(ids), 16), np.uint8)
    sized = np.flatnonzero(np.diff(offsets) == _SIZE)
    for first in range(0, len(sized), _BLOCK):
        rows = sized[first : first + _BLOCK]
        if rows[-1] - rows[0] < len(rows):  # as a rule: one after the other
            block = slice(rows[0], rows[-1] + 1)
            is_uuid[block], uuids[block] = _parsed(data[offsets[rows[0]] : offsets[rows[-1] + 1]])
        else:
            is_uuid[rows], uuids[rows] = _parsed(data[(offsets[rows][:, None] + np.arange(_SIZE)).ravel()])
    others = np.flatnonzero(~is_uuid)
    if len(others):
        uuids[others] = text_hash(data, offsets[others], offsets[others + 1])
    storage = pa.Array.from_buffers(pa.binary(16), len(ids), [None, pa.py_buffer(uuids)])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage), _texts(ids, is_uuid)


def uuid_texts(uuids: pa.Array) -> pa.StringArray:
    """Arrow's UUIDs as canonical texts; a null stays one."""
    storage = uuids.storage
    if not len(storage):
        return pa.nulls(0, pa.string())
    whole = storage.fill_null(bytes(16)) if storage.null_count else storage
    data = np.frombuffer(whole.buffers()[1], np.uint8)[16 * whole.offset :][: 16 * len(whole)]
    texts = np.full((len(whole), _SIZE), _HYPHEN, np.uint8)
    texts[:, _DIGITS] = _HEX[data].reshape(-1, 32)
    offsets = np.arange(0, _SIZE * len(whole) + 1, _SIZE, dtype=np.int32)
    told = pa.StringArray.from_buffers(len(whole), pa.py_buffer(offsets), pa.py_buffer(texts))
    return pc.if_else(storage.is_valid(), told, pa.scalar(None, pa.string())) if storage.null_count else told


def _texts(ids: pa.StringArray, is_uuid: Bools) -> pa.StringArray:
    if is_uuid.all():
        return pa.nulls(len(ids), pa.string())
    return ids.take(pa.array(np.arange(len(ids)), mask=is_uuid))


def _every_byte(value: int) -> np.uint64:
    return np.uint64(value * 0x0101010101010101)


def _parsed(texts: Bytes) -> tuple[Bools, Bytes]:
    """Of texts of 36 bytes, one after the other: which are canonical UUIDs, and the 16 bytes of these (of others, any)."""
    rows = texts.reshape(-1, _SIZE)
    is_hyphened = (rows[:, 8] == _HYPHEN) & (rows[:, 13] == _HYPHEN) & (rows[:, 18] == _HYPHEN) & (rows[:, 23] == _HYPHEN)

    def eight(place: int) -> Words:
        """The 8 bytes from a place on of every text."""
        return np.ndarray((len(rows),), np.dtype("<u8"), texts, place, (_SIZE,))

    digits = np.stack([eight(0), (eight(9) & _LOW) | (eight(14) << 32), (eight(19) & _LOW) | (eight(24) << 32), eight(28)])
    values = (digits & _every_byte(15)) + ((digits >> 6) & _every_byte(1)) * np.uint64(9)
    is_letter = ((values + _every_byte(6)) >> 4) & _every_byte(1)
    written_back = values + _every_byte(ord("0")) + is_letter * np.uint64(ord("a") - ord("0") - 10)
    valid = is_hyphened & ((digits == written_back) & (values & _every_byte(16) == 0)).all(axis=0)
    packed = ((values & np.uint64(0x000F000F000F000F)) << 4) | ((values >> 8) & np.uint64(0x000F000F000F000F))
    packed = (packed | (packed >> 8)) & np.uint64(0x0000FFFF0000FFFF)
    packed = (packed | (packed >> 16)) & np.uint64(0xFFFFFFFF)
    return valid, np.ascontiguousarray(packed.astype("<u4").T).view(np.uint8)


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
    words: NDArray[np.uint64] = np.ndarray((len(padded) - 7,), np.dtype("<u8"), padded, 0, (1,))
    kept: NDArray[np.uint64] = words[at] & _FIRST_BYTES[np.minimum(stop - at, 8)]
    return kept


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * _MIX[0]
    x = (x ^ (x >> np.uint64(27))) * _MIX[1]
    return x ^ (x >> np.uint64(31))


def _buffers(texts: pa.StringArray) -> tuple[Ints, Bytes]:
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    return bounds, np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
