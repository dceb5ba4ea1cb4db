"""The demo's shop: is it the shop that was promised? Its bytes are read back by fastavro."""

import io
from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

import fastavro
import pytest

from worker.demo import shop
from worker.demo.broker import Messages
from worker.demo.delivery import ORDER, TOUCHPOINT, TOUCHPOINT_2, writer_schemas
from worker.events import Stream

DAY = 86_400_000_000
VISITORS = 2_500


@pytest.fixture(scope="module")
def small() -> shop.Shop:
    return shop.build(seed=7, visitors=VISITORS)


@pytest.fixture(scope="module")
def read(small: shop.Shop) -> dict[Stream, list[tuple[int, int, dict[str, Any]]]]:
    """By stream: (arrival, schema id, record) of every message that fastavro reads to its last byte, if its values are possible."""
    schemas = {number: fastavro.parse_schema(schema) for number, schema in writer_schemas().items()}
    records = defaultdict(list)
    for message in small.messages:
        value = message.value or b""
        number = int.from_bytes(value[1:5], "big")
        body = io.BytesIO(value[5:])
        if value[:1] != b"\0" or number not in schemas:
            continue
        try:
            record = fastavro.schemaless_reader(body, schemas[number], None)
        except (EOFError, UnicodeDecodeError, IndexError, OverflowError, ValueError):
            continue
        if isinstance(record, dict) and not body.read(1) and is_possible(record, small):
            records[message.stream].append((message.at, number, record))
    return records


def is_possible(record: dict[str, Any], small: shop.Shop) -> bool:
    times = [moment for moment in record.values() if isinstance(moment, datetime)]
    numbers = [number for row in (record, *record.get("items", ())) for number in row.values() if isinstance(number, int)]
    ids = [record[name] for name in ("event_id", "customer_id", "order_id") if name in record]
    return (
        all(shop.OPENING <= moment < small.closing for moment in times)
        and min(numbers, default=0) >= 0
        and "" not in ids
        and (record.get("review_score") or 1) <= 5
    )


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def test_the_same_seed_makes_the_same_shop_and_another_seed_another() -> None:
    one, same, other = (shop.build(seed, visitors=200, days=20).messages for seed in (1, 1, 2))
    assert one == same
    assert one.values != other.values


def test_a_shop_of_the_usual_size_has_300_000_events(small: shop.Shop) -> None:
    assert len(small.messages) / VISITORS * 29_000 >= 300_000


def test_messages_come_in_order_of_arrival_and_none_after_the_last_day(small: shop.Shop) -> None:
    assert small.messages.at == sorted(small.messages.at)
    assert small.messages.at[-1] < micros(small.closing) <= small.messages.at[0] + 60 * DAY


def test_two_percent_are_late_by_up_to_twenty_days_and_one_percent_is_sent_twice(small: shop.Shop, read: Any) -> None:
    delays = [at - micros(record["occurred_at"]) for at, _, record in read[Stream.TOUCHPOINTS]]
    late = [delay for delay in delays if delay > DAY]
    assert 0.01 < len(late) / len(delays) < 0.03
    assert 15 * DAY < max(late) < 21 * DAY
    sent = Counter(record["event_id"] for _, _, record in read[Stream.TOUCHPOINTS])
    assert 0.006 < sum(count > 1 for count in sent.values()) / len(sent) < 0.016


def test_a_fifth_of_the_orders_is_updated_refunded_cancelled_or_deleted_later(small: shop.Shop, read: Any) -> None:
    versions = defaultdict(set)
    for _, _, record in read[Stream.ORDERS]:
        versions[record["order_id"]].add((record["updated_at"], record["status"]))
    statuses = {status for seen in versions.values() for _, status in seen}
    tombstones = {m.key.decode() for m in small.messages if m.stream is Stream.ORDERS and m.value is None}
    changed = {order_id for order_id, seen in versions.items() if len(seen) > 1} | tombstones
    assert statuses == {"PLACED", "COMPLETED", "REFUNDED", "CANCELLED", "DELETED"}
    assert tombstones
    assert 0.15 < len(changed) / len(versions) < 0.25


def test_every_order_is_the_purchase_of_a_session_that_names_its_customer(read: Any) -> None:
    purchases = {
        (record["customer_id"], record["occurred_at"]) for _, _, record in read[Stream.TOUCHPOINTS] if record["event_type"] == "purchase"
    }
    orders = {(record["customer_id"], record["ordered_at"]) for _, _, record in read[Stream.ORDERS]}
    assert orders == purchases


def test_two_writer_versions_of_touchpoint_are_on_their_way_at_once(small: shop.Shop, read: Any) -> None:
    days = defaultdict(set)
    for at, number, _ in read[Stream.TOUCHPOINTS]:
        days[number].add(at // DAY)
    assert {number for _, number, _ in read[Stream.ORDERS]} == {ORDER}
    assert max(days[TOUCHPOINT]) == max(days[TOUCHPOINT_2]) > min(days[TOUCHPOINT_2]) > min(days[TOUCHPOINT])


def test_every_message_can_be_read_but_for_those_that_were_spoilt(small: shop.Shop, read: Any) -> None:
    tombstones = sum(message.value is None for message in small.messages if message.stream is not Stream.TOUCHPOINTS)
    unread = len(small.messages) - tombstones - sum(map(len, read.values()))
    assert 0 < unread == small.happened["spoilt"]


def test_customers_buy_again_and_those_of_some_channels_more_often(read: Any) -> None:
    bought = Counter(customer for customer, _ in {(r["customer_id"], r["ordered_at"]) for _, _, r in read[Stream.ORDERS]})
    assert 0.2 < sum(count > 1 for count in bought.values()) / len(bought) < 0.6
    assert max(bought.values()) > 5


def test_sessions_begin_unknown_and_lead_over_several_channels(read: Any) -> None:
    named, channels = defaultdict(set), defaultdict(set)
    for _, _, record in read[Stream.TOUCHPOINTS]:
        named[record["session_id"]].add(record["customer_id"] is not None)
        channels[record["customer_id"]].add(record["channel"])
    assert {frozenset(seen) for seen in named.values()} == {frozenset({True}), frozenset({False}), frozenset({True, False})}
    assert sum(len(seen) > 1 for seen in channels.values()) > len(channels) / 3


def test_messages_can_be_put_in_another_order() -> None:
    some = shop.build(seed=1, visitors=50, days=14).messages
    last_first = some.arranged(range(len(some))[::-1], some.at)
    assert isinstance(last_first, Messages)
    assert last_first.values == some.values[::-1]
    assert last_first.at == some.at
