"""Backfill's reading: from files to portions of events, against the reference; offsets, rejected rows, resume points."""

import json
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from tests.support.archives import (
    AT,
    FUTURE_GUARD,
    NOW,
    arrow_schema,
    as_they_came,
    item,
    order,
    packed,
    plan,
    read,
    sink_path,
    touchpoint,
    touchpoints_parquet,
    write_avro,
    write_parquet,
    written_record,
)
from tests.support.messages import WRITER_SCHEMAS, WRITERS, Produced, avro_record
from tests.support.reference.decoding import FIELDS, Invalid, decoded_event
from tests.support.streams import STREAMS, random_options, random_stream
from worker.backfill import ArchiveFeed, OriginColumns
from worker.decode import ReportingZone
from worker.decode.reasons import Reason
from worker.errors import ArchiveError, ConfigError
from worker.events import EventBatch, FileRow, MessageBatch, Origin, Stage, Stream
from worker.source import Identity
from worker.store import kept


def expected(stream: str, messages: list[Produced], zone: ZoneInfo) -> tuple[list[dict[str, Any]], list[int]]:
    """The reference's events of these messages, and the places of those that it rejects."""
    events, rejected = [], []
    for place, message in enumerate(messages):
        try:
            events.append(decoded_event(stream, message, WRITER_SCHEMAS, zone, NOW + FUTURE_GUARD))
        except Invalid:
            rejected.append(place)
    return events, rejected


def same_columns(rows: list[dict[str, Any]], like: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in rows[0] if name not in ("partition", "offset")} for row in like]


def without_places(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in ("partition", "offset")} for row in rows]


@pytest.mark.parametrize("stream", STREAMS)
def test_rows_become_the_events_that_their_messages_would_be(tmp_path: Path, seed: int, stream: str) -> None:
    """Parquet by the reader's columns, Avro by what each writer wrote, against the reference on the messages themselves."""
    options = random_options(seed, messages=250)
    written = [
        (message, *found) for message in random_stream(seed, options) if message.stream == stream and (found := written_record(message))
    ]
    names = {field["name"] for field in WRITERS[4]["fields"]} | {word.split()[0] for word in FIELDS[stream].split(",")}
    for writer in sorted({schema_id for _, schema_id, _ in written}, key=str):
        of_writer = [(message, record) for message, schema_id, record in written if schema_id == writer]
        records = [record for _, record in of_writer]
        events, rejected = expected(stream, [message for message, _ in of_writer], ZoneInfo(options.time_zone))
        write_avro(tmp_path / f"{writer}.avro" / stream / "a.avro", records, WRITER_SCHEMAS[writer], rows_a_block=7)
        shortened = [{name: value for name, value in record.items() if name in names} for record in records]
        write_parquet(tmp_path / f"{writer}.parquet" / stream / "a.parquet", shortened, arrow_schema(stream), row_group_size=11)
        for directory in (f"{writer}.avro", f"{writer}.parquet"):
            archive = read(tmp_path / directory, zone=options.time_zone, max_rows=10)
            assert without_places(archive.events(Stream(stream))) == same_columns(archive.events(Stream(stream)), events)
            assert [row for row, _ in archive.reasons()] == rejected
            assert archive.done == len(records)


def test_a_portion_holds_rows_of_many_files_and_of_several_streams(tmp_path: Path) -> None:
    for number in range(5):
        touchpoints_parquet(tmp_path / f"touchpoints-{number}.parquet", [number])
        write_parquet(tmp_path / f"orders-{number}.parquet", [order(number)], arrow_schema("orders"))
    found = read(tmp_path, max_rows=4)
    assert [len(batch.messages) for batch in found.batches] == [4, 4, 2]
    assert found.batches[0].messages.origin is Origin.BACKFILL
    assert sorted(found.batches[0].events) == [Stream.ORDERS, Stream.TOUCHPOINTS]
    assert plan(tmp_path).rows == found.done == 10


