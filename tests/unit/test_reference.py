"""Small cases of the reference, each checked by eye against the contract."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.support.messages import WRITER_SCHEMAS, WRITERS_OF, Produced, avro_body, framed, guid_header, order, order_item, touchpoint
from tests.support.reference import Reference, Row, differences

NOW = datetime(2026, 4, 1, tzinfo=UTC)
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
DAY = date(2026, 3, 5)
MINUTE = timedelta(minutes=1)


class Fed:
    """A reference, fed with records one by one: their offsets count up within a partition, their outcomes are returned."""

    def __init__(self, time_zone: str = "UTC") -> None:
        self.reference = Reference(reporting_time_zone=time_zone, reporting_currency="USD", writer_schemas=WRITER_SCHEMAS)
        self.offset = 0

    def message(self, stream: str, value: bytes | None, **more: Any) -> str:
        self.offset += 1
        message = Produced(stream, value, **({"offset_number": self.offset, "partition_number": 0} | more))
        return self.reference.process(stream, message, NOW)

    def touch(self, **fields: Any) -> str:
        return self.message("touchpoints", framed(3, touchpoint(**{"occurred_at": NOON} | fields)))

    def order(self, place: Mapping[str, int] | None = None, **fields: Any) -> str:
        return self.message("orders", framed(1, order(**{"ordered_at": NOON} | fields)), **place or {})

    def tombstone(self, stream: str, key: bytes | None, at: datetime | None, **place: int) -> str:
        timestamp_ms = None if at is None else int(at.timestamp() * 1000)
        return self.message(stream, None, key_bytes=key, timestamp_ms=timestamp_ms, **place)

    def dimension(self, stream: str, **fields: Any) -> str:
        return self.message(stream, framed(WRITERS_OF[stream][0], fields))

    def rows(self, table: str, *columns: str) -> list[Any]:
        rows = self.reference.tables()[table]
        return sorted((tuple(row[column] for column in columns) for row in rows), key=repr)


@pytest.fixture
def fed() -> Fed:
    return Fed()


# Touchpoints


def test_a_touchpoint_told_twice_counts_once_and_the_first_stays(fed: Fed) -> None:
    assert [fed.touch(cost_cents=5), fed.touch(cost_cents=5), fed.touch(cost_cents=6)] == ["accepted", "duplicate", "duplicate"]
    assert fed.reference.conflicting_duplicates == 1
    assert fed.rows("daily_reach", "day", "channel", "touchpoints", "customers", "cost_cents") == [(DAY, "email", 1, 0, 5)]


def test_the_same_event_id_on_another_day_is_another_touchpoint(fed: Fed) -> None:
    assert [fed.touch(), fed.touch(occurred_at=NOON + timedelta(days=1))] == ["accepted", "accepted"]


def test_ids_that_differ_in_case_or_in_unicode_composition_are_different(fed: Fed) -> None:
    upper = "550E8400-E29B-41D4-A716-446655440000"
    assert [fed.touch(event_id=i) for i in (upper, upper.lower(), "é", "e\u0301")] == ["accepted"] * 4


def test_day_and_hour_are_those_of_the_reporting_time_zone() -> None:
    fed = Fed("Asia/Kathmandu")
    fed.touch(occurred_at=datetime(2026, 3, 5, 18, 15, tzinfo=UTC))
    fed.touch(event_id="e2", occurred_at=datetime(2026, 3, 5, 18, 14, 59, 999_999, tzinfo=UTC))
    assert fed.rows("touchpoint", "day", "hour") == [(date(2026, 3, 5), 23), (date(2026, 3, 6), 0)]


def test_the_repeated_hour_of_a_clock_change_is_one_hour() -> None:
    fed = Fed("Europe/Berlin")
    fed.touch(occurred_at=datetime(2025, 10, 26, 0, 30, tzinfo=UTC))
    fed.touch(event_id="e2", occurred_at=datetime(2025, 10, 26, 1, 30, tzinfo=UTC))
    assert fed.rows("hourly_traffic", "day", "hour", "event_type", "touchpoints") == [(date(2025, 10, 26), 2, "page_view", 2)]


def test_a_session_takes_its_last_known_customer_and_its_first_channel_ties_going_by_the_bytes_of_the_event_id(fed: Fed) -> None:
    fed.touch(event_id="b", channel="paid", customer_id="c1")
    fed.touch(event_id="B", channel="organic", customer_id="c2")
    fed.touch(event_id="é", channel="email", customer_id=None)
    columns = ("session_id", "customer_id", "entry_channel", "started_at", "ended_at", "touchpoints")
    noon = NOON.replace(tzinfo=None)
    assert fed.rows("session_day", *columns) == [("s1", "c1", "organic", noon, noon, 3)]


def test_a_session_across_midnight_is_two_sessions(fed: Fed) -> None:
    fed.touch(event_id="a", occurred_at=datetime(2026, 3, 5, 23, 59, tzinfo=UTC), event_type="cart_add")
    fed.touch(event_id="b", occurred_at=datetime(2026, 3, 6, tzinfo=UTC), event_type="purchase", channel="paid")
    assert fed.rows("daily_sessions", "day", "entry_channel", "sessions", "with_cart_add", "with_purchase") == [
        (date(2026, 3, 5), "email", 1, 1, 0),
        (date(2026, 3, 6), "paid", 1, 0, 1),
    ]


def test_null_and_a_literal_none_are_one_campaign(fed: Fed) -> None:
    fed.touch(event_id="a", campaign=None)
    fed.touch(event_id="b", campaign="(none)")
    fed.touch(event_id="c", campaign="")
    assert fed.rows("daily_channel", "campaign", "touchpoints") == [("", 1), ("(none)", 2)]


def test_reviews_without_a_score_count_but_add_nothing(fed: Fed) -> None:
    fed.touch(event_id="a", product_id="p1", event_type="review", review_score=4)
    fed.touch(event_id="b", product_id="p1", event_type="review")
    fed.touch(event_id="c", product_id="p1", event_type="product_view", review_score=5)
    assert fed.rows("daily_product_activity", "product_id", "views", "reviews", "review_score_sum") == [("p1", 1, 2, 4)]


# Orders


def test_what_an_order_is_made_of(fed: Fed) -> None:
    items = [
        order_item(quantity=3, unit_price_cents=1000, discount_cents=50, unit_cost_cents=400),
        order_item(quantity=2, unit_price_cents=10),
    ]
    fed.order(items=items, discount_cents=100, refunded_cents=200, tax_cents=7, shipping_cents=9)
    columns = ("units", "gross_cents", "discount_cents", "tax_cents", "shipping_cents", "refunded_cents", "net_cents", "cost_cents")
    assert fed.rows("daily_sales", *columns, "units_without_cost") == [(5, 3020, 150, 7, 9, 200, 2670, 1200, 2)]
    assert fed.rows("daily_product_sales", "orders", "units", "gross_cents", "sales_cents", "cost_cents") == [(1, 5, 3020, 2970, 1200)]


@pytest.mark.parametrize(("status", "is_counted"), [("COMPLETED", True), ("REFUNDED", True), ("PLACED", False), ("completed", False)])
def test_only_completed_and_refunded_orders_count(fed: Fed, status: str, is_counted: bool) -> None:
    fed.order(status=status)
    assert fed.rows("order_current", "counted") == [(is_counted,)]
    assert len(fed.rows("customer_first", "customer_id")) == is_counted


def test_the_greatest_updated_at_stands_whatever_came_last(fed: Fed) -> None:
    assert fed.order(updated_at=NOON + MINUTE, status="DELETED") == "accepted"
    assert fed.order(updated_at=NOON) == "superseded"
    assert fed.rows("daily_sales", "orders") == []
    assert fed.order(updated_at=NOON + 2 * MINUTE) == "accepted"
    assert fed.rows("daily_sales", "orders") == [(1,)]


def test_an_equal_updated_at_is_a_duplicate_if_the_content_is_equal_else_the_greater_offset_and_then_partition_stands(fed: Fed) -> None:
    assert fed.order({"offset_number": 7, "partition_number": 1}) == "accepted"
    assert fed.order({"offset_number": 9, "partition_number": 0}) == "duplicate"
    assert fed.rows("order_current", "offset", "partition") == [(9, 0)]
    assert fed.order({"offset_number": 8, "partition_number": 3}, city="Rome") == "superseded"
    assert fed.order({"offset_number": 9, "partition_number": 1}, city="Oslo") == "accepted"
    assert fed.rows("order_current", "city", "offset", "partition") == [("Oslo", 9, 1)]


def test_a_version_ordered_on_another_day_is_another_row(fed: Fed) -> None:
    assert [fed.order(), fed.order(ordered_at=NOON + timedelta(days=1))] == ["accepted", "accepted"]
    assert fed.rows("customer_first", "first_active_day", "first_touch_day", "first_order_day") == [(DAY, None, DAY)]


def test_a_tombstone_takes_the_versions_before_it_from_the_count_though_it_comes_first(fed: Fed) -> None:
    assert fed.tombstone("orders", b"o1", NOON + MINUTE) == "accepted"
    assert fed.order() == "accepted"
    assert fed.rows("order_current", "counted") == [(False,)]
    assert fed.order(updated_at=NOON + 2 * MINUTE) == "accepted"
    assert fed.rows("order_current", "counted") == [(True,)]


def test_a_duplicate_at_a_greater_offset_than_a_tombstone_of_its_moment_counts_again(fed: Fed) -> None:
    fed.order({"offset_number": 1})
    fed.tombstone("orders", b"o1", NOON, offset_number=2)
    assert fed.rows("order_current", "counted") == [(False,)]
    assert fed.order({"offset_number": 3}) == "duplicate"
    assert fed.rows("order_current", "counted") == [(True,)]


def test_orders_of_another_currency_count_as_such_and_add_no_money(fed: Fed) -> None:
    fed.order()
    fed.order(order_id="o2", currency="EUR")
    assert fed.rows("customer_day", "orders", "orders_other_currency", "units", "net_cents") == [(1, 1, 1, 1000)]
    assert fed.rows("daily_users", "active_customers", "buyers", "new_customers", "new_buyers") == [(1, 1, 1, 1)]


def test_a_late_first_day_moves_new_customers_to_it(fed: Fed) -> None:
    fed.order()
    fed.touch(customer_id="c1", occurred_at=NOON - timedelta(days=4))
    assert fed.rows("daily_users", "day", "new_customers", "new_buyers") == [(date(2026, 3, 1), 1, 0), (DAY, 0, 1)]
    assert fed.rows("daily_users_running", "day", "running_customers", "running_buyers") == [(date(2026, 3, 1), 1, 0), (DAY, 1, 1)]


def test_sums_go_beyond_64_bits(fed: Fed) -> None:
    for number in range(10):
        fed.order(order_id=f"o{number}", items=[order_item(quantity=1000, unit_price_cents=10**12)], shipping_cents=10**12)
    assert fed.rows("daily_sales", "gross_cents", "shipping_cents") == [(10**16, 10**13)]


# Customers and products


def test_a_tombstone_clears_what_is_personal_of_older_versions_only(fed: Fed) -> None:
    assert fed.tombstone("customers", b"c1", NOON + MINUTE) == "accepted"
    assert fed.rows("customer", "customer_id") == []
    fed.dimension("customers", customer_id="c1", name="Ann", email="a@x", city="Rome", updated_at=NOON)
    assert fed.rows("customer", "name", "email", "city") == [(None, None, "Rome")]
    fed.dimension("customers", customer_id="c1", name="Bea", email="b@x", city="Oslo", updated_at=NOON + 2 * MINUTE)
    assert fed.rows("customer", "name", "email", "city") == [("Bea", "b@x", "Oslo")]


def test_stock_is_read_from_superseded_products_too_and_each_reading_once(fed: Fed) -> None:
    readings = [(NOON + MINUTE, 7), (NOON, 3), (NOON, 4), (NOON, 3), (NOON + 2 * MINUTE, None)]
    outcomes = [fed.dimension("products", product_id="p1", stock_level=level, updated_at=at) for at, level in readings]
    assert outcomes == ["accepted", "superseded", "superseded", "superseded", "accepted"]
    columns = ("readings", "stock_min", "stock_max", "stock_sum", "stock_last")
    assert fed.rows("daily_stock", *columns) == [(3, 3, 7, 14, 7)]
    assert fed.rows("product", "stock_level") == [(None,)]


# Rejected


@pytest.mark.parametrize(
    "fields",
    [
        {"order_id": ""},
        {"customer_id": ""},
        {"refunded_cents": -1},
        {"tax_cents": 10**12 + 1},
        {"items": [order_item(quantity=10**6 + 1)]},
        {"items": [order_item(product_id="")]},
        {"items": [order_item(quantity=1000, unit_price_cents=10**12), order_item(unit_price_cents=1)]},
        {"items": [order_item(quantity=1001, unit_price_cents=0, unit_cost_cents=10**12)]},
        {"ordered_at": datetime(1979, 12, 31, 23, 59, 59, 999_999, UTC), "updated_at": NOON},
        {"updated_at": NOW + timedelta(hours=1, microseconds=1)},
    ],
)
def test_an_order_beyond_the_limits_is_rejected(fed: Fed, fields: Row) -> None:
    assert fed.order(**fields) == "rejected"


def test_an_order_just_within_the_limits_is_accepted(fed: Fed) -> None:
    items = [order_item(quantity=1000, unit_price_cents=10**12, unit_cost_cents=10**12), order_item(quantity=10**6, unit_price_cents=0)]
    assert fed.order(items=items, ordered_at=datetime(1980, 1, 1, tzinfo=UTC), updated_at=NOW + timedelta(hours=1)) == "accepted"


@pytest.mark.parametrize("fields", [{"event_id": ""}, {"session_id": ""}, {"review_score": 0}, {"review_score": 6}, {"cost_cents": -1}])
def test_a_touchpoint_beyond_the_limits_is_rejected(fed: Fed, fields: Row) -> None:
    assert fed.touch(**fields) == "rejected"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\0\0\0\0",
        framed(2, touchpoint())[1:],
        framed(2, touchpoint(occurred_at=NOON))[:-1],
        framed(2, touchpoint(occurred_at=NOON)) + b"\0",
        b"\0\0\0\3\xe7" + avro_body(2, touchpoint(occurred_at=NOON)),
        framed(1, order(ordered_at=NOON)),
        framed(2, touchpoint(occurred_at=NOON, event_id="@@")).replace(b"@@", b"\xff@"),
    ],
)
def test_bytes_that_are_no_touchpoint_are_rejected(fed: Fed, value: bytes | None) -> None:
    assert fed.message("touchpoints", value) == "rejected"


@pytest.mark.parametrize(("key", "at"), [(None, NOON), (b"", NOON), (b"\xff", NOON), (b"o1", None), (b"o1", NOW + timedelta(hours=2))])
def test_a_tombstone_without_a_name_or_a_believable_moment_is_rejected(fed: Fed, key: bytes | None, at: datetime | None) -> None:
    assert fed.tombstone("orders", key, at) == "rejected"


def test_a_schema_may_be_named_by_a_header_and_each_writer_is_understood(fed: Fed) -> None:
    for number, schema_id in enumerate(WRITERS_OF["touchpoints"]):
        body = avro_body(schema_id, touchpoint(event_id=f"e{number}", occurred_at=NOON, browser="b", page_type="p"))
        assert fed.message("touchpoints", body, header_list=(guid_header(schema_id),)) == "accepted"
    assert fed.rows("touchpoint", "event_id", "browser", "page_type") == [("e0", None, None), ("e1", "b", "p"), ("e2", "b", None)]


# Sealed days


def test_a_sealed_day_keeps_its_daily_rows_and_firsts_and_what_comes_later_expires(fed: Fed) -> None:
    fed.touch(customer_id="c1")
    fed.order()
    fed.reference.seal(before=DAY + timedelta(days=1))
    assert [fed.touch(customer_id="c2", event_id="e2"), fed.order(), fed.tombstone("orders", b"o1", NOON + MINUTE)] == [
        "expired",
        "expired",
        "accepted",
    ]
    fed.touch(customer_id="c1", occurred_at=NOON + timedelta(days=1))
    assert fed.rows("daily_users", "day", "active_customers", "new_customers") == [(DAY, 1, 1), (date(2026, 3, 6), 1, 0)]
    assert fed.rows("daily_sales", "orders") == [(1,)]
    assert fed.rows("customer_day", "day") == [(date(2026, 3, 6),)]


def test_accounting_adds_up_and_day_offset_tells_what_fed_a_day(fed: Fed) -> None:
    fed.touch(event_id="a")
    fed.touch(event_id="a")
    fed.touch(event_id="b")
    fed.message("touchpoints", None)
    assert fed.reference.accounting == {("touchpoints", "accepted"): 2, ("touchpoints", "duplicate"): 1, ("touchpoints", "rejected"): 1}
    assert fed.reference.day_offsets == {(DAY, "touchpoints", 0): (1, 3, 2)}


# Comparing


def test_differences_are_told_in_sentences() -> None:
    row = {"day": DAY, "active_customers": 1, "buyers": 0, "new_customers": 1, "new_buyers": 0}
    expected = {"daily_users": [row]}
    fewer = {"daily_users": [row | {"new_customers": 0}]}
    assert differences(expected, {"daily_users": [row | {"a_column_more": 1}]}) == []
    assert differences(expected, fewer) == ["daily_users 2026-03-05: new_customers expected 1, is 0"]
    assert differences(expected, {"daily_users": [row | {"buyers": 0.0}]}) == ["daily_users 2026-03-05: buyers expected 0, is 0.0"]
    assert differences(expected, {"daily_users": []}) == ["daily_users 2026-03-05: expected, is not there"]
    assert differences({"daily_users": []}, expected) == ["daily_users 2026-03-05: is there, not expected"]
    assert differences(expected, {"daily_users": [row, row]}) == ["daily_users: 1 keys more than once"]
