"""Rows of files as events: columns of any width, unit and encoding, exactly or not at all; and rows kept as JSON, read again."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.archives import AT, FUTURE_GUARD, NOW, arrow_schema, as_they_came, item, order, touchpoint
from worker.decode import ReportingZone
from worker.decode.accept import Origins
from worker.decode.readings import READER_ARROW
from worker.decode.rows import OriginColumns, RowReader, Unreadable, decode_json_rows
from worker.events import FileRow, KeptMessage, MessageBatch, Origin, Stream

ZONE = ReportingZone("UTC")
READERS = {stream: RowReader(stream, OriginColumns()) for stream in Stream}


def touchpoints(**columns: Any) -> pa.RecordBatch:
    """Touchpoints with some columns given: arrays, or one value for all rows."""
    rows = max((len(column) for column in columns.values() if isinstance(column, pa.Array)), default=1)
    arrays = {name: pa.array([value] * rows) for name, value in touchpoint().items()}
    given = {name: column if isinstance(column, pa.Array) else pa.array([column] * rows) for name, column in columns.items()}
    return pa.RecordBatch.from_pydict(arrays | given)


def read(batch: pa.RecordBatch, stream: Stream = Stream.TOUCHPOINTS) -> tuple[list[dict[str, Any]], Sequence[tuple[int, str]]]:
    """The rows that could be read, and what is wrong with the others."""
    READERS[stream].check(batch.schema)
    found = READERS[stream].arrow_rows(batch).read()
    columns = found.columns.select(READER_ARROW[stream].names)
    columns.validate(full=True)
    return columns.to_pylist(), found.broken


def column(name: str, array: pa.Array) -> list[Any]:
    """What a column of touchpoints is read as; broken rows as the text that tells why."""
    rows, broken = read(touchpoints(**{name: array}))
    whole, faults = iter(rows), dict(broken)
    return [faults[row] if row in faults else next(whole)[name] for row in range(len(array))]


# Times

MOMENT = datetime.fromisoformat("2026-03-05T08:40:00")  # what Arrow gives has no zone


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_a_timestamp_of_any_unit_and_zone_is_the_same_instant(unit: str, zone: str | None) -> None:
    micros = pa.array([MOMENT], pa.timestamp("us"))
    assert column("occurred_at", micros.cast(pa.timestamp(unit)).cast(pa.int64()).cast(pa.timestamp(unit, zone))) == [MOMENT]


def test_an_integer_is_micros_since_1970_as_connect_writes_what_was_timestamp_micros() -> None:
    assert column("occurred_at", pa.array([AT], pa.int64())) == [MOMENT]
    assert column("occurred_at", pa.array([AT], pa.uint64())) == [MOMENT]


def test_a_time_that_is_no_whole_microsecond_or_beyond_64_bits_of_them_is_rejected_alone() -> None:
    assert column("occurred_at", pa.array([1_000, 1_001, -1_000, -1], pa.timestamp("ns"))) == [
        datetime.fromisoformat("1970-01-01T00:00:00.000001"),
        'occurred_at: is "1970-01-01T00:00:00.000001001Z", not a whole number of microseconds',
        datetime.fromisoformat("1969-12-31T23:59:59.999999"),
        'occurred_at: is "1969-12-31T23:59:59.999999999Z", not a whole number of microseconds',
    ]
    whole, over, under = column("occurred_at", pa.array([0, 2**63 - 1, -(2**63)], pa.timestamp("ms")))
    assert whole == datetime.fromisoformat("1970-01-01")
    assert over == f"occurred_at: {(2**63 - 1) * 1000} doesn't fit 64 bits"
    assert under == f"occurred_at: {-(2**63) * 1000} doesn't fit 64 bits"


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.sampled_from(["s", "ms", "us", "ns"]))
def test_every_time_is_read_exactly_or_rejected(counts: list[int], unit: str) -> None:
    micros_per = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0.001}[unit]
    exact = (
        [count // 1000 if count % 1000 == 0 else None for count in counts]
        if unit == "ns"
        else [count * int(micros_per) for count in counts]
    )
    batch = touchpoints(occurred_at=pa.array(counts, pa.timestamp(unit)))
    found = READERS[Stream.TOUCHPOINTS].arrow_rows(batch).read()
    expected = [micros for micros in exact if micros is not None and -(2**63) <= micros < 2**63]
    assert found.columns["occurred_at"].cast(pa.int64()).to_pylist() == expected
    assert len(found.broken) == len(counts) - len(expected)


# Numbers


@pytest.mark.parametrize("kind", [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()])
def test_integers_of_any_width_are_the_same_numbers_and_what_does_not_fit_is_rejected_alone(kind: pa.DataType) -> None:
    info = np.iinfo(kind.to_pandas_dtype())
    values = [int(info.min), 0, None, int(info.max)]
    for name, bits in (("cost_cents", 64), ("review_score", 32)):
        expected = [
            value if value is None or -(2 ** (bits - 1)) <= value < 2 ** (bits - 1) else f"{name}: {value} doesn't fit {bits} bits"
            for value in values
        ]
        assert column(name, pa.array(values, kind)) == expected


# Texts


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.dictionary(pa.int8(), pa.string()),
    ],
)
def test_texts_of_any_encoding_are_the_same(kind: pa.DataType) -> None:
    assert column("campaign", pa.array(["é", None, "", "nul\0", "😀"], pa.string()).cast(kind)) == ["é", None, "", "nul\0", "😀"]


UUIDS = ["0e4b5a6c-7d8e-4f90-a1b2-c3d4e5f60718", None, "ffffffff-0000-0000-0000-00000000000a"]


def uuids(texts: Sequence[str | None]) -> pa.Array:
    return pa.array([text and UUID(text).bytes for text in texts], pa.uuid())


def test_a_uuid_is_its_text() -> None:
    assert column("campaign", uuids(UUIDS)) == UUIDS
    assert column("campaign", uuids(UUIDS).slice(1)) == UUIDS[1:]
    assert column("campaign", uuids([None])) == [None]
    assert read(touchpoints(campaign=uuids([])))[0] == []


def test_a_uuid_of_an_item_is_its_text_and_one_that_must_not_be_null_rejects_its_order() -> None:
    count = pa.array([1, 1, 1])
    names = ["product_id", "quantity", "unit_price_cents", "discount_cents"]
    items = pa.StructArray.from_arrays([uuids([UUIDS[0], UUIDS[2], None]), count, count, count], names)
    rows, broken = read(orders(pa.ListArray.from_arrays([0, 2, 3], items)), Stream.ORDERS)
    assert [each["product_id"] for row in rows for each in row["items"]] == [UUIDS[0], UUIDS[2]]
    assert [row for row, _ in broken] == [1]


def test_a_row_with_a_uuid_is_kept_as_json_with_its_text() -> None:
    assert json.loads(READERS[Stream.TOUCHPOINTS].arrow_rows(touchpoints(campaign=uuids(UUIDS))).as_json(0))["campaign"] == UUIDS[0]


@pytest.mark.parametrize("kind", [pa.binary(), pa.string(), pa.large_string()])
def test_a_text_that_is_no_utf_8_is_rejected_alone(kind: pa.DataType) -> None:
    texts = pa.array([b"good", b"\xff", None, "é".encode()], pa.binary())
    texts = texts if kind == pa.binary() else texts.view(pa.string()).cast(kind)
    batch = touchpoints(campaign=texts)
    assert column("campaign", texts) == ["good", "campaign: is no UTF-8", None, "é"]
    kept = json.loads(READERS[Stream.TOUCHPOINTS].arrow_rows(batch).as_json(1))
    assert kept["campaign"].encode(errors="surrogateescape") == b"\xff"


def test_texts_of_a_slice_are_looked_at_alone() -> None:
    batch = touchpoints(campaign=pa.array([b"\xff", b"a", b"b"], pa.binary()))
    assert len(read(batch.slice(1))[1]) == 0
    assert [row for row, _ in read(batch.slice(0, 2))[1]] == [0]


# Nulls and what is missing


def test_a_column_that_is_not_there_is_null_and_a_null_where_there_must_be_a_value_is_rejected_alone() -> None:
    rows, broken = read(touchpoints(session_id=pa.array(["a", None, "b"])))
    assert [(row["session_id"], row["browser"]) for row in rows] == [("a", None), ("b", None)]
    assert broken == [(1, "session_id: is null, not text")]


def test_a_column_of_nulls_has_no_type_and_fits_any() -> None:
    assert column("campaign", pa.nulls(2)) == [None, None]
    assert column("session_id", pa.nulls(1)) == ["session_id: is null, not text"]
    assert read(orders(pa.nulls(1)), Stream.ORDERS)[1] == [(0, "items: is null, not a list")]


@pytest.mark.parametrize(
    ("name", "array", "why"),
    [
        ("occurred_at", pa.array(["2026-03-05"]), "occurred_at is string, not a timestamp"),
        ("occurred_at", pa.array([MOMENT.date()]), "occurred_at is date32"),
        ("occurred_at", pa.array([1], pa.int32()), "occurred_at is int32, not a timestamp"),
        ("cost_cents", pa.array([1.5]), "cost_cents is double, not an integer"),
        ("cost_cents", pa.array([Decimal(1)]), "cost_cents is decimal128"),
        ("cost_cents", pa.array([True]), "cost_cents is bool"),
        ("campaign", pa.array([1]), "campaign is int64, not a string"),
        ("campaign", pa.array([["a"]]), "campaign is list"),
        ("kafka_offset", pa.array(["1"]), "kafka_offset is string, not an integer"),
    ],
)
def test_a_column_of_an_impossible_type_is_told(name: str, array: pa.Array, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read(touchpoints(**{name: array}))


def test_two_columns_of_one_name_are_told() -> None:
    batch = touchpoints()
    twice = pa.RecordBatch.from_arrays([*batch.columns, batch["event_id"]], names=[*batch.schema.names, "event_id"])
    with pytest.raises(Unreadable, match="there are two columns event_id"):
        read(twice)


# Items

ITEMS = arrow_schema("items")


def orders(items: pa.Array) -> pa.RecordBatch:
    schema = arrow_schema("orders").remove(arrow_schema("orders").get_field_index("items"))
    batch = pa.RecordBatch.from_pylist([order(number) for number in range(len(items))], schema)
    return pa.RecordBatch.from_arrays([*batch.columns, items], names=[*batch.schema.names, "items"])


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, pa.list_view, pa.large_list_view])
def test_items_of_any_list_are_read_and_a_bad_one_rejects_its_order_alone(kind: Any) -> None:
    given = [[item(), item(product_id="p2")], [], None, [item(), None], [item(quantity=None)], [item(quantity=7)]]
    rows, broken = read(orders(pa.array(given, kind(pa.struct(list(ITEMS))))), Stream.ORDERS)
    assert [[(i["product_id"], i["quantity"]) for i in row["items"]] for row in rows] == [
        [("p1", 1), ("p2", 1)],
        [],
        [("p1", 7)],
    ]
    assert broken == [
        (2, "items: is null, not a list"),
        (3, "items.1: is null, not an item"),
        (4, "items.0.quantity: is null, not a whole number"),
    ]


def test_items_of_a_fixed_number_are_read() -> None:
    given = pa.array([[item(), item()], None, [item(), item(quantity=2)]], pa.list_(pa.struct(list(ITEMS)), 2))
    rows, broken = read(orders(given), Stream.ORDERS)
    assert [[i["quantity"] for i in row["items"]] for row in rows] == [[1, 1], [1, 2]]
    assert broken == [(1, "items: is null, not a list")]


def test_items_may_stand_in_another_order_and_width_with_fields_of_their_own_and_without_optional_ones() -> None:
    fields = [
        ("quantity", pa.int64()),
        ("gift", pa.bool_()),
        ("discount_cents", pa.uint8()),
        ("product_id", pa.large_string()),
        ("unit_price_cents", pa.int32()),
    ]
    given = [[item(gift=True)], [item(quantity=2**31)], [item(quantity=2**31 - 1)]]
    rows, broken = read(orders(pa.array(given, pa.list_(pa.struct(fields)))), Stream.ORDERS)
    assert rows[0]["items"] == [item(category=None, subcategory=None, unit_cost_cents=None)]
    assert rows[1]["items"][0]["quantity"] == 2**31 - 1
    assert broken == [(1, f"items.0.quantity: {2**31} doesn't fit 32 bits")]


def test_a_slice_of_orders_has_its_own_items() -> None:
    given = pa.array([[item(quantity=1)], [item(quantity=2), item(quantity=None)], [item(quantity=3)]], pa.list_(pa.struct(list(ITEMS))))
    rows, broken = read(orders(given).slice(1), Stream.ORDERS)
    assert [i["quantity"] for row in rows for i in row["items"]] == [3]
    assert [row for row, _ in broken] == [0]


# Rows kept as JSON


def as_events(stream: Stream, batch: pa.RecordBatch) -> tuple[list[dict[str, Any]], list[tuple[int, str, str]]]:
    """Events and rejected rows of a batch, read from its columns."""
    reader = READERS[stream]
    found = reader.arrow_rows(batch).read()
    nowhere = np.full(len(found.places), -1)
    latest = (NOW + FUTURE_GUARD - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    events, faults = reader.events(found.columns, Origins(found.places, nowhere.astype(np.int32), nowhere), ZONE, latest)
    broken = [(row, "malformed", detail) for row, detail in found.broken]
    broken += [(int(found.places[fault.row]), str(fault.reason), fault.detail) for fault in faults]
    return events.to_pylist(), sorted(broken)


def from_json(stream: Stream, batch: pa.RecordBatch) -> tuple[list[dict[str, Any]], list[tuple[int, str, str]]]:
    """The same, from the rows' JSON."""
    rows = READERS[stream].arrow_rows(batch)
    kept = [FileRow(stream.value, -1, -1, "f", row, partial(rows.as_json, row)) for row in range(len(rows))]
    found = decode_json_rows(MessageBatch({stream: kept}, origin=Origin.DLQ), ZONE, FUTURE_GUARD, NOW)
    return (
        as_they_came(found, stream),
        [(rejected.row or 0, str(rejected.reason), rejected.detail) for rejected in found.rejected],
    )


