"""Days: open, closed, changed again; and the ledger of what changed after closing."""

from collections import Counter
from random import Random

from tests.sql.conftest import NewWorker
from tests.support.messages import Produced
from tests.support.worker import Worker, order, product, tombstone, touch
from worker.events import Origin, Partition


def test_a_day_is_open_until_the_watermark_passes_its_end_and_the_allowed_lateness(new_worker: NewWorker) -> None:
    worker = new_worker(time={"allowed_lateness": "6h", "watermark_delay": "5m"})
    worker.feed(touch("c1", "2026-03-05"))
    result = worker.feed(touch("c1", "2026-03-06 06:04:59"))
    assert (list(result.closed_days), worker.revision("2026-03-05")) == ([], None)
    result = worker.feed(touch("c1", "2026-03-06 06:05"))
    assert ([str(day) for day in result.closed_days], worker.revision("2026-03-05")) == (["2026-03-05"], 1)


def test_revision_one_holds_the_batch_that_closed_the_day(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"))
    worker.feed(touch("c2", "2026-03-05"), touch("c1", "2026-03-09"))
    assert worker.revision("2026-03-05") == 1
    assert worker.rows("ledger") == []
    assert worker.rows("daily_users", "day", "active_customers") == [("2026-03-05", 2), ("2026-03-09", 1)]


def test_a_revision_is_a_commit_that_changed_the_day(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"), close="2026-03-05")
    worker.feed(touch("c1", "2026-03-05"), touch("c2", "2026-03-05"), order("o1", "2026-03-05"))
    worker.feed(touch("c1", "2026-03-05"), touch("c9", "2026-03-07 00:10"))
    worker.feed(touch("c9", "2026-03-07 00:20"))
    assert worker.revision("2026-03-05") == 3
    ledger = worker.ledger("2026-03-05")
    assert (ledger.reason, ledger.commits, ledger.late_new, ledger.touchpoints, ledger.orders) == ("live", 2, 4, 3, 1)


def test_what_changes_no_daily_row_leaves_no_trace(worker: Worker) -> None:
    view, bought = touch("c1", "2026-03-05"), order("o1", "2026-03-05")
    worker.feed(view, bought, close="2026-03-05")
    state = worker.rows("day_state")
    worker.feed(view, bought, order("o1", "2026-03-05", updated="2026-03-04"), order("o2", "2026-03-05", status="PLACED"))
    worker.feed(order("o1", "2026-03-05", updated="2026-03-05 13:00"), tombstone("orders", "o2", "2026-03-06"))
    assert worker.revision("2026-03-05") == 1
    assert worker.rows("ledger") + worker.rows("ledger_offset") + worker.rows("ledger_sales") == []
    assert [row for row in worker.rows("day_state") if row in state] == state


def test_a_late_event_on_a_day_never_seen_finds_it_closed_and_empty(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"), close="2026-03-07")
    worker.feed(touch("c1", "2026-03-04"))
    assert worker.revision("2026-03-04") == 2
    assert worker.ledger("2026-03-04").touchpoints == 1


def test_an_update_that_takes_money_back_is_signed_in_the_ledger(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05"), order("o2", "2026-03-05"), close="2026-03-05")
    worker.feed(order("o1", "2026-03-05", updated="2026-03-08", status="REFUNDED", refunded_cents=300))
    worker.feed(order("o2", "2026-03-05", updated="2026-03-08", status="CANCELLED"))
    ledger, money = worker.ledger("2026-03-05"), worker.ledger_sales("2026-03-05")
    assert (ledger.late_new, ledger.late_update, ledger.orders) == (0, 2, -1)
    assert (money.currency, money.orders, money.gross_cents, money.refunded_cents, money.net_cents) == ("USD", -1, -1000, 300, -1300)


def test_the_ledger_names_the_offsets_that_changed_a_day(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"), close="2026-03-05")
    worker.feed(touch("c1", "2026-03-07"), touch("c1", "2026-03-05"), touch("c1", "2026-03-05"), touch("c1", "2026-03-07"))
    worker.feed(order("o1", "2026-03-05", updated="2026-03-08"))
    assert worker.query("from ledger_offset select day, topic, partition, first_offset, last_offset order by topic") == [
        ("2026-03-05", "orders", 0, 1, 1),
        ("2026-03-05", "touchpoints", 0, 2, 3),
    ]


def test_a_day_changed_by_another_days_event_has_no_offsets(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"), close="2026-03-07")
    worker.feed(touch("c1", "2026-03-01"))
    assert worker.rows("ledger_offset", "day") == [("2026-03-01",)]
    ledger = worker.ledger("2026-03-05")
    assert (ledger.commits, ledger.late_new, ledger.late_update, ledger.touchpoints, ledger.orders) == (1, 0, 0, 0, 0)


def test_the_ledger_is_kept_by_reason_and_hour_of_ingestion(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"), close="2026-03-05")
    worker.feed(touch("c1", "2026-03-05"), touch("c9", "2026-03-07 10:20"))
    worker.feed(touch("c1", "2026-03-05"), touch("c9", "2026-03-07 10:50"))
    worker.feed(touch("c1", "2026-03-05"), touch("c9", "2026-03-07 11:10"))
    worker.feed(touch("c1", "2026-03-05"), origin=Origin.REPLAY)
    replayed = "2026-03-07 11:10:00.000001"  # no newer event has come, but each commit has a moment of its own
    columns = ("reason", "ingestion_hour", "commits", "touchpoints", "first_ingested_at", "last_ingested_at")
    assert worker.rows("ledger", *columns) == [
        ("live", "2026-03-07 10:00:00", 2, 2, "2026-03-07 10:20:00", "2026-03-07 10:50:00"),
        ("live", "2026-03-07 11:00:00", 1, 1, "2026-03-07 11:10:00", "2026-03-07 11:10:00"),
        ("replay", "2026-03-07 11:00:00", 1, 1, replayed, replayed),
    ]


def test_a_late_reading_of_stock_changes_its_day(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"), close="2026-03-05")
    worker.feed(product("p1", "2026-03-05", stock_level=3))
    assert worker.revision("2026-03-05") == 2


def test_day_offset_says_from_the_first_commit_which_offsets_fed_a_day(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"), touch("c1", "2026-03-06"), touch("c1", "2026-03-05"), order("o1", "2026-03-05"))
    worker.feed(touch("c1", "2026-03-05"))
    columns = ("day", "topic", "topic_id", "partition", "first_offset", "last_offset", "rows")
    ids = {name: topic.id for name, topic in worker.log.topics.items()}
    assert worker.rows("day_offset", *columns) == [
        ("2026-03-05", "orders", ids["orders"], 0, 0, 0, 1),
        ("2026-03-05", "touchpoints", ids["touchpoints"], 0, 0, 3, 3),
        ("2026-03-06", "touchpoints", ids["touchpoints"], 0, 1, 1, 1),
    ]


def test_the_books_of_each_way_in_are_kept_apart_and_only_the_live_one_moves_the_watermark(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"))
    watermark = worker.pipeline.state.watermark
    worker.feed(touch("c1", "2026-03-09"), origin=Origin.BACKFILL)
    assert worker.pipeline.state.watermark == watermark
    assert worker.query("select origin, read, accepted from accounting where read > 0 order by all") == [("backfill", 1, 1), ("live", 1, 1)]


def test_a_partition_that_lags_keeps_days_open(worker_of_two_partitions: Worker) -> None:
    worker = worker_of_two_partitions
    worker.feed(touch("c1", "2026-03-05", partition=1), touch("c1", "2026-03-05", partition=0))
    worker.feed(touch("c1", "2026-03-20", partition=0))
    assert worker.revision("2026-03-05") is None
    assert worker.pipeline.state.watermark.newest.keys() == {Partition("touchpoints", 0), Partition("touchpoints", 1)}


def test_state_at_closing_and_the_ledger_add_up_to_the_state_now(worker: Worker, seed: int) -> None:
    random = Random(seed)
    days = [f"2026-03-{day:02}" for day in range(1, 6)]
    worker.feed(*(_anything(random, days) for _ in range(40)), close="2026-03-08")
    at_closing = _sums(worker)
    for _ in range(5):
        worker.feed(*(_anything(random, days) for _ in range(random.randint(1, 8))))
    ledger = Counter[tuple[object, ...]]()
    for day, touchpoints, orders in worker.query("select day, touchpoints, orders from ledger"):
        ledger.update({(day, "touchpoints"): touchpoints, (day, "orders"): orders})
    for day, currency, *money in worker.query(f"select day, currency, {', '.join(_MONEY)} from ledger_sales"):
        ledger.update({(day, currency, name): amount for name, amount in zip(_MONEY, money, strict=True)})
    now = _sums(worker)
    assert {key: at_closing[key] + ledger[key] for key in {*now, *at_closing, *ledger}} == {
        key: now[key] for key in {*now, *at_closing, *ledger}
    }
    commits = worker.query("select day, sum(commits) from ledger group by day")
    assert dict(worker.query("select day, revision - 1 from day_state where revision > 1")) == dict(commits)


_MONEY = ("orders", "gross_cents", "discount_cents", "refunded_cents", "tax_cents", "net_cents", "cost_cents")


def _anything(random: Random, days: list[str]) -> Produced:
    day = random.choice(days)
    if random.random() < 0.3:
        return touch(random.choice(("c1", "c2", None)), day)
    if random.random() < 0.1:
        return tombstone("orders", f"o{random.randrange(9)}", f"2026-03-09 {random.randrange(24):02}:00")
    return order(
        f"o{random.randrange(9)}",
        day,
        updated=f"2026-03-09 {random.randrange(24):02}:00",
        customer_id=random.choice(("c1", "c2")),
        status=random.choice(("COMPLETED", "REFUNDED", "CANCELLED")),
        currency=random.choice(("USD", "EUR")),
        refunded_cents=random.choice((0, 250)),
        tax_cents=random.choice((0, 19)),
    )


def _sums(worker: Worker) -> Counter[tuple[object, ...]]:
    sums = Counter[tuple[object, ...]]()
    for day, touchpoints in worker.query("select day, sum(touchpoints) from hourly_traffic group by day"):
        sums[day, "touchpoints"] = touchpoints
    totals = ", ".join(f"sum({name})" for name in _MONEY)
    for day, currency, *money in worker.query(f"select day, currency, {totals} from daily_sales group by all"):
        sums[day, "orders"] += money[0]
        sums.update({(day, currency, name): amount for name, amount in zip(_MONEY, money, strict=True)})
    return sums
