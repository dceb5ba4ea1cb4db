"""The contract's limits and the derived columns, on hand-made rows and against plain Python."""

from datetime import UTC, datetime
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from worker.decode.calendar import ReportingZone, micros
from worker.decode.derive import derived
from worker.decode.readings import READER_ARROW
from worker.decode.validate import faults
from worker.events import EVENT_SCHEMAS, Stream

T = datetime(2026, 3, 5, 12, tzinfo=UTC)
LATEST = micros(T)
ITEM = {"product_id": "p1", "quantity": 2, "unit_price_cents": 500, "discount_cents": 10, "unit_cost_cents": 300}
ORDER = {
    "order_id": "o1",
    "customer_id": "c1",
    "ordered_at": LATEST,
    "updated_at": LATEST,
    "status": "COMPLETED",
    "currency": "USD",
    "discount_cents": 5,
    "tax_cents": 7,
    "shipping_cents": 9,
    "refunded_cents": 11,
    "items": [ITEM],
}
TOUCHPOINT = {"event_id": "e1", "session_id": "s1", "occurred_at": LATEST, "event_type": "page_view", "channel": "email"}
CUSTOMER = {"customer_id": "c1", "updated_at": LATEST}
PRODUCT = {"product_id": "p1", "updated_at": LATEST}
ROWS = {Stream.ORDERS: ORDER, Stream.TOUCHPOINTS: TOUCHPOINT, Stream.CUSTOMERS: CUSTOMER, Stream.PRODUCTS: PRODUCT}
FIRST = micros(datetime(1980, 1, 1, tzinfo=UTC))


def columns_of(stream: Stream, rows: list[dict[str, Any]]) -> dict[str, pa.Array]:
    return derived(stream, pa.RecordBatch.from_pylist(rows, READER_ARROW[stream]), ReportingZone("UTC"))


def reason_of(stream: Stream, **changes: Any) -> str | None:
    """The reason for which a row with these changes is rejected, between two good ones."""
    columns = columns_of(stream, [ROWS[stream], ROWS[stream] | changes, ROWS[stream]])
    found = faults(stream, columns, LATEST)
    assert [fault.row for fault in found] in ([], [1])
    return found[0].reason if found else None


def items(**changes: Any) -> list[dict[str, Any]]:
    return [ITEM, ITEM | changes]


@pytest.mark.parametrize(
    ("stream", "changes", "reason"),
    [
        (Stream.TOUCHPOINTS, {"event_id": ""}, "empty_id"),
        (Stream.TOUCHPOINTS, {"session_id": ""}, "empty_id"),
        (Stream.TOUCHPOINTS, {"customer_id": ""}, "empty_id"),
        (Stream.TOUCHPOINTS, {"customer_id": None}, None),
        (Stream.TOUCHPOINTS, {"product_id": ""}, "empty_id"),
        (Stream.TOUCHPOINTS, {"campaign": "", "event_type": "", "channel": ""}, None),
        (Stream.TOUCHPOINTS, {"occurred_at": FIRST - 1}, "too_early"),
        (Stream.TOUCHPOINTS, {"occurred_at": FIRST}, None),
        (Stream.TOUCHPOINTS, {"occurred_at": LATEST + 1}, "in_future"),
        (Stream.TOUCHPOINTS, {"occurred_at": -(2**63)}, "too_early"),
        (Stream.TOUCHPOINTS, {"occurred_at": 2**63 - 1}, "in_future"),
        (Stream.TOUCHPOINTS, {"cost_cents": -1}, "bad_amount"),
        (Stream.TOUCHPOINTS, {"cost_cents": 10**12}, None),
        (Stream.TOUCHPOINTS, {"cost_cents": 10**12 + 1}, "bad_amount"),
        (Stream.TOUCHPOINTS, {"review_score": 0}, "bad_score"),
        (Stream.TOUCHPOINTS, {"review_score": 6}, "bad_score"),
        (Stream.TOUCHPOINTS, {"review_score": 5}, None),
        (Stream.ORDERS, {"order_id": ""}, "empty_id"),
        (Stream.ORDERS, {"customer_id": ""}, "empty_id"),
        (Stream.ORDERS, {"ordered_at": FIRST - 1}, "too_early"),
        (Stream.ORDERS, {"updated_at": LATEST + 1}, "in_future"),
        (Stream.ORDERS, {"discount_cents": -1}, "bad_amount"),
        (Stream.ORDERS, {"tax_cents": 10**12 + 1}, "bad_amount"),
        (Stream.ORDERS, {"shipping_cents": -(2**63)}, "bad_amount"),
        (Stream.ORDERS, {"refunded_cents": 2**63 - 1}, "bad_amount"),
        (Stream.ORDERS, {"items": []}, None),
        (Stream.ORDERS, {"items": items(product_id="")}, "empty_id"),
        (Stream.ORDERS, {"items": items(quantity=-1)}, "bad_quantity"),
        (Stream.ORDERS, {"items": items(quantity=10**6)}, None),
        (Stream.ORDERS, {"items": items(quantity=10**6 + 1)}, "bad_quantity"),
        (Stream.ORDERS, {"items": items(unit_price_cents=10**12)}, None),
        (Stream.ORDERS, {"items": items(unit_price_cents=10**12 + 1)}, "bad_amount"),
        (Stream.ORDERS, {"items": items(discount_cents=-1)}, "bad_amount"),
        (Stream.ORDERS, {"items": items(unit_cost_cents=-1)}, "bad_amount"),
        (Stream.ORDERS, {"items": items(unit_cost_cents=None)}, None),
        (Stream.ORDERS, {"items": [ITEM | {"quantity": 10**3, "unit_price_cents": 10**12}]}, None),
        (Stream.ORDERS, {"items": [ITEM | {"quantity": 10**3, "unit_price_cents": 10**12}, ITEM]}, "bad_total"),
        (Stream.ORDERS, {"items": [ITEM | {"quantity": 10**6, "unit_price_cents": 10**12}] * 100}, "bad_total"),
        (Stream.ORDERS, {"items": [ITEM | {"quantity": 10**6, "unit_cost_cents": 10**12}] * 10}, "bad_total"),
        (Stream.CUSTOMERS, {"customer_id": ""}, "empty_id"),
        (Stream.CUSTOMERS, {"updated_at": FIRST - 1}, "too_early"),
        (Stream.PRODUCTS, {"product_id": ""}, "empty_id"),
        (Stream.PRODUCTS, {"stock_level": -1}, "bad_amount"),
        (Stream.PRODUCTS, {"unit_cost_cents": 10**12 + 1}, "bad_amount"),
        (Stream.PRODUCTS, {"updated_at": LATEST + 1}, "in_future"),
    ],
)
def test_a_row_is_rejected_for_the_limit_it_breaks(stream: Stream, changes: dict[str, Any], reason: str | None) -> None:
    assert reason_of(stream, **changes) == reason


