"""Files of an archive: codecs, packings, and what is said of damaged ones."""

import io
import json
import random
import zlib
from pathlib import Path
from typing import Any, cast

import fastavro
import pyarrow as pa
import pytest

from tests.support.archives import TOPICS, packed, read, touchpoint, touchpoints_parquet, write_avro
from tests.support.messages import WRITERS
from worker.errors import ArchiveError
from worker.events import Stream
from worker.source.archive import Container, find, opened

TOUCHPOINT = WRITERS[2]
IDS = [f"e{number}" for number in range(10)]


def touchpoints_avro(path: Path, codec: str = "deflate", numbers: range = range(10)) -> Path:
    return write_avro(path, [touchpoint(number) for number in numbers], TOUCHPOINT, codec, rows_a_block=3)


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_avro_codecs_are_read(tmp_path: Path, codec: str) -> None:
    touchpoints_avro(tmp_path / "touchpoints.avro", codec)
    assert read(tmp_path).ids() == IDS


def recompressed(path: Path, codec: str, compress: Any) -> None:
    """A file of codec null, its blocks compressed by hand: fastavro needs more libraries for these codecs than are here."""
    with path.open("rb") as file:
        blocks = [(block.num_records, block.bytes_.getvalue()) for block in cast(Any, fastavro.block_reader(file))]
    out = io.BytesIO()
    out.write(b"Obj\1")
    header = {"avro.schema": json.dumps(TOUCHPOINT).encode(), "avro.codec": codec.encode()}
    fastavro.schemaless_writer(out, {"type": "map", "values": "bytes"}, header)
    out.write(bytes(16))
    for rows, data in blocks:
        for number in (rows, len(compressed := compress(data))):
            fastavro.schemaless_writer(out, "long", number)
        out.write(compressed + bytes(16))
    path.write_bytes(out.getvalue())


def snappy(data: bytes) -> bytes:
    return bytes(pa.compress(data, "snappy", asbytes=True)) + zlib.crc32(data).to_bytes(4)


def test_snappy_and_zstandard_are_read(tmp_path: Path) -> None:
    recompressed(touchpoints_avro(tmp_path / "touchpoints-1.avro", "null"), "snappy", snappy)
    zstandard = touchpoints_avro(tmp_path / "touchpoints-2.avro", "null", range(10, 20))
    recompressed(zstandard, "zstandard", lambda data: pa.compress(data, "zstd", asbytes=True))
    assert read(tmp_path).ids() == [f"e{number}" for number in range(20)]


def test_snappy_bytes_that_changed_are_told_by_their_checksum(tmp_path: Path) -> None:
    path = touchpoints_avro(tmp_path / "touchpoints.avro", "null")
    recompressed(path, "snappy", lambda data: snappy(data)[:-1] + b"?")
    with pytest.raises(ArchiveError, match=r"can't be uncompressed: its checksum is another.*up to row 0"):
        read(tmp_path)


def test_an_unknown_codec_names_the_file_and_those_that_are_known(tmp_path: Path) -> None:
    recompressed(touchpoints_avro(tmp_path / "touchpoints.avro", "null"), "lz4", bytes)
    with pytest.raises(ArchiveError, match=r"touchpoints.avro is compressed with the codec 'lz4'\nThese are known: null, deflate, snappy"):
        read(tmp_path)


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
def test_parquet_codecs_are_read(tmp_path: Path, codec: str) -> None:
    touchpoints_parquet(tmp_path / "touchpoints.parquet", range(10), compression=codec)
    assert read(tmp_path).ids() == IDS


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_files_that_are_compressed_as_a_whole_are_read(tmp_path: Path, ending: str) -> None:
    packed(touchpoints_avro(tmp_path / "touchpoints-1.avro"), ending)
    packed(touchpoints_parquet(tmp_path / "touchpoints-2.parquet", range(10, 20)), ending)
    assert read(tmp_path).ids() == [f"e{number}" for number in range(20)]


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_packed_file_that_is_cut_off_is_told(tmp_path: Path, ending: str) -> None:
    path = packed(touchpoints_avro(tmp_path / "touchpoints.avro"), ending)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ArchiveError, match=rf"touchpoints.avro{ending} can't be unpacked"):
        read(tmp_path)


