"""Compaction: rows stay what they are, days come into order, and the file gives back what is free; it may end anywhere."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.simulation.simulation import Simulation
from tests.support.worker import Worker, customer, line, order, product, tombstone, touch
from worker.events import EventBatch
from worker.store.compaction import ROUNDS, Unit, give_back, plan, rewrite
from worker.store.database import cursor
from worker.store.layout import Layout, layouts, space
from worker.tables import TABLES

FIRST_DAY = date(2026, 1, 1)
OPEN_FROM = date(2026, 2, 3)
UNIT_ROWS = 122_880


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The connection that writes to a new file."""
    worker = Worker(tmp_path)
    yield worker.store._connection  # who compacts gets it from the store
    worker.close()


def fill(connection: duckdb.DuckDBPyConnection, *, rows: int, a_day: int, late_share: float = 0.0) -> None:
    """Rows of customer_channel_day in order of arrival; those that are late are so by up to 20 days."""
    connection.execute(
        "insert into customer_channel_day select "
        "date '2026-01-01' + cast(i // $a_day as integer) - if(hash(i) % 1000 < 1000 * $late_share, cast(hash(i, 1) % 20 as integer), 0), "
        "'email', 'c' || hash(i, 2) % 1000, 1, i from range($rows) as t(i)",
        {"rows": rows, "a_day": a_day, "late_share": late_share},
    )
    connection.execute("checkpoint")


def in_transaction(connection: duckdb.DuckDBPyConnection, unit: Unit) -> int:
    connection.execute("begin")
    rewritten = rewrite(connection, unit)
    connection.execute("commit")
    return rewritten


def compact(connection: duckdb.DuckDBPyConnection, before: date | None, unit_rows: int = UNIT_ROWS) -> list[Unit]:
    """All that is worth it; asserts that it comes to an end."""
    done: list[Unit] = []
    for _ in range(ROUNDS):
        units = plan(connection, before, unit_rows)
        if not units:
            return done
        for unit in units:
            in_transaction(connection, unit)
            assert give_back(connection)
        done += units
    raise AssertionError(f"there is always something more to do: {units}")


def layout_of(connection: duckdb.DuckDBPyConnection, table: str) -> Layout:
    (found,) = (layout for layout in layouts(connection) if layout.table == table)
    return found


def spans(layout: Layout, before: date) -> list[tuple[date, date]]:
    """What the zone maps of the row groups say that hold days before `before` alone."""
    return sorted((g.first, g.last) for g in layout.groups if g.first and g.last and g.last < before)


def contents(connection: duckdb.DuckDBPyConnection, table: str) -> Any:
    """Row count and a checksum that no order of rows changes."""
    return connection.execute(f"select count(*), sum(cast(hash(t) as hugeint)) from {table} as t").fetchone()


def test_closed_days_come_into_order_and_every_row_stays_what_it_is(connection: duckdb.DuckDBPyConnection) -> None:
    fill(connection, rows=720_000, a_day=20_000, late_share=0.02)
    before = contents(connection, "customer_channel_day")
    scattered = spans(layout_of(connection, "customer_channel_day"), OPEN_FROM)
    assert max((last - first).days for first, last in scattered) >= 20
    units = compact(connection, OPEN_FROM)
    assert {unit.table for unit in units} == {"customer_channel_day"}
    assert all(unit.last is not None and unit.last < OPEN_FROM and unit.rows <= UNIT_ROWS for unit in units)
    ordered = spans(layout_of(connection, "customer_channel_day"), OPEN_FROM)
    assert sum((last - first).days for first, last in ordered) <= (OPEN_FROM - FIRST_DAY).days + 20 + len(ordered)
    assert contents(connection, "customer_channel_day") == before
    assert plan(connection, OPEN_FROM, UNIT_ROWS) == []


def test_open_days_stay_where_they_are(connection: duckdb.DuckDBPyConnection) -> None:
    fill(connection, rows=720_000, a_day=20_000, late_share=0.02)
    assert plan(connection, None) == []
    assert plan(connection, FIRST_DAY) == []


