"""Which files of a directory are read, as rows of which stream, in which order."""

from pathlib import Path

import pytest

from worker.errors import ConfigError
from worker.events import Stream
from worker.source.archive import find

TOPICS = {Stream.ORDERS: "shop.orders", Stream.TOUCHPOINTS: "web"}


def layout(directory: Path, *paths: str, sizes: dict[str, int] | None = None) -> Path:
    for path in paths:
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes((sizes or {}).get(path, 1)))
    return directory


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        ("topics/web/partition=0/web+0+0000000000.avro", Stream.TOUCHPOINTS),
        ("web/partition=0/web+0+0000000000.snappy.parquet", Stream.TOUCHPOINTS),
        ("topics/shop.orders/year=2026/month=03/day=05/hour=08/shop.orders+11+0000000017.avro", Stream.ORDERS),
        ("shop.orders/partition=3/shop.orders+3+0000000000+0000000041.parquet", Stream.ORDERS),
        ("web.parquet", Stream.TOUCHPOINTS),
        ("web-2026.parquet.zst", Stream.TOUCHPOINTS),
        ("touchpoints_2026_03.AVRO.GZ", Stream.TOUCHPOINTS),
        ("exports/orders/part-00000.parquet", Stream.ORDERS),
        ("web/orders.parquet", Stream.ORDERS),
        ("orders2026/a/b.parquet", Stream.ORDERS),
    ],
)
def test_a_file_is_of_the_stream_that_its_name_or_its_nearest_directory_begins_with(tmp_path: Path, path: str, stream: Stream) -> None:
    found = find(layout(tmp_path, path), TOPICS)
    assert [(file.path, file.stream) for file in found.files] == [(path, stream)]


@pytest.mark.parametrize(
    "path",
    [
        "web/partition=0/web+0+0000000000.keys.avro",
        "web/partition=0/web+0+0000000000.headers.parquet",
        "web/partition=0/web+0+0000000000.json.gz",
        "web/web-eu+0+0000000000.avro",
        "website.parquet",
        "customers.parquet",
        "clicks/part-0.avro",
    ],
)
def test_a_file_of_no_stream_is_told(tmp_path: Path, path: str) -> None:
    found = find(layout(tmp_path, path), TOPICS)
    assert found.files == []
    assert [path for path, _, _ in found.others] == [path]


def test_what_is_hidden_or_not_yet_whole_is_not_looked_at(tmp_path: Path) -> None:
    layout(tmp_path, "web/_SUCCESS", "web/.web.avro.crc", "web/_temporary/0/web.avro", "+tmp/web/partition=0/a.avro")
    assert find(tmp_path, TOPICS).others == []


def test_a_link_to_a_directory_is_not_followed_but_told(tmp_path: Path) -> None:
    layout(tmp_path, "web/a.avro")
    (tmp_path / "web" / "round").symlink_to(tmp_path)
    found = find(tmp_path, TOPICS)
    assert [file.path for file in found.files] == ["web/a.avro"]
    assert [path for path, _, _ in found.others] == ["web/round"]


def test_any_file_is_of_the_stream_that_is_named(tmp_path: Path) -> None:
    layout(tmp_path, "a.avro", "web+0+5.avro", "b.txt")
    found = find(tmp_path, TOPICS, Stream.ORDERS)
    # The offsets of another topic mean nothing in that of the orders.
    assert [(file.path, file.stream, file.partition) for file in found.files] == [
        ("a.avro", Stream.ORDERS, -1),
        ("web+0+5.avro", Stream.ORDERS, -1),
    ]


def test_a_sinks_name_tells_partition_first_offset_and_where_the_next_file_begins(tmp_path: Path) -> None:
    layout(tmp_path, *(f"web/partition=2/web+2+{first:010}.avro" for first in (30, 0, 10)))
    found = find(tmp_path, TOPICS).files
    assert [(file.partition, file.first_offset, file.next_offset) for file in found] == [(2, 0, 10), (2, 10, 30), (2, 30, None)]
    assert found[0].is_contiguous(10)
    assert not found[1].is_contiguous(19)
    assert not found[2].is_contiguous(10)


def test_a_file_that_names_its_last_offset_is_contiguous_by_itself(tmp_path: Path) -> None:
    (file,) = find(layout(tmp_path, "web/partition=2/web+2+0000000010+0000000019.avro"), TOPICS).files
    assert file.is_contiguous(10)
    assert not file.is_contiguous(9)


def test_files_of_another_hour_do_not_tell_where_a_file_ends(tmp_path: Path) -> None:
    """The hour's file of offsets 0, 2 and the next one's of offset 1 were open at once: two rows from 0 on do not end at offset 2."""
    layout(tmp_path, "web/hour=08/web+0+0000000000.avro", "web/hour=09/web+0+0000000002.avro")
    assert [file.next_offset for file in find(tmp_path, TOPICS).files] == [None, None]


def test_partitions_take_turns_by_the_share_of_bytes_read_and_each_goes_by_its_offsets(tmp_path: Path) -> None:
    first = [f"web/partition=0/web+0+{offset}.avro" for offset in (0, 9, 10, 100)]
    second = [f"web/partition=1/web+1+{offset}.avro" for offset in (0, 50)]
    orders = ["orders/a.avro", "orders/b.avro"]
    layout(tmp_path, *first, *second, *orders)
    assert [file.path for file in find(tmp_path, TOPICS).files] == [
        *("orders/a.avro", "web/partition=0/web+0+0.avro", "web/partition=1/web+1+0.avro", "web/partition=0/web+0+9.avro"),
        *("orders/b.avro", "web/partition=0/web+0+10.avro", "web/partition=1/web+1+50.avro", "web/partition=0/web+0+100.avro"),
    ]


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no directory"):
        find(tmp_path / "nowhere", TOPICS)


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "web.avro").symlink_to(tmp_path / "gone.avro")
    with pytest.raises(ConfigError, match=r"web.avro can't be read"):
        find(tmp_path, TOPICS)
