"""The benchmark's shop, judged without numpy: its messages are what fastavro writes, and its figures are those of its messages."""

import io
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import fastavro
import pytest

from tests.bench.data import ORDER_SCHEMA, TOUCHPOINT_SCHEMA, Messages, Shape, Shop
from tests.support.messages import WRITERS, framed

SHAPE = Shape(messages=4_000, customers=150, days=3, late_share=0.1, duplicate_share=0.05, update_share=0.5)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(SHAPE)


def records(parts: Iterable[Messages], schema_id: int) -> list[dict[str, Any]]:
    """The decoded messages; each is shown to be, byte by byte, what fastavro makes of them."""
    found: list[dict[str, Any]] = []
    for part in parts:
        for value in part.values:
            record = fastavro.schemaless_reader(io.BytesIO(value[5:]), WRITERS[schema_id], None)
            assert isinstance(record, dict)
            assert framed(schema_id, record) == value
            found.append(record)
    return found


def test_the_shop_sends_as_many_messages_as_it_was_asked_for(shop: Shop) -> None:
    sent = sum(len(part.values) for parts in (shop.orders.messages(), shop.touchpoints.messages()) for part in parts)
    assert sent == SHAPE.messages


def test_figures_of_touchpoints_are_those_of_the_messages(shop: Shop) -> None:
    events = {record["event_id"]: record for record in records(shop.touchpoints.messages(), TOUCHPOINT_SCHEMA)}
    rows: dict[tuple[date, str], list[dict[str, Any]]] = defaultdict(list)
    for event in events.values():
        rows[event["occurred_at"].date(), event["channel"]].append(event)
    assert shop.touchpoints.figures() == [
        (*key, len(some), len({e["customer_id"] for e in some} - {None}), sum(e["cost_cents"] or 0 for e in some))
        for key, some in sorted(rows.items())
    ]
    assert len(events) < SHAPE.touchpoint_messages  # duplicates


def test_figures_of_orders_are_those_of_their_last_versions(shop: Shop) -> None:
    last: dict[str, dict[str, Any]] = {}
    for record in records(shop.orders.messages(), ORDER_SCHEMA):
        known = last.setdefault(record["order_id"], record)
        if record["updated_at"] > known["updated_at"]:
            last[record["order_id"]] = record
    rows: dict[date, list[dict[str, Any]]] = defaultdict(list)
    for order in last.values():
        if order["status"] in {"COMPLETED", "REFUNDED"}:
            rows[order["ordered_at"].date()].append(order)
    assert shop.orders.figures() == [
        (day, len(some), len({o["customer_id"] for o in some}), sum(map(net_cents, some))) for day, some in sorted(rows.items())
    ]
    assert max(rows) - min(rows) > timedelta(SHAPE.days)  # late ones


def net_cents(order: dict[str, Any]) -> int:
    lines = sum(item["quantity"] * item["unit_price_cents"] - item["discount_cents"] for item in order["items"])
    return int(lines - order["discount_cents"] - order["refunded_cents"])