def test_the_index_of_an_event_is_its_rows_place_among_the_messages(tmp_path: Path) -> None:
    touchpoints_parquet(tmp_path / "touchpoints-1.parquet", range(3))
    write_parquet(
        tmp_path / "touchpoints-2.parquet", [touchpoint(3), touchpoint(4, session_id=""), touchpoint(5)], arrow_schema("touchpoints")
    )
    (batch,) = read(tmp_path).batches
    messages = batch.messages.messages[Stream.TOUCHPOINTS]
    assert batch.events[Stream.TOUCHPOINTS]["seq"].to_pylist() == [0, 1, 2, 3, 5]
    assert [json.loads(message.value() or b"")["event_id"] for message in messages] == ["e0", "e1", "e2", "e3", "e4", "e5"]
    row = messages[5]
    assert isinstance(row, FileRow)
    assert (row.topic(), row.partition(), row.offset(), row.file, row.row) == (
        "touchpoints",
        -1,
        -1,
        str(tmp_path / "touchpoints-2.parquet"),
        2,
    )


def test_a_column_of_parquets_uuids_holds_ids(tmp_path: Path) -> None:
    ids = [UUID(int=number << 64 | 7) for number in range(3)]
    schema = arrow_schema("touchpoints").set(0, pa.field("event_id", pa.uuid()))
    assert schema.names.count("event_id") == 1
    write_parquet(tmp_path / "touchpoints.parquet", [touchpoint(number, event_id=each.bytes) for number, each in enumerate(ids)], schema)
    assert read(tmp_path).ids() == [str(each) for each in ids]


# Resume points


def mixed_archive(directory: Path) -> Path:
    """Files of all kinds, some rows rejected; Parquet row groups and Avro blocks of three rows."""
    touchpoints_parquet(directory / "touchpoints-1.parquet", range(8), row_group_size=3)
    write_avro(directory / "touchpoints-2.avro", [touchpoint(number) for number in range(8, 15)], WRITERS[2], rows_a_block=3)
    bad = [touchpoint(15), touchpoint(16, session_id=""), touchpoint(17, session_id=None), touchpoint(18)]
    packed(write_parquet(directory / "touchpoints-3.parquet", bad, arrow_schema("touchpoints")), ".gz")
    orders = [order(number, items=[item(), item()]) for number in range(4)]
    write_avro(directory / "orders.avro", orders, WRITERS[1], rows_a_block=1)
    return directory


def test_a_feed_goes_on_after_any_row_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole = read(mixed_archive(tmp_path), max_rows=1)
    assert len(whole.batches) == whole.done == 23
    assert len(whole.rejected()) == 2
    for place, resume_point in enumerate(whole.resume_points, 1):
        rest = read(tmp_path, max_rows=5, resume_point=json.loads(json.dumps(resume_point)))
        for stream in (Stream.TOUCHPOINTS, Stream.ORDERS):
            of_rest = [row for batch in whole.batches[place:] for row in as_they_came(batch, stream)]
            assert [row["occurred_at" if stream is Stream.TOUCHPOINTS else "ordered_at"] for row in rest.events(stream)] == [
                row["occurred_at" if stream is Stream.TOUCHPOINTS else "ordered_at"] for row in of_rest
            ]
        assert [(r.file, r.row) for r in rest.rejected()] == [(r.file, r.row) for batch in whole.batches[place:] for r in batch.rejected]
        assert rest.done in (0, 23)


@pytest.mark.parametrize("change", ["touched", "more", "less", "longer"])
def test_an_archive_that_changed_is_not_taken_up_again(tmp_path: Path, change: str) -> None:
    path = touchpoints_parquet(tmp_path / "touchpoints-1.parquet", range(3))
    other = touchpoints_parquet(tmp_path / "touchpoints-2.parquet", range(3, 6))
    resume_point = read(tmp_path, max_rows=2).resume_points[0]
    match change:
        case "touched":
            path.touch()
        case "more":
            touchpoints_parquet(tmp_path / "touchpoints-3.parquet", [9])
        case "less":
            other.unlink()
        case "longer":
            touchpoints_parquet(path, range(2))
    with pytest.raises(ArchiveError, match=r"is not what the backfill began with: 2 files of .* then, \d files of .* now"):
        read(tmp_path, max_rows=2, resume_point=resume_point)


