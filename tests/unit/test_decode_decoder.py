"""The decoder as a whole: every message becomes an event, a tombstone or one rejected message."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from tests.support.avro import GivenSchemas, Json, body, guid_header, message, number, with_id
from worker.decode import Decoder, NoSchema, ReportingZone
from worker.decode.columns import MAX_EMPTY_ITEMS, MAX_TURNS
from worker.decode.decoder import MAX_ROWS
from worker.decode.framing import SchemaRef
from worker.errors import Unavailable
from worker.events import EVENT_SCHEMAS, EventBatch, Message, MessageBatch, Rejected, Stream
from worker.resources import schema_path

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
GUID = UUID("01234567-89ab-cdef-0123-456789abcdef")


def schema(name: str) -> Json:
    return json.loads(schema_path(name).read_text())


def changed(base: Json, *extra: Json, without: Sequence[str] = ()) -> Json:
    return base | {"fields": [*(field for field in base["fields"] if field["name"] not in without), *extra]}


ORDER, TOUCHPOINT = schema("order"), schema("touchpoint")
FIRST_TOUCHPOINT = changed(TOUCHPOINT, without=["page_type", "browser"])
NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
SCORE = {"name": "review_score", "type": ["null", "int", "long", {"type": "fixed", "name": "F", "size": 2}, "boolean"]}
NULLS = {"name": "nulls", "type": {"type": "array", "items": "null"}}
SCHEMAS: dict[SchemaRef, Json] = {
    1: FIRST_TOUCHPOINT,
    2: TOUCHPOINT,
    3: ORDER,
    4: changed(TOUCHPOINT, {"name": "tree", "type": NODE}),
    5: ["null", TOUCHPOINT],
    6: changed(TOUCHPOINT, NULLS),
    7: schema("customer"),
    8: schema("product"),
    9: ["null", changed(TOUCHPOINT, NULLS)],
    10: changed(TOUCHPOINT, SCORE, without=["review_score"]),
    11: ["null", changed(TOUCHPOINT, SCORE, without=["review_score"])],
    GUID: TOUCHPOINT,
}


def touchpoint(**changes: Any) -> dict[str, Any]:
    return {"event_id": "e1", "session_id": "s1", "occurred_at": NOW, "event_type": "page_view", "channel": "email"} | changes


def item(**changes: Any) -> dict[str, Any]:
    return {"product_id": "p1", "quantity": 1, "unit_price_cents": 100, "discount_cents": 0} | changes


def order(**changes: Any) -> dict[str, Any]:
    amounts = dict.fromkeys(["discount_cents", "tax_cents", "shipping_cents", "refunded_cents"], 0)
    ids = {"order_id": "o1", "customer_id": "c1", "status": "COMPLETED", "currency": "USD"}
    return ids | amounts | {"ordered_at": NOW, "updated_at": NOW, "items": [item()]} | changes


def framed(schema_id: int, record: dict[str, Any]) -> bytes:
    """The record's value; by the schema of a union, the record is its second branch."""
    written = SCHEMAS[schema_id]
    return with_id(schema_id, b"\2" + body(written[1], record) if isinstance(written, list) else body(written, record))


def messages(*values: bytes | None) -> list[Message]:
    return [message(value, partition=2, offset=100 + place) for place, value in enumerate(values)]


def decoder(schemas: Any = None) -> Decoder:
    topics = {stream: stream.value for stream in Stream}
    return Decoder(schemas or GivenSchemas(SCHEMAS), ReportingZone("UTC"), timedelta(hours=1), topics)


def decode(stream: Stream, given: list[Message]) -> EventBatch:
    return decoder().decode(MessageBatch({stream: given}), NOW)


def labels(batch: EventBatch) -> list[tuple[int, str]]:
    return [(rejected.offset - 100, rejected.reason) for rejected in batch.rejected]


