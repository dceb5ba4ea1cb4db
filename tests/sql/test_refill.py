"""Days that are filled anew instead of merged into, within a commit: every table is the same either way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.messages import WRITER_SCHEMAS, Produced
from tests.support.oracle_sql import selected
from tests.support.reference import Reference, differences
from tests.support.streams import random_options, random_stream
from tests.support.worker import Worker, order, touch
from worker.aggregate import refill
from worker.tables import TABLES

DAY, NEXT_DAY = "2026-03-05", "2026-03-06"


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """Every day of a batch is filled anew if the batch brings a third of it."""
    monkeypatch.setattr(refill, "LEAST_ROWS", 1)
    worker = Worker(tmp_path)
    yield worker
    worker.close()


def test_only_days_of_which_the_batch_brings_much_are_filled_anew(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    filled: list[list[str]] = []
    monkeypatch.setattr(refill.Refill, "set_aside", lambda self, *_: filled.append([str(day) for day in self.days]))
    monkeypatch.setattr(refill.Refill, "fill", lambda *_: None)
    monkeypatch.setattr(refill.Refill, "put_back", lambda *_: None)
    worker.feed(*(touch(f"c{n}", DAY) for n in range(7)))
    worker.feed(touch("late", DAY), touch("c1", NEXT_DAY), touch("c2", NEXT_DAY))
    assert filled == [[DAY], [NEXT_DAY]]


def test_a_closed_day_that_is_filled_anew_has_its_revision_and_ledger(worker: Worker) -> None:
    worker.feed(touch("c1", DAY), order("o1", DAY, customer_id="c1"), close=NEXT_DAY)
    worker.feed(touch("c2", DAY), order("o1", DAY, customer_id="c1", updated="2026-03-07", refunded_cents=100), order("o2", DAY))
    assert worker.revision(DAY) == 2
    assert (worker.ledger(DAY).late_new, worker.ledger(DAY).late_update, worker.ledger(DAY).touchpoints) == (2, 1, 1)
    assert (worker.ledger_sales(DAY).orders, worker.ledger_sales(DAY).net_cents) == (1, 900)
    assert not worker.differences()


def test_orders_that_come_again_as_they_were_are_no_revision_of_a_closed_day(worker: Worker) -> None:
    worker.feed(order("o1", DAY), close=NEXT_DAY)
    worker.feed(order("o1", DAY))
    worker.feed(order("o1", DAY, updated="2026-03-07", status="REFUNDED"))  # of nothing
    assert worker.revision(DAY) == 1
    assert worker.rows("ledger", "day") == []
    assert not worker.differences()


def test_a_customer_that_is_gone_from_a_day_filled_anew_was_never_there(worker: Worker) -> None:
    worker.feed(order("o1", DAY, customer_id="c1"), order("o2", NEXT_DAY, customer_id="c1"))
    worker.feed(order("o1", DAY, customer_id="c2", updated=NEXT_DAY))
    assert worker.rows("customer_first", "customer_id", "first_order_day") == [("c1", NEXT_DAY), ("c2", DAY)]
    assert worker.rows("daily_users", "day", "new_buyers") == [(DAY, 1), (NEXT_DAY, 1)]
    assert not worker.differences()


def test_a_random_stream_gives_the_tables_of_the_reference(worker: Worker, seed: int) -> None:
    """Batches of all sizes: of some days they bring much, of others little."""
    stream = [message for message in random_stream(seed, random_options(seed, 500)) if message.partition() == 0]
    reference = Reference(reporting_time_zone="UTC", reporting_currency="USD", writer_schemas=WRITER_SCHEMAS)
    for first, size in batches(len(stream)):
        fed: list[Produced] = stream[first : first + size]
        worker.feed(*fed)
        for message in fed:
            reference.process(message.topic(), message, worker.now)
    with worker.store.cursor() as connection:
        found = {name: selected(connection, f"from {name}") for name in TABLES}
    expected = {name: rows for name, rows in reference.tables().items() if name in TABLES}
    assert not differences(expected, found)


def batches(messages: int) -> Iterator[tuple[int, int]]:
    first, size = 0, 1
    while first < messages:
        yield first, size
        first, size = first + size, 1 + (size * 3) % 61