def test_the_detail_names_the_column_the_value_and_the_limit() -> None:
    columns = columns_of(Stream.ORDERS, [ORDER | {"items": items(quantity=-3)}, ORDER | {"ordered_at": 0}])
    assert [fault.detail for fault in faults(Stream.ORDERS, columns, LATEST)] == [
        "items.quantity is -3; 0 to 1,000,000 is accepted",
        "ordered_at is 1970-01-01T00:00:00.000000Z; 1980-01-01T00:00:00.000000Z to 2026-03-05T12:00:00.000000Z is accepted",
    ]


def random_order(random: Random) -> dict[str, Any]:
    def item() -> dict[str, Any]:
        return {
            "product_id": "p",
            "quantity": random.randrange(1_000),
            "unit_price_cents": random.randrange(10**9),
            "discount_cents": random.randrange(10**12),
            "unit_cost_cents": random.choice([None, random.randrange(10**9)]),
        }

    amounts = {name: random.randrange(10**12) for name in ("discount_cents", "tax_cents", "shipping_cents", "refunded_cents")}
    return ORDER | amounts | {"items": [item() for _ in range(random.choice([0, 0, 1, 2, 5, 50]))]}


def test_an_orders_sums_are_exact(seed: int) -> None:
    random = Random(seed)
    orders = [random_order(random) for _ in range(200)]
    columns = columns_of(Stream.ORDERS, orders)
    assert not faults(Stream.ORDERS, columns, LATEST)
    for row, order in enumerate(orders):
        lines = order["items"]
        gross = sum(line["quantity"] * line["unit_price_cents"] for line in lines)
        discount = order["discount_cents"] + sum(line["discount_cents"] for line in lines)
        assert {name: columns[name][row].as_py() for name in EVENT_SCHEMAS[Stream.ORDERS].names[-6:]} == {
            "units": sum(line["quantity"] for line in lines),
            "gross_cents": gross,
            "discount_total_cents": discount,
            "net_cents": gross - discount - order["refunded_cents"],
            "cost_cents": sum(line["quantity"] * (line["unit_cost_cents"] or 0) for line in lines),
            "units_without_cost": sum(line["quantity"] for line in lines if line["unit_cost_cents"] is None),
        }


def test_derived_columns_have_the_types_of_the_event_schema() -> None:
    for stream, schema in EVENT_SCHEMAS.items():
        columns = columns_of(stream, [ROWS[stream]])
        origin = ["seq", "partition", "offset"]
        assert [*origin, *columns] == schema.names
        assert [column.type for column in columns.values()] == [schema.field(name).type for name in columns]