def test_two_writer_versions_and_both_frames_stand_in_one_batch_in_order_of_arrival() -> None:
    old, new = touchpoint(event_id="old"), touchpoint(event_id="new", page_type="home")
    given = messages(framed(2, new), framed(1, old), b"", framed(2, new))
    given[2] = message(body(TOUCHPOINT, new), partition=2, offset=102, headers=[guid_header(GUID)])
    events = decode(Stream.TOUCHPOINTS, given).events[Stream.TOUCHPOINTS]
    assert events.schema == EVENT_SCHEMAS[Stream.TOUCHPOINTS]
    assert events.select(["seq", "partition", "offset", "event_text", "page_type"]).to_pylist() == [
        {"seq": 0, "partition": 2, "offset": 100, "event_text": "new", "page_type": "home"},
        {"seq": 1, "partition": 2, "offset": 101, "event_text": "old", "page_type": None},
        {"seq": 2, "partition": 2, "offset": 102, "event_text": "new", "page_type": "home"},
        {"seq": 3, "partition": 2, "offset": 103, "event_text": "new", "page_type": "home"},
    ]


def test_an_order_comes_out_whole() -> None:
    lines = [item(category="A", unit_cost_cents=30), item(quantity=3, unit_price_cents=200, discount_cents=50)]
    (row,) = (
        decode(Stream.ORDERS, messages(framed(3, order(city="São Paulo", items=lines, refunded_cents=7)))).events[Stream.ORDERS].to_pylist()
    )
    assert row["city"] == "São Paulo"
    assert row["ordered_at"].replace(tzinfo=UTC) == NOW
    assert (row["day"], row["hour"]) == (NOW.date(), 12)
    assert row["items"] == [{"category": None, "subcategory": None, "unit_cost_cents": None} | line for line in lines]
    assert {name: row[name] for name in EVENT_SCHEMAS[Stream.ORDERS].names[-6:]} == {
        "units": 4,
        "gross_cents": 700,
        "discount_total_cents": 50,
        "net_cents": 643,
        "cost_cents": 30,
        "units_without_cost": 3,
    }


GOOD = framed(2, touchpoint())
BODY = GOOD[5:]
HUGE = number(1 << 40)


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (None, "null_value", "a touchpoint without a value"),
        (b"", "bad_frame", "the 0 bytes are too few for a schema id"),
        (b"\5garbage", "bad_frame", "magic byte 5 where 0 (id) or 1 (GUID) is expected"),
        (with_id(99, BODY), "unknown_schema", "schema 99: not given"),
        (framed(3, order()), "wrong_schema", "schema 3: the writer's schema is Order, not a record Touchpoint"),
        (with_id(4, BODY), "refused_schema", "schema 4: recursive type tidemark.events.Node"),
        (with_id(5, b"\0"), "malformed", "null can't be read as Touchpoint"),
        (GOOD[:-1], "malformed", "browser: the message ends within it"),
        (GOOD + b"\0", "malformed", "1 bytes are left over after byte 38"),
        (with_id(2, b""), "malformed", "event_id: the message ends within it"),
        (with_id(2, HUGE + BODY), "malformed", "event_id: 1099511627776 bytes are announced at byte 6, where 38 are left"),
        (with_id(2, number(-3) + BODY), "malformed", "event_id: -3 bytes are announced at byte 1, where 38 are left"),
        (with_id(2, b"\x80" * 10 + b"\0" + BODY), "malformed", "event_id: a number of more than 10 bytes, up to byte 10"),
        (with_id(2, b"\xff" * 9 + b"\2" + BODY), "malformed", "event_id: -13835058055282163712 doesn't fit its 64 bits"),
        (
            with_id(2, b"\4\xff\xfe" + BODY[3:]),
            "malformed",
            "event_id: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (
            with_id(2, b"\6\xed\xa0\x80" + BODY[3:]),
            "malformed",
            "event_id: 'utf-8' codec can't decode byte 0xed in position 0: invalid continuation byte",
        ),
        (with_id(2, BODY[:3] + b"\4" + BODY[4:]), "malformed", "customer_id: index 2 into 2 branches of a union"),
        (with_id(2, BODY[:3] + b"\1" + BODY[4:]), "malformed", "customer_id: index -1 into 2 branches of a union"),
        (with_id(6, BODY + HUGE), "malformed", "nulls: 1099511627776 items are announced before byte 44; at most 1000 are possible"),
        (
            with_id(9, b"\2" + BODY + HUGE),
            "malformed",
            "nulls: 1099511627776 items are announced before byte 45; at most 1000 are possible",
        ),
        (
            with_id(6, BODY + number(MAX_EMPTY_ITEMS) + number(1) + b"\0"),
            "malformed",
            "nulls: 1 items are announced before byte 41; at most 0 are possible",
        ),
        (framed(2, touchpoint(review_score=9)), "bad_score", "review_score is 9; 1 to 5 is accepted"),
        (framed(2, touchpoint(event_id="")), "empty_id", "event_id is empty"),
    ],
)
def test_a_hostile_message_is_rejected_alone(value: bytes | None, reason: str, detail: str) -> None:
    batch = decode(Stream.TOUCHPOINTS, messages(GOOD, value, GOOD))
    assert batch.events[Stream.TOUCHPOINTS].column("seq").to_pylist() == [0, 2]
    (rejected,) = batch.rejected
    assert (rejected.offset, rejected.reason, rejected.detail) == (101, reason, detail)
    assert decode(Stream.TOUCHPOINTS, messages(value)).rejected[0].detail == detail


