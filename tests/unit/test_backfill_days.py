"""`backfill --days`: only the orders and touchpoints of these days; what is of no day comes all the same."""

from datetime import date, timedelta
from pathlib import Path

from tests.support.archives import AT, FUTURE_GUARD, NOW, arrow_schema, order, plan, touchpoint, write_parquet
from worker.aggregate import Accounting
from worker.backfill import ArchiveFeed
from worker.backfill.days import DaysFeed
from worker.decode import ReportingZone
from worker.events import EventBatch, Stream

DAY = date(2026, 3, 5)
A_DAY = 86_400_000_000  # micros


def read(directory: Path, last: date = DAY) -> EventBatch:
    feed = DaysFeed(ArchiveFeed(plan(directory), ReportingZone("UTC"), FUTURE_GUARD, 100), DAY, last)
    portion = feed.next(NOW)
    assert portion is not None
    assert feed.next(NOW) is None
    return portion.batch


def test_events_of_other_days_are_left_out_and_do_not_count_as_read(tmp_path: Path) -> None:
    visits = [touchpoint(1), touchpoint(2, occurred_at=AT - A_DAY), touchpoint(3, session_id=""), touchpoint(4)]
    write_parquet(tmp_path / "touchpoints.parquet", visits, arrow_schema("touchpoints"))
    write_parquet(tmp_path / "orders.parquet", [order(1, ordered_at=AT + A_DAY), order(2)], arrow_schema("orders"))
    batch = read(tmp_path)
    assert batch.events[Stream.TOUCHPOINTS]["event_text"].to_pylist() == ["e1", "e4"]
    assert batch.events[Stream.ORDERS]["order_id"].to_pylist() == ["o2"]
    assert [rejected.row for rejected in batch.rejected] == [2]
    assert Accounting.of(batch).read(Stream.TOUCHPOINTS) == 3
    assert [batch.messages.messages[Stream.TOUCHPOINTS][seq].offset() for seq in (0, 1)] == [-1, -1]


def test_the_events_that_stay_are_told_apart_by_when_they_came(tmp_path: Path) -> None:
    """e1 and e3 are of the day after, which comes last in the batch."""
    visits = [touchpoint(number, occurred_at=AT + A_DAY * (number % 2)) for number in range(5)]
    write_parquet(tmp_path / "touchpoints.parquet", visits, arrow_schema("touchpoints"))
    batch = read(tmp_path, DAY + timedelta(days=1))
    assert batch.events[Stream.TOUCHPOINTS].select(["event_text", "seq"]).to_pylist() == [
        {"event_text": event_id, "seq": seq} for event_id, seq in (("e0", 0), ("e2", 2), ("e4", 4), ("e1", 1), ("e3", 3))
    ]


def test_customers_and_products_are_of_no_day(tmp_path: Path) -> None:
    write_parquet(tmp_path / "customers.parquet", [{"customer_id": "c1", "updated_at": AT - A_DAY}], arrow_schema("customers"))
    products = [{"product_id": "p1", "updated_at": AT - A_DAY, "stock_level": 3}, {"product_id": "", "updated_at": AT}]
    write_parquet(tmp_path / "products.parquet", products, arrow_schema("products"))
    batch = read(tmp_path)
    assert batch.events[Stream.CUSTOMERS]["customer_id"].to_pylist() == ["c1"]
    assert batch.events[Stream.PRODUCTS]["product_id"].to_pylist() == ["p1"]
    assert Accounting.of(batch).read(Stream.PRODUCTS) == 2
