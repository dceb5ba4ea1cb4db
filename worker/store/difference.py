"""Two files compared: the rows, by day and table, that one has and the other has not."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from worker.config import Store
from worker.store.database import connect, quoted, told
from worker.tables import TABLES

_EVENTS = ("touchpoint", "order_current", "product_stock", "customer", "product", "tombstone", "rejected", "expired")
_NOT_COMPARED = {"ingested_at", "is_pending"}


@dataclass(frozen=True, slots=True)
class TableChange:
    """Rows of a table, on one day (None where it has none), that would go and that would come; a changed row is one of each."""

    day: date | None
    table: str
    gone: int
    new: int


@dataclass(frozen=True, slots=True)
class SalesChange:
    """Orders and net (minor units) of a day in one currency, before and after."""

    day: date
    currency: str
    orders: tuple[int, int]
    net_cents: tuple[int, int]


def without_jobs(path: Path, settings: Store) -> None:
    """Leave out of a copy the jobs that have not ended: who tries one out there must not do the others too. Raises StoreError."""
    with closing(connect(path, settings)) as connection, told(path):
        connection.execute("delete from job where state in ('queued', 'running')")


def compare(before: Path, after: Path, settings: Store) -> tuple[list[TableChange], list[SalesChange]]:
    """What `after` has other than `before`, by day, then in the order of merging. Neither may be open elsewhere. Raises StoreError."""
    with closing(connect(after, settings)) as connection, told(after):
        connection.execute(f"attach {quoted(before)} as old (read_only)")
        changes = [change for table in (*_EVENTS, *TABLES) for change in _changes(connection, table)]
        return sorted(changes, key=lambda change: change.day or date.min), _sales(connection)


def _changes(connection: duckdb.DuckDBPyConnection, table: str) -> Iterator[TableChange]:
    """Days are told apart by their sums first: few differ, and only of these all rows are looked at."""
    columns = [name for name, *_ in connection.execute(f"describe {table}").fetchall() if name not in _NOT_COMPARED]
    listed = ", ".join(f'"{name}"' for name in columns)
    day = "day" if "day" in columns else "cast(null as date)"
    sums = f"select {day} as day, count(*) as rows, sum(hash(t)) as sum from (select {listed} from {{}}) as t group by all"
    both = f"{sums.format(table)} union all {sums.format('old.' + table)}"
    differing = f"select day from ({both}) group by day having count(*) = 1 or min(sum) <> max(sum)"
    where = f"where {day} is not distinct from $day"
    for (changed,) in connection.execute(differing).fetchall():
        ((gone, new),) = connection.execute(
            f"select coalesce(sum(-copies) filter (where copies < 0), 0), coalesce(sum(copies) filter (where copies > 0), 0) from ("
            f"select sum(copies) as copies from (select {listed}, 1 as copies from {table} {where} "
            f"union all select {listed}, -1 as copies from old.{table} {where}) group by {listed})",
            {"day": changed},
        ).fetchall()
        yield TableChange(changed, table, int(gone), int(new))


def _sales(connection: duckdb.DuckDBPyConnection) -> list[SalesChange]:
    totals = "select day, currency, sum(orders) as orders, sum(net_cents) as net_cents from {} group by day, currency"
    rows = connection.execute(
        "select day, currency, coalesce(o.orders, 0), coalesce(n.orders, 0), coalesce(o.net_cents, 0), coalesce(n.net_cents, 0) "
        f"from ({totals.format('daily_sales')}) as n full join ({totals.format('old.daily_sales')}) as o using (day, currency) "
        "where (o.orders, o.net_cents) is distinct from (n.orders, n.net_cents) order by day, currency"
    ).fetchall()
    return [SalesChange(day, currency, (int(a), int(b)), (int(c), int(d))) for day, currency, a, b, c, d in rows]