@pytest.mark.parametrize("schema_id", [10, 11])
def test_a_branch_that_the_reader_has_not_is_rejected_where_it_comes_up(schema_id: int) -> None:
    head = framed(schema_id, touchpoint(review_score=None))[:-1]
    values = [b"\0", b"\2\6", b"\4\6", b"\4" + number(1 << 40), b"\6ab", b"\x08\1"]
    batch = decode(Stream.TOUCHPOINTS, messages(*(head + value for value in values)))
    assert batch.events[Stream.TOUCHPOINTS].column("review_score").to_pylist() == [None, 3]
    assert [rejected.detail for rejected in batch.rejected] == [
        f"review_score: {kind} can't be read as int" for kind in ("long", "long", "fixed", "boolean")
    ]


ORDER_HEAD = framed(3, order(items=[]))[:-1]
ITEM = body(ORDER["fields"][-1]["type"]["items"], item())


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (b"\0", 0),
        (number(2) + ITEM * 2 + b"\0", 2),
        (number(1) + ITEM + number(2) + ITEM * 2 + b"\0", 3),
        (number(-2) + number(2 * len(ITEM)) + ITEM * 2 + number(1) + ITEM + b"\0", 3),
        (
            number(-2) + number(2 * len(ITEM) + 1) + ITEM * 2 + b"\0",
            "items: a block of items ends at byte 67; it was announced to end at 68",
        ),
        (number(-2) + number(-5) + ITEM * 2 + b"\0", "items: a block of items ends at byte 67; it was announced to end at 42"),
        (number(3) + ITEM * 2 + b"\0", "items.2.category: the message ends within it"),
        (HUGE + ITEM, "items: 1099511627776 items are announced before byte 51; at most 10 are possible"),
        (number(-(1 << 63)) + number(10) + ITEM, "items: 9223372036854775808 items are announced before byte 56; at most 10 are possible"),
        (number(1) + ITEM, "items: the message ends within it"),
    ],
)
def test_items_come_in_blocks(items: bytes, expected: int | str) -> None:
    batch = decode(Stream.ORDERS, messages(ORDER_HEAD + items, framed(3, order())))
    if isinstance(expected, str):
        assert [rejected.detail for rejected in batch.rejected] == [expected]
    else:
        assert [len(lines) for lines in batch.events[Stream.ORDERS].column("items").to_pylist()] == [expected, 1]


def test_a_zero_in_a_text_is_a_character() -> None:
    batch = decode(Stream.TOUCHPOINTS, messages(framed(2, touchpoint(event_id="a\0b"))))
    assert batch.events[Stream.TOUCHPOINTS].column("event_text").to_pylist() == ["a\0b"]