def test_other_files_in_the_directory_may_change(tmp_path: Path) -> None:
    touchpoints_parquet(tmp_path / "touchpoints.parquet", range(3))
    resume_point = read(tmp_path, max_rows=2).resume_points[0]
    (tmp_path / "readme.txt").write_text("new")
    assert read(tmp_path, resume_point=resume_point).ids() == ["e2"]
    assert plan(tmp_path).others == ["readme.txt"]


# Partition and offset


def test_offsets_come_from_a_sinks_names_where_no_row_can_be_missing(tmp_path: Path) -> None:
    touchpoints_parquet(sink_path(tmp_path, "touchpoints", 2, 0), range(10))
    touchpoints_parquet(sink_path(tmp_path, "touchpoints", 2, 10), range(10, 15))
    assert read(tmp_path, max_rows=4).places() == [(2, offset) for offset in range(10)] + [(-1, -1)] * 5


def test_of_which_topics_offsets_are_is_asked_once_and_only_where_there_are_some(tmp_path: Path) -> None:
    touchpoints_parquet(tmp_path / "touchpoints-0.parquet", range(3))
    touchpoints_parquet(sink_path(tmp_path, "touchpoints", 2, 0, 3), range(3, 7))
    asked: list[dict[str, str]] = []

    def topic_ids() -> dict[str, str]:
        asked.append({"touchpoints": "3f2a"})
        return asked[-1]

    def feed(point: Any = None) -> ArchiveFeed:
        return ArchiveFeed(plan(tmp_path), ReportingZone("UTC"), FUTURE_GUARD, 2, point, topic_ids)

    portions = list(iter(partial(feed().next, NOW), None))
    assert [bool(portion.topic_ids) for portion in portions if portion] == [False, False, True, True]
    assert len(asked) == 1
    of_rest = feed(portions[2] and portions[2].resume_point).next(NOW)
    assert (of_rest and of_rest.topic_ids, len(asked)) == ({"touchpoints": "3f2a"}, 1)


def test_a_gap_before_the_next_file_leaves_offsets_unknown(tmp_path: Path) -> None:
    """Nine rows from offset 0 on, the next file from 10 on: any of the ten offsets may be the one that is missing."""
    touchpoints_parquet(sink_path(tmp_path, "touchpoints", 0, 0), range(9))
    touchpoints_parquet(sink_path(tmp_path, "touchpoints", 0, 10), range(1))
    assert read(tmp_path).places() == [(-1, -1)] * 10


def test_a_name_with_both_ends_proves_the_last_file_too(tmp_path: Path) -> None:
    write_avro(sink_path(tmp_path, "touchpoints", 1, 5, 7, ".avro"), [touchpoint(number) for number in range(3)], WRITERS[2])
    write_avro(sink_path(tmp_path, "touchpoints", 1, 8, 11, ".avro"), [touchpoint(number) for number in range(3, 6)], WRITERS[2])
    assert read(tmp_path).places() == [(1, 5), (1, 6), (1, 7), (-1, -1), (-1, -1), (-1, -1)]


def test_offsets_of_a_packed_file_are_proven_too(tmp_path: Path) -> None:
    packed(write_avro(sink_path(tmp_path, "touchpoints", 1, 5, 6, ".avro"), [touchpoint(1), touchpoint(2)], WRITERS[2]), ".gz")
    assert read(tmp_path).places() == [(1, 5), (1, 6)]


INSERTED = [("kafka_partition", pa.int32()), ("kafka_offset", pa.int64()), ("kafka_topic", pa.string())]


def inserted(number: int, partition: int | None, offset: int | None, topic: str | None = "touchpoints") -> dict[str, Any]:
    return touchpoint(number, kafka_partition=partition, kafka_offset=offset, kafka_topic=topic)