texts = st.one_of(st.none(), st.text(max_size=3), st.sampled_from(["", "é", "nul\0"]))
amounts = st.one_of(st.none(), st.integers(-5, 10), st.sampled_from([10**12, 10**12 + 1, 2**63 - 1, 2**40]))
times = st.one_of(st.none(), st.sampled_from([AT, AT + 1, 0, 2**62, (AT + 10**13)]))
items = st.one_of(
    st.none(),
    st.lists(
        st.one_of(st.none(), st.builds(item, quantity=amounts, product_id=texts, unit_cost_cents=amounts, category=texts)), max_size=3
    ),
)


@given(st.lists(st.builds(order, order_id=texts, updated_at=times, tax_cents=amounts, city=texts, items=items), min_size=1, max_size=5))
def test_a_row_of_json_is_the_event_or_the_fault_that_its_columns_were(rows: list[dict[str, Any]]) -> None:
    wide = pa.struct([field.with_type(pa.int64()) if field.name == "quantity" else field for field in ITEMS])
    schema = arrow_schema("orders").set(arrow_schema("orders").get_field_index("items"), pa.field("items", pa.list_(wide)))
    batch = pa.RecordBatch.from_pylist(rows, schema)
    assert from_json(Stream.ORDERS, batch) == as_events(Stream.ORDERS, batch)


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "event_id: is not there"),
        (json.dumps(touchpoint(event_id=1)).encode(), "event_id: is 1, not text"),
        (json.dumps(touchpoint(cost_cents=True)).encode(), "cost_cents: is true, not a whole number"),
        (json.dumps(touchpoint(occurred_at=1.5)).encode(), "occurred_at: is 1.5, not a whole number of microseconds"),
        (json.dumps(touchpoint(campaign="\udcff")).encode(), "campaign: is no UTF-8"),
        (None, "not JSON"),
    ],
)
def test_what_is_no_row_of_json_is_rejected(value: bytes | None, detail: str) -> None:
    kept = KeptMessage(7, Stream.TOUCHPOINTS, "touchpoints", "id", 2, 5, None, value, (), None, "orders.parquet", 3)
    (rejected,) = decode_json_rows(MessageBatch({Stream.TOUCHPOINTS: [kept]}), ZONE, FUTURE_GUARD, NOW).rejected
    assert rejected.detail.startswith(detail)
    assert (rejected.partition, rejected.offset, rejected.file, rejected.row, rejected.value) == (2, 5, "orders.parquet", 3, value)


def test_a_row_of_json_keeps_partition_and_offset() -> None:
    kept = KeptMessage(
        7, Stream.TOUCHPOINTS, "touchpoints", "id", 2, 5, None, json.dumps(touchpoint(kafka_offset=9)).encode(), (), None, "f", 3
    )
    batch = decode_json_rows(MessageBatch({Stream.TOUCHPOINTS: [kept]}), ZONE, FUTURE_GUARD, NOW)
    (event,) = batch.events[Stream.TOUCHPOINTS].to_pylist()
    assert (event["seq"], event["partition"], event["offset"]) == (0, 2, 5)