def test_a_very_long_order_goes_through_fastavro_and_is_counted() -> None:
    worker = decoder()
    given = messages(framed(3, order()), framed(3, order(items=[item()] * (MAX_TURNS + 1))), framed(3, order()))
    batch = worker.decode(MessageBatch({Stream.ORDERS: given}), NOW)
    assert batch.events[Stream.ORDERS].column("units").to_pylist() == [1, MAX_TURNS + 1, 1]
    assert (worker.stats[Stream.ORDERS].rows_columnar, worker.stats[Stream.ORDERS].rows_fastavro) == (2, 1)


def test_a_schema_that_columns_can_not_do_goes_through_fastavro_and_is_counted() -> None:
    worker = decoder()
    given = messages(framed(2, touchpoint()), framed(5, touchpoint(event_id="e2", cost_cents=5)))
    batch = worker.decode(MessageBatch({Stream.TOUCHPOINTS: given}), NOW)
    assert batch.events[Stream.TOUCHPOINTS].select(["event_text", "cost_cents"]).to_pylist() == [
        {"event_text": "e1", "cost_cents": None},
        {"event_text": "e2", "cost_cents": 5},
    ]
    assert (worker.stats[Stream.TOUCHPOINTS].rows_columnar, worker.stats[Stream.TOUCHPOINTS].rows_fastavro) == (1, 1)


def test_a_rejected_message_keeps_all_that_it_was() -> None:
    headers: list[tuple[str, bytes | None]] = [("trace", b"1"), ("none", None)]
    given = [message(b"\0\0", 4, 17, b"k", headers, timestamp, "touch") for timestamp in ((1, 1_700_000_000_123), None)]
    batch = decode(Stream.TOUCHPOINTS, given)
    rejected = Rejected(
        stream=Stream.TOUCHPOINTS,
        topic="touch",
        partition=4,
        offset=17,
        stage=batch.rejected[0].stage,
        reason="bad_frame",
        detail="the 2 bytes are too few for a schema id",
        value=b"\0\0",
        key=b"k",
        headers=headers,
        timestamp_ms=1_700_000_000_123,
    )
    assert batch.rejected[0] == rejected
    assert batch.rejected[0].stage == "frame"
    assert batch.rejected[1].timestamp_ms is None


class Illegible:
    """As confluent_kafka hands out a message with a header whose name is not UTF-8: asked for the headers once more, it would crash."""

    def __init__(self, value: bytes | None) -> None:
        self._message = message(value, 4, 17, b"k")
        self._was_asked = False

    def headers(self) -> Any:
        if not self._message.headers():
            assert not self._was_asked, "the process would end here"
            self._was_asked = True
            raise SystemError("<method 'headers'> returned a result with an exception set")
        return self._message.headers()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name)


@pytest.mark.parametrize("value", [framed(2, touchpoint()), b"", None], ids=["whole", "broken", "null"])
def test_a_header_whose_name_is_not_text_rejects_its_message_alone_however_often_it_is_decoded(value: bytes | None) -> None:
    given = cast("list[Message]", [*messages(framed(2, touchpoint(event_id="e0"))), Illegible(value)])
    for _ in range(2):
        batch = decode(Stream.TOUCHPOINTS, given)
        assert batch.events[Stream.TOUCHPOINTS]["event_text"].to_pylist() == ["e0"]
        (rejected,) = batch.rejected
        assert (rejected.stage, rejected.value, rejected.key) == ("frame", value, b"k")
        assert rejected.detail == ("the name of a header is not UTF-8" if value is not None else "a touchpoint without a value")
        assert [name for name, _ in rejected.headers] == ["tidemark.illegible_headers"]


MILLIS = int(NOW.timestamp() * 1000)