def test_columns_tell_offsets_row_by_row_before_the_name_does(tmp_path: Path) -> None:
    rows = [
        inserted(0, 4, 100),
        inserted(1, 4, None),
        inserted(2, None, 7),
        inserted(3, 4, 101, "other"),
        inserted(4, 4, 102, None),
        inserted(5, -1, 3),
    ]
    schema = pa.schema([*arrow_schema("touchpoints"), *INSERTED])
    write_parquet(sink_path(tmp_path, "touchpoints", 2, 0, 5), rows, schema)
    nothing = (-1, -1)
    assert read(tmp_path).places() == [(4, 100), nothing, nothing, nothing, (4, 102), nothing]


def test_columns_of_avro_files_tell_offsets_too(tmp_path: Path) -> None:
    fields = {field["name"]: field["type"] for field in WRITERS[2]["fields"]} | {"kafka_partition": "int", "kafka_offset": ["null", "long"]}
    write_avro(tmp_path / "touchpoints.avro", [inserted(0, 4, 100), inserted(1, 4, None)], avro_record("Touchpoint", **fields))
    assert read(tmp_path).places() == [(4, 100), (-1, -1)]


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    schema = pa.schema([*arrow_schema("touchpoints"), ("p", pa.int64()), ("o", pa.uint64())])
    write_parquet(tmp_path / "touchpoints.parquet", [touchpoint(1, p=3, o=17)], schema)
    assert read(tmp_path, origin=OriginColumns("p", "o")).places() == [(3, 17)]
    with pytest.raises(ConfigError, match="must be three that events do not have"):
        read(tmp_path, origin=OriginColumns("p", "cost_cents"))


def test_offsets_of_another_topic_or_cluster_are_left_alone(tmp_path: Path) -> None:
    schema = pa.schema([*arrow_schema("touchpoints"), *INSERTED])
    write_parquet(tmp_path / "touchpoints.parquet", [inserted(0, 4, 100)], schema)
    touchpoints_parquet(sink_path(tmp_path, "touchpoints", 2, 0, 2), range(3))
    assert read(tmp_path, has_offsets=False).places() == [(-1, -1)] * 4


# Rows and files that do not fit


def test_a_rejected_row_says_where_it_stands_and_why_and_keeps_what_it_held(tmp_path: Path) -> None:
    rows = [order(0), order(1, items=[item(), item(quantity=None)]), order(2, items=[item(quantity=-1)])]
    path = write_parquet(sink_path(tmp_path, "orders", 3, 10, 12), rows, arrow_schema("orders"))
    first, second = read(tmp_path).rejected()
    assert (first.stream, first.topic, first.partition, first.offset) == (Stream.ORDERS, "orders", 3, 11)
    assert (first.file, first.row) == (str(path), 1)
    assert (first.stage, first.reason, first.detail) == (Stage.DECODE, Reason.MALFORMED, "items.1.quantity: is null, not a whole number")
    assert json.loads(first.value)["items"][1]["quantity"] is None
    assert json.loads(first.value)["ordered_at"] == AT + 1
    assert (second.row, second.stage, second.reason) == (2, Stage.VALIDATE, Reason.BAD_QUANTITY)
    assert first.key is None
    assert first.timestamp_ms is None


def test_an_avro_row_that_has_no_place_in_the_reader_schema_is_rejected_alone(tmp_path: Path) -> None:
    fields = {field["name"]: field["type"] for field in WRITERS[2]["fields"]} | {"session_id": ["null", "string"], "channel": "bytes"}
    rows = [touchpoint(0, channel=b"\xc3\xa9"), touchpoint(1, session_id=None, channel=b""), touchpoint(2, channel=b"\xff")]
    write_avro(tmp_path / "touchpoints.avro", rows, avro_record("Touchpoint", **fields))
    found = read(tmp_path)
    assert [row["channel"] for row in found.events(Stream.TOUCHPOINTS)] == ["é"]
    assert found.reasons() == [(1, Reason.MALFORMED), (2, Reason.MALFORMED)]
    without_session, not_utf8 = (json.loads(rejected.value) for rejected in found.rejected())
    assert (without_session["event_id"], without_session["session_id"]) == ("e1", None)
    assert not_utf8["channel"].encode(errors="surrogateescape") == b"\xff"