def test_what_deleted_rows_leave_goes_back_to_the_system(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    connection = worker.store._connection
    connection.execute("insert into tombstone select 'orders', md5(cast(i as varchar)), '2026-01-01', 0, i from range(250_000) as t(i)")
    connection.execute("checkpoint")
    connection.execute("insert into product_stock select '2026-01-01', md5(cast(i as varchar)), '2026-01-01', 0 from range(30_000) as t(i)")
    connection.execute("checkpoint")
    connection.execute("delete from tombstone")
    connection.execute("checkpoint")
    before, readings = space(connection), contents(connection, "product_stock")
    assert before.free_bytes > 0.5 * before.file_bytes, "what is left stands at the file's end"
    assert "product_stock" in {unit.table for unit in compact(connection, None, unit_rows=20_000)}
    worker.reopen()  # lets go of metadata that stood at the end
    connection = worker.store._connection
    assert give_back(connection)
    assert space(connection).file_bytes < 0.5 * before.file_bytes
    assert contents(connection, "product_stock") == readings
    worker.close()


def test_holes_between_rows_are_filled(connection: duckdb.DuckDBPyConnection) -> None:
    fill(connection, rows=500_000, a_day=20_000)
    connection.execute("delete from customer_channel_day where cost_cents % 6 = 0")
    assert give_back(connection), "too few for DuckDB to drop them by itself"
    holed, before = layout_of(connection, "customer_channel_day"), contents(connection, "customer_channel_day")
    assert holed.stored_rows > 1.15 * holed.rows
    compact(connection, FIRST_DAY + timedelta(days=99))
    assert layout_of(connection, "customer_channel_day").stored_rows < 1.05 * holed.rows
    assert contents(connection, "customer_channel_day") == before


def test_a_reader_puts_off_what_is_given_back(connection: duckdb.DuckDBPyConnection) -> None:
    fill(connection, rows=300_000, a_day=20_000)
    reader = cursor(connection)
    reader.execute("begin")
    seen = contents(reader, "customer_channel_day")
    in_transaction(connection, Unit("customer_channel_day", FIRST_DAY, OPEN_FROM, 0, 1, 0, 0))
    assert not give_back(connection)
    assert layout_of(connection, "customer_channel_day").stored_rows == 600_000
    assert contents(reader, "customer_channel_day") == seen
    reader.execute("commit")
    assert give_back(connection)
    assert layout_of(connection, "customer_channel_day").stored_rows == 300_000


def test_a_day_that_is_larger_than_a_unit_is_divided(connection: duckdb.DuckDBPyConnection) -> None:
    fill(connection, rows=30_000, a_day=10_000)
    before = contents(connection, "customer_channel_day")
    parts = [Unit("customer_channel_day", FIRST_DAY, FIRST_DAY, part, 3, 0, 0) for part in range(3)]
    rewritten = [in_transaction(connection, part) for part in parts]
    assert sum(rewritten) == 10_000
    assert min(rewritten) > 2_000
    assert contents(connection, "customer_channel_day") == before


def of_every_kind(worker: Worker) -> None:
    """Rows in every table, on two closed days and an open one; ids of touchpoints both canonical and not, lines of orders nested."""
    for day in ("2026-03-05", "2026-03-06", "2026-03-09"):
        uuid = f"550e8400-e29b-41d4-a716-4466554400{day[-2:]}"
        touches = [touch("c1", day, event_id=uuid, product_id="p1", cost_cents=5), touch("c2", day), touch(None, day)]
        orders = [order(f"o{day}", day, items=[line(category="shirts"), line(quantity=2)]), order("o1", day, customer_id="c2")]
        worker.feed(*touches, *orders, product("p1", day, stock_level=3), customer("c1", day), tombstone("orders", "o1", day))
    worker.close_day("2026-03-06")


def test_nothing_is_lost_of_rows_of_every_kind(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    of_every_kind(worker)
    tables = [
        *TABLES,
        "touchpoint",
        "order_current",
        "order_item",
        "customer",
        "product",
        "product_stock",
        "tombstone",
        "ledger",
        "day_state",
    ]
    before = {table: worker.rows(table) for table in tables}
    assert all(before[table] for table in tables if table != "ledger")
    for layout in layouts(worker.store._connection):
        if layout.rows:
            in_transaction(worker.store._connection, Unit(layout.table, layout.days[0][0], layout.days[-1][0], 0, 1, 0, 0))
    assert {table: worker.rows(table) for table in tables} == before
    assert worker.differences() == []
    worker.close()


def test_a_kill_within_a_unit_or_between_two_leaves_every_table_whole(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    of_every_kind(worker)
    before = {table: worker.rows(table) for table in ("touchpoint", "order_current")}
    in_transaction(worker.store._connection, Unit("touchpoint", date(2026, 3, 5), date(2026, 3, 6), 0, 1, 0, 0))
    worker.store._connection.execute("begin")
    rewrite(worker.store._connection, Unit("order_current", date(2026, 3, 5), date(2026, 3, 6), 0, 1, 0, 0))
    worker.crash()
    assert {table: worker.rows(table) for table in before} == before
    assert worker.differences() == []
    worker.feed(touch("c3", "2026-03-05"))
    assert worker.differences() == []
    worker.close()


class CompactingWorker(Simulation):
    """Between commits it rewrites some days of some tables, with no regard to whether that is worth it."""

    def _step(self, batch: EventBatch) -> None:
        super()._step(batch)
        connection, random = self.store._connection, self.random
        for table in ("touchpoint", "order_current", random.choice([name for name in TABLES if name != "customer_first"])):
            days = [day for (day,) in connection.execute(f"select distinct day from {table} order by day").fetchall()]
            if days:
                first, last = sorted(random.choices(days, k=2))
                in_transaction(connection, Unit(table, first, last, 0, 1, 0, 0))
                self.met["units"] += 1
        if random.random() < 0.5:
            assert give_back(connection)


def test_a_worker_that_goes_on_between_units_keeps_every_table_equal_to_the_recomputation(seed: int, tmp_path: Path) -> None:
    simulation = CompactingWorker(seed, tmp_path, messages=300)
    simulation.run()
    assert simulation.met["units"], "nothing was rewritten, so nothing was shown"


def test_the_tables_bytes_add_up_to_what_the_file_uses(connection: duckdb.DuckDBPyConnection) -> None:
    fill(connection, rows=300_000, a_day=20_000)
    found = space(connection)
    used = found.file_bytes - found.free_bytes
    assert 0.75 * used < sum(table.bytes for table in found.tables) <= used
    largest = found.tables[0]
    assert (largest.table, largest.rows, largest.stored_rows) == ("customer_channel_day", 300_000, 300_000)
    assert largest.bytes_per_row is not None
    assert 1 < largest.bytes_per_row < 20
    assert next(table for table in found.tables if table.table == "expired").bytes_per_row is None