@pytest.mark.parametrize(
    ("key", "timestamp", "rejection"),
    [
        (b"o1", (1, MILLIS), None),
        ("é".encode(), (2, MILLIS + 3_600_000), None),
        (b"o1", (1, MILLIS + 3_600_001), "bad_tombstone"),
        (b"o1", (1, 0), "bad_tombstone"),
        (b"o1", (0, 0), "bad_tombstone"),
        (b"o1", (1, -1), "bad_tombstone"),
        (None, (1, MILLIS), "bad_tombstone"),
        (b"", (1, MILLIS), "bad_tombstone"),
        (b"\xff", (1, MILLIS), "bad_tombstone"),
    ],
)
@pytest.mark.parametrize("stream", [Stream.ORDERS, Stream.CUSTOMERS, Stream.PRODUCTS])
def test_a_null_value_is_a_tombstone_by_its_key_and_timestamp(
    stream: Stream, key: bytes | None, timestamp: tuple[int, int], rejection: str | None
) -> None:
    batch = decode(stream, [message(None, partition=1, offset=100, key=key, timestamp=timestamp)])
    assert not batch.events
    if rejection is not None:
        assert labels(batch) == [(0, rejection)]
        return
    assert key is not None
    updated_at = datetime.fromtimestamp(timestamp[1] / 1000, UTC).replace(tzinfo=None)
    place = {"seq": 0, "partition": 1, "offset": 100}
    assert batch.tombstones[stream].to_pylist() == [place | {"id": key.decode(), "updated_at": updated_at}]


def test_customers_and_products_are_read() -> None:
    customer = {"customer_id": "c1", "name": "Ann", "signed_up_at": NOW, "updated_at": NOW}
    product = {"product_id": "p1", "stock_level": 5, "updated_at": NOW}
    given = {Stream.CUSTOMERS: messages(framed(7, customer)), Stream.PRODUCTS: messages(framed(8, product), None, framed(7, customer))}
    batch = decoder().decode(MessageBatch(given), NOW)
    assert batch.events[Stream.CUSTOMERS].column("name").to_pylist() == ["Ann"]
    assert batch.events[Stream.PRODUCTS].column("stock_level").to_pylist() == [5]
    assert labels(batch) == [(1, "bad_tombstone"), (2, "wrong_schema")]


def test_a_registry_that_is_away_leaves_the_batch_for_later() -> None:
    class Away(GivenSchemas):
        is_away = True

        def text(self, ref: SchemaRef) -> str | NoSchema:
            if self.is_away:
                raise Unavailable("the registry is away")
            return super().text(ref)

    schemas = Away(SCHEMAS)
    worker, batch = decoder(schemas), MessageBatch({Stream.TOUCHPOINTS: messages(GOOD)})
    with pytest.raises(Unavailable):
        worker.decode(batch, NOW)
    schemas.is_away = False
    assert len(worker.decode(batch, NOW).events[Stream.TOUCHPOINTS]) == 1
    assert worker.stats[Stream.TOUCHPOINTS].rows_columnar == 1


def test_a_schema_is_asked_for_once() -> None:
    schemas = GivenSchemas(SCHEMAS)
    worker = decoder(schemas)
    for _ in range(3):
        worker.decode(MessageBatch({Stream.TOUCHPOINTS: messages(GOOD, GOOD, framed(3, order()))}), NOW)
    assert schemas.asked == [2, 3]


def test_a_long_batch_is_decoded_in_parts_and_comes_out_in_order() -> None:
    given = messages(*[GOOD] * MAX_ROWS, b"", *[GOOD] * MAX_ROWS, None, GOOD)
    batch = decode(Stream.TOUCHPOINTS, given)
    rejected = [MAX_ROWS, 2 * MAX_ROWS + 1]
    assert [place for place, _ in labels(batch)] == rejected
    seqs = batch.events[Stream.TOUCHPOINTS].column("seq").to_pylist()
    assert seqs == [seq for seq in range(len(given)) if seq not in rejected]
    assert batch.events[Stream.TOUCHPOINTS].column("offset").to_pylist() == [100 + seq for seq in seqs]


def test_an_empty_batch_has_no_events() -> None:
    batch = decode(Stream.TOUCHPOINTS, [])
    assert (dict(batch.events), dict(batch.tombstones), list(batch.rejected)) == ({}, {}, [])