def test_expired_rows_keep_file_and_row_and_become_json_only_then(tmp_path: Path) -> None:
    path = touchpoints_parquet(tmp_path / "touchpoints.parquet", range(3))
    (batch,) = read(tmp_path).batches
    day = batch.events[Stream.TOUCHPOINTS]["day"][1].as_py()
    (row,) = kept.expired_rows({Stream.TOUCHPOINTS: [(1, day)]}, batch.messages, Identity("c")).to_pylist()
    assert (row["file"], row["file_row"], row["partition"], row["offset"]) == (str(path), 1, -1, -1)
    assert json.loads(row["value"]) == dict.fromkeys(arrow_schema("touchpoints").names) | touchpoint(1)


def test_all_that_a_files_columns_lack_is_told_before_anything_is_read(tmp_path: Path) -> None:
    touchpoints_parquet(tmp_path / "touchpoints-1.parquet", range(3))
    path = write_parquet(
        tmp_path / "orders.parquet",
        [{"order_id": 1}],
        pa.schema([("order_id", pa.int64()), ("ordered_at", pa.string()), ("items", pa.list_(pa.struct([("quantity", pa.float64())])))]),
    )
    with pytest.raises(ArchiveError) as told:
        plan(tmp_path)
    assert told.value.message.startswith(
        f"{path} can't be read as orders: order_id is int64, not a string; there is no column customer_id; "
    )
    assert "ordered_at is string, not a timestamp (or int64: UTC microseconds)" in told.value.message
    assert "items.quantity is double, not an integer" in told.value.message
    assert "there is no column items.product_id" in told.value.message
    assert "--map" in told.value.remedy


NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
NULLS = {"type": "array", "items": "null"}


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (WRITERS[1], "the writer's schema is Order, not a record Touchpoint"),
        (avro_record("Touchpoint", event_id="string"), "has no session_id, occurred_at, event_type, channel"),
        (WRITERS[2] | {"fields": [*WRITERS[2]["fields"], {"name": "x", "type": NULLS}]}, "an array of items that take no bytes"),
        (WRITERS[2] | {"fields": [*WRITERS[2]["fields"], {"name": "tree", "type": NODE}]}, "recursive type"),
        ("string", "its schema is not a record"),
    ],
)
def test_a_schema_that_can_not_be_the_streams_or_is_hostile_is_refused(tmp_path: Path, schema: Any, why: str) -> None:
    write_avro(tmp_path / "touchpoints.avro", [], schema)
    with pytest.raises(ArchiveError, match=why):
        plan(tmp_path)


def test_a_directory_without_any_file_of_a_stream_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "data.parquet").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"holds no Avro or Parquet file of orders, .* .1 other files.\n.*--stream"):
        plan(tmp_path)


def test_a_file_without_rows_is_read(tmp_path: Path) -> None:
    touchpoints_parquet(tmp_path / "touchpoints-1.parquet", [])
    write_avro(tmp_path / "touchpoints-2.avro", [], WRITERS[2])
    assert (plan(tmp_path).rows, read(tmp_path).batches) == (0, [])


def test_only_rejected_rows_make_a_portion_too(tmp_path: Path) -> None:
    write_parquet(tmp_path / "touchpoints.parquet", [touchpoint(session_id=None)] * 3, arrow_schema("touchpoints"))
    (batch,) = read(tmp_path).batches
    assert isinstance(batch, EventBatch)
    assert isinstance(batch.messages, MessageBatch)
    assert batch.events == {}
    assert len(batch.messages) == len(batch.rejected) == 3