def test_an_avro_file_that_is_cut_off_anywhere_is_told(tmp_path: Path) -> None:
    path = touchpoints_avro(tmp_path / "touchpoints.avro", "null")
    whole, ends = path.read_bytes(), _block_ends(path)
    for size in range(1, len(whole)):
        file = io.BytesIO(whole[:size])
        if size in ends:  # a whole file of fewer rows
            assert sum(block.rows for block in Container(file, "it").blocks()) == Container(file, "it").count() == 3 * ends.index(size)
        else:
            with pytest.raises(ArchiveError, match=r"it is (damaged|no Avro container)"):
                Container(file, "it").count()


def _block_ends(path: Path) -> list[int]:
    """Where the header and each block ends."""
    with path.open("rb") as file:
        blocks = list(fastavro.block_reader(file))
    return [blocks[0].offset, *(block.offset + block.size for block in blocks)]


def test_no_byte_of_an_avro_file_can_change_what_is_read_without_an_error_or_within_its_own_row(tmp_path: Path) -> None:
    """Codec null has no checksum: a text may change unseen. But no row is lost, and none beside it changes."""
    path = touchpoints_avro(tmp_path / "touchpoints.avro", "null", range(2))
    whole, expected = path.read_bytes(), read(tmp_path).events(Stream.TOUCHPOINTS)
    header = _block_ends(path)[0]
    dice = random.Random(1)
    for place in range(header, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << dice.randrange(8)]) + whole[place + 1 :])
        try:
            found = read(tmp_path)
        except ArchiveError:
            continue
        assert len(found.ids()) + len(found.rejected()) == 2
        assert sum(row not in expected for row in found.events(Stream.TOUCHPOINTS)) + len(found.rejected()) <= 1


def test_a_damaged_avro_block_names_its_byte_and_the_row_up_to_which_there_is_something_to_read(tmp_path: Path) -> None:
    path = touchpoints_avro(tmp_path / "touchpoints.avro")
    offset = _block_ends(path)[2]  # the third block
    data = bytearray(path.read_bytes())
    data[offset + 1] = 0  # the size of its bytes
    path.write_bytes(bytes(data))
    with pytest.raises(ArchiveError, match=rf"touchpoints.avro is damaged: the block at byte {offset:,} .* up to row 6, counted from 0"):
        read(tmp_path)


def test_a_block_with_fewer_or_more_records_than_it_says_is_told(tmp_path: Path) -> None:
    path = touchpoints_avro(tmp_path / "touchpoints.avro", "null", range(1))
    data, offset = bytearray(path.read_bytes()), _block_ends(path)[0]
    assert data[offset] == 2  # one row
    data[offset] = 4
    path.write_bytes(bytes(data))
    with pytest.raises(ArchiveError, match=rf"a record in the block at byte {offset} can't be read.*up to row 1"):
        read(tmp_path)
    data[offset] = 0
    path.write_bytes(bytes(data))
    with pytest.raises(ArchiveError, match=r"which are not 0 records"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["touchpoints.avro", "touchpoints.parquet"])
def test_what_is_no_such_file_is_told_before_anything_is_read(tmp_path: Path, name: str) -> None:
    touchpoints_parquet(tmp_path / "touchpoints-1.parquet", range(10))
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(ArchiveError, match=rf"{name} is no (Avro container|Parquet file)"):
        read(tmp_path)


def test_a_parquet_page_that_changed_is_told_by_its_checksum(tmp_path: Path) -> None:
    path = touchpoints_parquet(
        tmp_path / "touchpoints.parquet", range(9), row_group_size=3, write_page_checksum=True, use_dictionary=False, compression="none"
    )
    whole = path.read_bytes()
    place = whole.index(b"e4")
    path.write_bytes(whole[:place] + b"x" + whole[place + 1 :])
    with pytest.raises(ArchiveError, match=r"touchpoints.parquet is damaged: .*CRC.*up to row 3, counted from 0"):
        read(tmp_path, max_rows=3)


def test_a_file_that_changed_since_its_directory_was_looked_at_is_told(tmp_path: Path) -> None:
    path = touchpoints_avro(tmp_path / "touchpoints.avro")
    (file,) = find(tmp_path, TOPICS).files
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ArchiveError, match=r"touchpoints.avro has changed since"):
        opened(tmp_path, file)
