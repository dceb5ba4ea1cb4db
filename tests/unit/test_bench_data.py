"""The benchmark's shop, judged without numpy: its messages are what fastavro writes, and its figures are those of its messages."""

import io
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import fastavro
import pyarrow.parquet as pq
import pytest

from tests.bench import archive
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
    assert shop.expected().reach() == [
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
    assert shop.expected().sales() == [
        (day, len(some), len({o["customer_id"] for o in some}), sum(map(net_cents, some))) for day, some in sorted(rows.items())
    ]
    assert max(rows) - min(rows) > timedelta(SHAPE.days)  # late ones


def test_an_archive_tells_what_the_messages_tell(shop: Shop, tmp_path: Path) -> None:
    archive.write(tmp_path, shop)
    assert pq.read_table(tmp_path / "touchpoints-00000.parquet").to_pylist() == records(shop.touchpoints.messages(), TOUCHPOINT_SCHEMA)
    assert pq.read_table(tmp_path / "orders-00000.parquet").to_pylist() == records(shop.orders.messages(), ORDER_SCHEMA)


def test_events_in_order_are_the_same_events(shop: Shop) -> None:
    in_order = Shop(replace(SHAPE, in_order=True))
    assert in_order.expected().sales() == shop.expected().sales()
    arrived = records(in_order.touchpoints.messages(), TOUCHPOINT_SCHEMA)
    assert sorted(ids(arrived)) == sorted(ids(records(shop.touchpoints.messages(), TOUCHPOINT_SCHEMA)))
    times = [event["occurred_at"] for number, event in enumerate(arrived) if event["event_id"] not in ids(arrived[:number])]
    assert times == sorted(times)


def test_parts_of_a_shop_follow_one_another_and_share_customers_alone() -> None:
    shapes = replace(SHAPE, messages=2_500_001, days=5, late_share=0.0).parts()
    assert [(shape.part, shape.start, shape.days) for shape in shapes] == [(0, 0, 2), (1, 2, 3)]
    assert sum(shape.messages for shape in shapes) == 2_500_001
    shops = [Shop(replace(shape, messages=2_000)) for shape in shapes]
    events = [records(each.orders.messages(), ORDER_SCHEMA) for each in shops]
    orders, customers = ([{event[name] for event in some} for some in events] for name in ("order_id", "customer_id"))
    assert not orders[0] & orders[1]
    assert len(customers[0] & customers[1]) > 50
    both = shops[0].expected() + shops[1].expected()
    assert both.sales() == shops[0].expected().sales() + shops[1].expected().sales()


def test_figures_add_up_where_parts_share_a_day_and_its_customers(shop: Shop) -> None:
    other = Shop(replace(SHAPE, part=1))
    events = [event for each in (shop, other) for event in records(each.touchpoints.messages(), TOUCHPOINT_SCHEMA)]
    by_day: dict[tuple[date, str], set[str]] = defaultdict(set)
    for event in events:
        if event["customer_id"] is not None:
            by_day[event["occurred_at"].date(), event["channel"]].add(event["customer_id"])
    assert {row[:2]: row[3] for row in (shop.expected() + other.expected()).reach() if row[3]} == {k: len(v) for k, v in by_day.items()}


def test_one_customer_can_have_a_third_of_all_events() -> None:
    shop = Shop(replace(SHAPE, top_share=1 / 3))
    customers = [event["customer_id"] for event in records(shop.touchpoints.messages(), TOUCHPOINT_SCHEMA)]
    assert 0.25 < customers.count("c0000000") / len(customers) < 0.42


def ids(events: Iterable[dict[str, Any]]) -> list[str]:
    return [event["event_id"] for event in events]


def net_cents(order: dict[str, Any]) -> int:
    lines = sum(item["quantity"] * item["unit_price_cents"] - item["discount_cents"] for item in order["items"])
    return int(lines - order["discount_cents"] - order["refunded_cents"])
