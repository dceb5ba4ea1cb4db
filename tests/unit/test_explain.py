"""Why a past day's numbers changed: told from the ledger, checked against what was asked of the tables before the late events came."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.support.messages import Produced
from tests.support.worker import Worker, line, moment, order, product, tombstone, touch
from worker.commands.explanation import Change, DayState, Explanation, explained
from worker.config import Serve
from worker.events import Origin
from worker.serve.admin import AdminServer
from worker.serve.operations import reading_operations
from worker.serve.query import Limits
from worker.serve.status import Status

DAY = "2026-03-05"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    yield worker
    worker.close()


def explain(worker: Worker, day: str = DAY, limit: int = 20) -> Explanation:
    """As the command asks it, through the admin socket of the worker that holds the file."""
    operations = reading_operations(worker.store.cursor, Status, Limits.of(Serve()))
    with AdminServer(worker.settings.admin_socket, operations):
        return explained(worker.settings, date.fromisoformat(day), limit)


def numbers(worker: Worker, day: str = DAY) -> dict[tuple[str | None, str], int]:
    """The sums as the rows give them now."""
    sums = ("gross_cents", "discount_total_cents", "refunded_cents", "net_cents", "tax_cents", "cost_cents")
    ((touchpoints,),) = worker.query("select count(*) from touchpoint where day = $day", day=day)
    found: dict[tuple[str | None, str], int] = {(None, "touchpoints"): touchpoints}
    of_orders = ", ".join(f"sum({name})" for name in sums)
    sql = f"select currency, count(*), {of_orders} from order_current where counted and day = $day group by all"
    for currency, *values in worker.query(sql, day=day):
        for name, value in zip(("orders", *sums), values, strict=True):
            found[currency, "discount_cents" if name == "discount_total_cents" else name] = value
    return found


def at_closing(told: Explanation) -> dict[tuple[str | None, str], int]:
    return {(number.currency, number.measure): number.at_closing for number in told.numbers if number.at_closing}


def now(told: Explanation) -> dict[tuple[str | None, str], int]:
    return {(number.currency, number.measure): number.now for number in told.numbers if number.now}


def without_zeros(found: dict[tuple[str | None, str], int]) -> dict[tuple[str | None, str], int]:
    return {key: value for key, value in found.items() if value}


def feed_at(worker: Worker, at: str, *messages: Produced, origin: Origin = Origin.LIVE) -> None:
    """Commit the messages at that moment."""
    worker.now = moment(at)
    worker.feed(*messages, origin=origin)


def test_explain_names_the_late_order_and_what_it_added(worker: Worker) -> None:
    worker.feed(order("o1", DAY), touch("c1", DAY), close=DAY)
    feed_at(worker, "2026-03-08 10:20", order("o2", "2026-03-05 18:00", customer_id="c2", items=[line(quantity=3)]))
    told = explain(worker)
    assert (told.state, told.revision, told.commits) == (DayState.CLOSED, 2, 1)
    (event,) = told.events
    assert (event.kind, event.what, event.id, event.customer_id) == ("order", "COMPLETED", "o2", "c2")
    assert (event.topic, event.partition, event.offset, event.reason) == ("orders", 0, 2, "live")
    assert (event.event_time, event.ingested_at) == (moment("2026-03-05 18:00"), moment("2026-03-08 10:20"))
    assert (event.amount_cents, event.currency, event.counted) == (3000, "USD", True)
    (change,) = told.changes
    assert (change.late_new, change.late_update, change.touchpoints, change.orders) == (1, 0, 0, 1)
    assert [(sales.currency, sales.orders, sales.net_cents) for sales in change.sales] == [("USD", 1, 3000)]
    assert [(found.topic, found.partition, found.first_offset, found.last_offset) for found in change.offsets] == [("orders", 0, 2, 2)]


def test_the_numbers_at_closing_are_what_the_tables_held_then(worker: Worker) -> None:
    worker.feed(
        touch("c1", DAY),
        touch("c2", DAY),
        order("kept", DAY, tax_cents=70, items=[line(unit_cost_cents=400, discount_cents=100)]),
        order("refunded", DAY),
        order("deleted", DAY),
        order("foreign", DAY, currency="EUR", discount_cents=250),
        close=DAY,
    )
    held = numbers(worker)
    worker.feed(touch("c3", DAY), order("new", DAY, currency="GBP", tax_cents=5))
    worker.feed(order("refunded", DAY, updated="2026-03-08", status="REFUNDED", refunded_cents=1000))
    worker.feed(order("foreign", DAY, updated="2026-03-08", currency="EUR", status="CANCELLED"))
    worker.feed(tombstone("orders", "deleted", "2026-03-09"))
    told = explain(worker)
    assert at_closing(told) == without_zeros(held)
    assert now(told) == without_zeros(numbers(worker))
    assert all(number.at_closing + number.change == number.now for number in told.numbers)


def test_each_hour_and_reason_is_a_change_of_its_own_newest_first(worker: Worker) -> None:
    worker.feed(touch("c1", DAY), close=DAY)
    feed_at(worker, "2026-03-08 10:10", touch("c2", DAY, partition=0), order("o1", DAY))
    feed_at(worker, "2026-03-08 10:50", touch("c3", DAY))
    feed_at(worker, "2026-03-08 10:55", touch("c4", DAY), origin=Origin.REPLAY)
    feed_at(worker, "2026-03-09 08:00", touch("c5", DAY))

    def row(change: Change) -> tuple[Any, ...]:
        hour = f"{change.ingestion_hour:%m-%d %H}"
        offsets = [(found.topic, found.first_offset, found.last_offset) for found in change.offsets]
        return hour, change.reason, change.commits, change.late_new, change.touchpoints, change.orders, offsets

    told = explain(worker)
    assert [row(change) for change in told.changes] == [
        ("03-09 08", "live", 1, 1, 1, 0, [("touchpoints", 4, 4)]),
        ("03-08 10", "live", 2, 3, 2, 1, [("orders", 1, 1), ("touchpoints", 1, 2)]),
        ("03-08 10", "replay", 1, 1, 1, 0, [("touchpoints", 3, 3)]),
    ]
    assert (told.first_remerge_at, told.last_remerge_at) == (moment("2026-03-08 10:10"), moment("2026-03-09 08:00"))
    assert [(event.customer_id, event.reason) for event in told.events if event.kind == "touchpoint"] == [
        ("c5", "live"),
        ("c4", "replay"),
        ("c3", "live"),
        ("c2", "live"),
    ]


def test_events_that_came_in_time_are_not_listed_even_if_the_clock_stood_still(worker: Worker) -> None:
    worker.now = moment("2026-04-01")
    worker.feed(touch("c1", DAY), order("o1", DAY), close=DAY)
    worker.feed(touch("c2", DAY), order("o2", DAY))
    assert {(event.kind, event.customer_id, event.id[:2]) for event in explain(worker).events} == {
        ("touchpoint", "c2", "e0"),
        ("order", "c1", "o2"),
    }


def test_an_order_that_a_tombstone_deleted_late_is_named_though_not_its_commit(worker: Worker) -> None:
    worker.feed(order("o1", DAY), order("o2", DAY), tombstone("orders", "o2", "2026-03-06"), close=DAY)
    worker.feed(tombstone("orders", "o1", "2026-03-09"))
    told = explain(worker)
    (event,) = told.events
    assert (event.kind, event.id, event.offset, event.ingested_at, event.counted) == ("tombstone", "o1", 4, None, False)
    assert [(number.measure, number.change) for number in told.numbers if number.measure in {"orders", "net_cents"}] == [
        ("orders", -1),
        ("net_cents", -1000),
    ]


def test_the_event_of_another_day_that_took_a_first_day_away_is_named(worker: Worker) -> None:
    worker.feed(touch("c1", DAY), touch("regular", "2026-03-01"), touch("regular", DAY), close=DAY)
    feed_at(worker, "2026-03-08", touch("c1", "2026-03-02 09:00", event_id="first"), touch("regular", "2026-03-01 10:00"))
    told = explain(worker)
    assert [change.offsets for change in told.changes] == [()]
    assert told.events == ()
    (move,) = told.first_days
    assert (move.customer_id, str(move.day), move.id, move.new_customers, move.new_buyers) == ("c1", "2026-03-02", "first", -1, 0)
    assert (move.topic, move.offset) == ("touchpoints", 3)
    assert worker.query("select new_customers from daily_users where day = $day", day=DAY) == [(0,)]


def test_an_order_that_ceased_to_count_and_gave_its_first_day_away_is_named(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-02"), order("o2", DAY), close=DAY)
    feed_at(worker, "2026-03-08", order("o1", "2026-03-02", updated="2026-03-08", status="CANCELLED"))
    (move,) = explain(worker).first_days
    assert (move.id, move.what, move.new_customers, move.new_buyers) == ("o1", "CANCELLED", 1, 1)


def test_a_reading_of_stock_changes_a_day_without_an_event_of_it(worker: Worker) -> None:
    worker.feed(touch("c1", DAY), close=DAY)
    feed_at(worker, "2026-03-08", product("p1", DAY, stock_level=5))
    told = explain(worker)
    assert (told.commits, told.events, told.first_days) == (1, (), ())
    assert all(number.change == 0 for number in told.numbers)


def test_an_open_day_has_numbers_and_a_moment_at_which_it_closes(worker: Worker) -> None:
    worker.feed(touch("c1", DAY), order("o1", DAY))
    told = explain(worker)
    assert (told.state, told.revision, told.commits, told.events) == (DayState.OPEN, None, 0, ())
    assert (told.closes_at, told.watermark) == (moment("2026-03-07 00:00"), moment("2026-03-05 11:55"))
    assert now(told) == without_zeros(numbers(worker))
    worker.close_day(DAY)
    assert explain(worker).state is DayState.CLOSED


def test_a_closed_day_to_which_nothing_came_is_as_at_closing(worker: Worker) -> None:
    worker.feed(touch("c1", DAY), close=DAY)
    told = explain(worker)
    assert (told.state, told.revision, told.commits, told.changes) == (DayState.CLOSED, 1, 0, ())
    assert (told.closed_at, told.changed_at) == (moment("2026-03-07 00:00"), worker.now)


@pytest.mark.parametrize(("day", "is_past"), [("2026-03-04", True), ("2026-03-20", False)])
def test_a_day_without_events_is_told_with_the_days_that_there_are(worker: Worker, day: str, is_past: bool) -> None:
    worker.feed(touch("c1", DAY), touch("c1", "2026-03-09"), close=DAY)
    told = explain(worker, day)
    assert (told.state, told.is_past, told.numbers) == (DayState.NONE, is_past, ())
    assert (str(told.first_day), str(told.last_day)) == (DAY, "2026-03-09")


def test_a_sealed_day_keeps_its_numbers_and_changes_but_not_its_events(tmp_path: Path) -> None:
    worker = Worker(tmp_path, retention={"days": 2})
    worker.feed(touch("c1", DAY), order("o1", DAY), close=DAY)
    held = numbers(worker)
    worker.feed(order("o2", DAY))
    worker.close_day("2026-03-10")
    worker.feed(touch("c9", DAY))
    told = explain(worker)
    assert (told.state, told.is_past_retention, told.revision, told.commits, told.events) == (DayState.SEALED, True, 2, 1, ())
    assert at_closing(told) == without_zeros(held)
    assert now(told)[None, "touchpoints"] == 1
    assert [(kept.outcome, kept.stream, kept.messages, kept.unresolved, kept.place) for kept in told.kept] == [
        ("expired", "touchpoints", 1, 1, "touchpoints/0 @ 1")
    ]
    worker.close()


def test_rejected_messages_that_were_sent_on_the_day_are_told_by_reason(worker: Worker) -> None:
    for number, at in enumerate((DAY, "2026-03-05 23:59", "2026-03-06 00:01")):
        worker.feed(touch("c1", at, event_id="" if number < 2 else "e", review_score=None if number < 2 else 9))
    assert [(kept.outcome, kept.reason, kept.messages, kept.place) for kept in explain(worker).kept] == [
        ("rejected", "empty_id", 2, "touchpoints/0 @ 0")
    ]
    assert [kept.reason for kept in explain(worker, "2026-03-06").kept] == ["bad_score"]


def test_the_day_is_one_of_the_reporting_time_zone(tmp_path: Path) -> None:
    worker = Worker(tmp_path, time={"reporting_time_zone": "America/New_York"})
    worker.feed(touch("c1", "2026-03-08 04:59", event_id="the evening before"), touch("c2", "2026-03-08 12:00"))
    told = explain(worker, "2026-03-08")  # of 23 hours
    assert (told.begins_at, told.ends_at) == (moment("2026-03-08 05:00"), moment("2026-03-09 04:00"))
    assert now(told) == {(None, "touchpoints"): 1}
    worker.close()


def test_the_newest_are_listed_and_all_are_counted(worker: Worker) -> None:
    worker.feed(touch("c1", DAY), close=DAY)
    for hour in range(10, 15):
        feed_at(worker, f"2026-03-08 {hour}:00", touch(f"c{hour}", DAY), touch(None, DAY))
    told = explain(worker, limit=3)
    assert (told.events_found, [event.customer_id for event in told.events]) == (10, [None, "c14", None])
    assert (told.changes_found, [change.ingestion_hour.hour for change in told.changes]) == (5, [14, 13, 12])
    assert told.commits == 5


def test_nothing_is_said_of_tables_that_are_switched_off(tmp_path: Path) -> None:
    worker = Worker(tmp_path, tables={"daily_sales": False})
    worker.feed(touch("c1", DAY), order("o1", DAY), close=DAY)
    worker.feed(order("o2", DAY))
    told = explain(worker)
    assert {number.measure for number in told.numbers} == {"touchpoints"}
    assert told.changes[0].sales[0].net_cents == 1000
    worker.close()


def test_the_file_alone_tells_the_same(worker: Worker) -> None:
    worker.feed(touch("c1", DAY), order("o1", DAY), close=DAY)
    worker.feed(touch("c2", DAY), touch("c1", "2026-03-02"))
    told = explain(worker)
    worker.close()
    assert explained(worker.settings, date.fromisoformat(DAY), 20) == told
