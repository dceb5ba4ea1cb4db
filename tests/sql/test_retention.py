"""Sealed days: their rows are gone, what was counted stays, and what comes too late is kept aside."""

from datetime import timedelta

import pytest

from tests.sql.conftest import NewWorker
from tests.support.messages import Produced
from tests.support.worker import Worker, order, product, tombstone, touch
from worker.tables import TABLES


@pytest.fixture
def sealed(new_worker: NewWorker) -> Worker:
    """The last three closed days keep their rows: the 5th is sealed, the 9th closed, the 15th open."""
    worker = new_worker(retention={"days": 3})
    worker.feed(touch("c1", "2026-03-05"), order("o1", "2026-03-05"), product("p1", "2026-03-05", stock_level=3))
    worker.feed(touch("c2", "2026-03-09"), order("o2", "2026-03-09", customer_id="c2"), touch("c2", "2026-03-11"), close="2026-03-11")
    return worker


def test_sealing_drops_event_and_keyed_rows_and_keeps_daily_rows(sealed: Worker) -> None:
    assert sealed.query("select day, is_open, is_sealed from day_state where day < '2026-03-12' order by day") == [
        ("2026-03-05", False, True),
        ("2026-03-09", False, False),
        ("2026-03-11", False, False),
    ]
    for table in ("touchpoint", "order_current", "customer_day", "customer_channel_day", "customer_sales_day", "session_day"):
        assert sealed.query(f"select min(day) from {table}") == [("2026-03-09",)], table
    for table in ("daily_sales", "daily_users", "daily_reach", "daily_sessions", "daily_category", "hourly_traffic"):
        assert ("2026-03-05",) in sealed.rows(table, "day"), table


def test_an_event_of_a_sealed_day_expires_and_is_kept_with_its_bytes(sealed: Worker) -> None:
    late = touch("c7", "2026-03-05")
    before = {name: sealed.rows(name) for name in TABLES}
    sealed.feed(late)
    assert sealed.accounting("touchpoints") == {"read": 4, "accepted": 3, "expired": 1}
    assert sealed.rows("expired", "stream", "topic", '"offset"', "key", "value", "day") == [
        ("touchpoints", "touchpoints", 3, late.key(), late.value(), "2026-03-05")
    ]
    assert {name: sealed.rows(name) for name in TABLES} == before


def test_an_update_of_an_order_of_a_sealed_day_expires(sealed: Worker) -> None:
    sales = sealed.rows("daily_sales")
    sealed.feed(order("o1", "2026-03-05", updated="2026-03-12", status="CANCELLED"))
    assert sealed.accounting("orders")["expired"] == 1
    assert sealed.rows("daily_sales") == sales


def test_a_tombstone_leaves_sealed_days_alone(sealed: Worker) -> None:
    sales = sealed.rows("daily_sales")
    sealed.feed(tombstone("orders", "o1", "2026-03-12"))
    assert sealed.accounting("orders").get("expired", 0) == 0
    assert sealed.rows("daily_sales") == sales


def test_who_was_first_seen_on_a_sealed_day_is_not_new_again(sealed: Worker) -> None:
    sealed.feed(touch("c1", "2026-03-12"), order("o3", "2026-03-12"))
    assert sealed.query("select new_customers, new_buyers from daily_users where day = '2026-03-12'") == [(0, 0)]
    assert sealed.query("from customer_first where customer_id = 'c1'") == [("c1", "2026-03-05", "2026-03-05", "2026-03-05")]


def test_a_buyer_of_a_sealed_day_stays_one_though_later_orders_are_lost(sealed: Worker) -> None:
    sealed.feed(order("o3", "2026-03-12"))
    sealed.feed(order("o3", "2026-03-12", updated="2026-03-13", status="CANCELLED"))
    assert sealed.query("from customer_first where customer_id = 'c1'") == [("c1", "2026-03-05", "2026-03-05", "2026-03-05")]


def test_a_message_expires_once_though_it_is_read_again(sealed: Worker) -> None:
    sealed.log.put([touch("c7", "2026-03-05")])
    batch = sealed.pipeline.decode(sealed.pipeline.poll(), sealed.now)
    for _ in range(2):
        sealed.pipeline.step(batch, sealed.now, 0.0)
    assert sealed.query("select count(*) from expired") == [(1,)]


def test_sealed_days_are_known_after_a_crash(sealed: Worker) -> None:
    sealed.crash()
    sealed.feed(touch("c7", "2026-03-05"))
    assert sealed.accounting("touchpoints")["expired"] == 1


def test_stock_is_not_sealed_and_its_late_reading_leaves_the_day_sealed(sealed: Worker) -> None:
    sealed.feed(product("p1", "2026-03-05 18:00", stock_level=9), product("p1", "2026-03-04", stock_level=1))
    assert sealed.rows("daily_stock", "day", "readings", "stock_last") == [("2026-03-04", 1, 1), ("2026-03-05", 2, 9)]
    assert sealed.query("select day, is_open, is_sealed, revision from day_state where day <= '2026-03-05' order by day") == [
        ("2026-03-04", False, True, 1),
        ("2026-03-05", False, True, 1),
    ]
    assert sealed.rows("ledger") == []


def test_rejected_messages_are_kept_for_their_own_time(new_worker: NewWorker) -> None:
    worker = new_worker(retention={"rejected_days": 2}, kafka={"dlq_suffix": ""})
    worker.feed(touch("c1", "2026-03-05"), _garbage())
    worker.feed(touch("c1", "2026-03-07"))
    assert len(worker.rows("rejected")) == 1
    worker.feed(touch("c1", "2026-03-09"))
    assert worker.rows("rejected") == []
    assert worker.accounting("touchpoints") == {"read": 4, "accepted": 3, "rejected": 1}


def test_a_rejected_message_still_to_be_sent_is_kept(new_worker: NewWorker) -> None:
    worker = new_worker(retention={"rejected_days": 2})
    worker.feed(touch("c1", "2026-03-05"), _garbage())
    worker.feed(touch("c1", "2026-03-15"))
    assert worker.rows("rejected", "is_pending", "value") == [(True, b"garbage")]


def test_where_there_is_no_dlq_any_more_nothing_waits_for_it(new_worker: NewWorker) -> None:
    worker = new_worker(retention={"rejected_days": 2})
    worker.feed(touch("c1", "2026-03-05"), _garbage())
    worker.reopen(kafka={"dlq_suffix": ""})
    worker.feed(touch("c1", "2026-03-15"))
    assert worker.rows("rejected") == []


def test_retention_counts_from_the_first_day_that_is_not_closed(sealed: Worker) -> None:
    state = sealed.pipeline.state
    assert state.watermark.closed_before is not None
    assert state.sealed_before == state.watermark.closed_before - timedelta(days=3)


def _garbage() -> Produced:
    return Produced("touchpoints", b"garbage")
