"""Avro object container files, block by block: what is needed of a block is its bytes, the records are decoded elsewhere.

Unlike fastavro's reader this one counts rows without reading them, goes on from any row, and says where a damaged file breaks.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, NamedTuple, Protocol

import pyarrow as pa

from worker.errors import ArchiveError

MAX_BLOCK = 1 << 28  # bytes of one block, uncompressed
_MAGIC = b"Obj\x01"
_SYNC_SIZE = 16


class Block(NamedTuple):
    """The records of one block, uncompressed; `offset` is where it begins in the file, `first_row` the number of its first record."""

    offset: int
    first_row: int
    rows: int
    data: bytes


class _Corrupt(Exception):
    """The bytes are not what a container has at that place; says what is wrong."""


class Container:
    """One container: its writer schema (JSON text), and its blocks.

    Everything raises ArchiveError where the file is damaged or its codec is unknown; `name` is what errors call it.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._size = file.seek(0, 2)
        file.seek(0)
        try:
            metadata = self._header()
            self.schema = metadata[b"avro.schema"].decode()
            codec = metadata.get(b"avro.codec", b"null").decode()
        except (_Corrupt, KeyError, UnicodeDecodeError) as error:
            what = error if isinstance(error, _Corrupt) else "its header has no legible schema and codec"
            raise ArchiveError(f"{name} is no Avro container: {what}", "Take it out of the directory, or fetch it again.") from None
        if codec not in _CODECS:
            remedy = f"These are known: {', '.join(_CODECS)}. Write it again with one of them, or take it out of the directory."
            raise ArchiveError(f"{name} is compressed with the codec {codec!r}", remedy)
        self._inflated = _CODECS[codec]

    def count(self) -> int:
        """How many rows there are, by the heads of the blocks alone."""
        return sum(rows for _, _, rows, _ in self._heads())

    def blocks(self, first_row: int = 0) -> Iterator[Block]:
        """The blocks from the one that holds `first_row` on."""
        for offset, row, rows, size in self._heads():
            if row + rows > first_row or (rows == 0 and row >= first_row):
                place = self._file.tell()
                self._file.seek(place - size - _SYNC_SIZE)
                packed = self._file.read(size)
                self._file.seek(place)
                try:
                    data = self._inflated(packed)
                except (_Corrupt, zlib.error, lzma.LZMAError, OSError, ValueError) as error:
                    raise damaged(self._name, f"the block at byte {offset:,} can't be uncompressed: {error}", row) from None
                yield Block(offset, row, rows, data)

    def _heads(self) -> Iterator[tuple[int, int, int, int]]:
        """(offset, first row, rows, bytes) of each block, the file standing behind it."""
        offset, row = self._first_block, 0
        while offset < self._size:
            self._file.seek(offset)
            try:
                rows, size = self._long(), self._long()
                if rows < 0 or not 0 <= size <= self._size - self._file.tell() - _SYNC_SIZE:
                    raise _Corrupt(f"{rows:,} rows in {size:,} bytes are announced, {self._size - self._file.tell():,} bytes are left")
                self._file.seek(size, 1)
                if self._file.read(_SYNC_SIZE) != self._sync:
                    raise _Corrupt("the mark at its end is not the file's")
            except _Corrupt as error:
                raise damaged(self._name, f"the block at byte {offset:,} is broken or cut off: {error}", row) from None
            yield offset, row, rows, size
            offset, row = self._file.tell(), row + rows

    def _header(self) -> Mapping[bytes, bytes]:
        if self._file.read(len(_MAGIC)) != _MAGIC:
            raise _Corrupt("it does not begin with Obj1")
        metadata = {}
        while count := self._long():
            if count < 0:
                self._long()  # the size of the entries in bytes
            for _ in range(abs(count)):
                key = self._bytes()
                metadata[key] = self._bytes()
        self._sync = self._file.read(_SYNC_SIZE)
        if len(self._sync) < _SYNC_SIZE:
            raise _Corrupt("it ends within its header")
        self._first_block = self._file.tell()
        return metadata

    def _bytes(self) -> bytes:
        size = self._long()
        if not 0 <= size <= self._size - self._file.tell():
            raise _Corrupt(f"{size:,} bytes are announced at byte {self._file.tell():,}")
        return self._file.read(size)

    def _long(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._file.read(1)
            if not byte:
                raise _Corrupt("it ends within a number")
            value |= (byte[0] & 127) << shift
            if byte[0] < 128:
                return (value >> 1) ^ -(value & 1)
        raise _Corrupt("a number has more than 10 bytes")


def damaged(name: str, what: str, row: int) -> ArchiveError:
    """The error for a file of which the rows before `row` are whole."""
    remedy = "Fetch it again, or take it out of the directory; then start anew: rows that came in already are recognised."
    return ArchiveError(f"{name} is damaged: {what}. It was read up to row {row:,}, counted from 0", remedy)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _bounded(decompressor: Callable[[], _Decompressor]) -> Callable[[bytes], bytes]:
    def inflated(data: bytes) -> bytes:
        stream = decompressor()
        return _whole(stream.decompress(data, MAX_BLOCK), is_at_end=stream.eof)

    return inflated


def _whole(data: bytes, *, is_at_end: bool) -> bytes:
    if not is_at_end:
        raise _Corrupt(f"it is cut off, or has more than {MAX_BLOCK:,} bytes")
    return data


def _zstandard(data: bytes) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        found: bytes = stream.read(MAX_BLOCK)
        return _whole(found, is_at_end=not stream.read(1))


def _snappy(data: bytes) -> bytes:
    """Snappy begins with the uncompressed size, as a varint; Avro adds a CRC of the uncompressed bytes."""
    size = 0
    for place, byte in enumerate(data[:5]):
        size |= (byte & 127) << 7 * place
        if byte < 128:
            break
    _whole(b"", is_at_end=size <= MAX_BLOCK)
    found: bytes = pa.decompress(data[:-4], size, "snappy", asbytes=True)
    if zlib.crc32(found) != int.from_bytes(data[-4:]):
        raise _Corrupt("its checksum is another")
    return found


_CODECS: Mapping[str, Callable[[bytes], bytes]] = {
    "null": lambda data: data,
    "deflate": _bounded(lambda: zlib.decompressobj(-15)),
    "snappy": _snappy,
    "zstandard": _zstandard,
    "bzip2": _bounded(bz2.BZ2Decompressor),
    "xz": _bounded(lzma.LZMADecompressor),
}
