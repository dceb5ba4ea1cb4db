"""One day computed anew from its events as they were read again, within the caller's transaction."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import duckdb

from worker.aggregate import Transaction
from worker.events import Outcome, Stream
from worker.store import retention
from worker.tables import TABLES

_STREAMS = frozenset({Stream.ORDERS, Stream.TOUCHPOINTS})
_ROWS = {Stream.TOUCHPOINTS: "rebuild_touchpoint", Stream.ORDERS: "rebuild_order"}


@dataclass(frozen=True, slots=True)
class RebuiltDay:
    """What became of the day: which tables have other rows now, which closed days that changes, and the books of its events."""

    day: date
    changed_tables: tuple[str, ...]
    changed_days: tuple[date, ...]
    outcomes: dict[Stream, dict[Outcome, int]]


def rebuild_day(
    tx: Transaction,
    connection: duckdb.DuckDBPyConnection,
    day: date,
    tables_on: Collection[str],
    closed_before: date | None,
    *,
    is_sealed: bool,
    readmitted: int,
) -> RebuiltDay:
    """Put the staged events of `day` in the place of the stored ones, and fill its tables by their definitions.

    Expects read_range to be staged, the offsets that were read, and sql/rebuild/held to have run. Rows that came from elsewhere stand.
    Expired messages up to the id `readmitted` are among the staged events.
    """
    tables = [name for name, table in TABLES.items() if name in tables_on and table.streams & _STREAMS]
    _keep_old(connection, day)
    for name in (
        "rebuild/touchpoint_change",
        "rebuild/incoming_order",
        "batch/order_version",
        "batch/version_outcome",
        "rebuild/batch_order",
    ):
        tx.run(name, day=day)
    for name in ("rebuild/order_change", "rebuild/rows", "rebuild/day_offset"):
        tx.run(name, day=day)
    changed = [name for name in tables if _refill(tx, connection, name, day)]
    tx.run("rebuild/mart_dirty", is_changed=bool(changed))
    is_other_day = any(TABLES[name].is_daily for name in changed)
    days = _changed_days(connection, day, is_other_day, closed_before)
    tx.stage_days("changed_day", days)
    tx.run("rebuild/batch_day", day=day, is_sealed=is_sealed)
    outcomes = _outcomes(connection, day)
    tx.run("rebuild/sealed_sales_change" if is_sealed else "batch/sales_change", day=day)
    tx.run("rebuild/resolved", day=day)
    if is_sealed:
        tx.run("rebuild/admitted", day=day, readmitted=readmitted)
        if is_other_day:
            retention.forget_day(connection, TABLES.keys() - tables_on, day)
        retention.seal_again(connection, tables_on, day)
    for other in _sealed_others(connection):
        retention.seal_again(connection, {"daily_users"}, other)
    for table in _ROWS.values():
        connection.execute(f"delete from {table} where day = $day", {"day": day})
    connection.execute("drop view contested_order")
    for table in ("incoming_order", "batch_order", "batch_touchpoint"):  # names under which merges stage their rows
        connection.execute(f"drop table {table}")
    return RebuiltDay(day, tuple(changed), tuple(days), outcomes)


def _keep_old(connection: duckdb.DuckDBPyConnection, day: date) -> None:
    """What the day's tables say before."""
    for table in ("customer_day", "daily_sales"):
        connection.execute(f"create or replace temp table old_{table} as from {table} where day = $day", {"day": day})
    connection.execute("create or replace temp table other_day as select *, false as is_sealed from daily_users where false")


def _refill(tx: Transaction, connection: duckdb.DuckDBPyConnection, table: str, day: date) -> bool:
    """Fill the table's rows of the day by its definition. Returns whether they are others than before."""
    if table == "customer_first":
        tx.run("rebuild/first_change", day=day)
        return bool(connection.execute("select count(*) > 0 from first_change").fetchall()[0][0])
    connection.execute(f"create or replace temp table rebuilt as from definition.{table} where day = $day", {"day": day})
    ((differing,),) = connection.execute(
        f"select count(*) from (select * exclude (copies) from (select *, 1 as copies from rebuilt union all by name "
        f"select *, -1 as copies from {table} where day = $day) group by all having sum(copies) <> 0)",
        {"day": day},
    ).fetchall()
    if differing:
        connection.execute(f"delete from {table} where day = $day", {"day": day})
        connection.execute(f"insert into {table} by name from rebuilt")
    if table == "daily_users":
        tx.run("rebuild/daily_users", day=day)
    return bool(differing)


def _changed_days(connection: duckdb.DuckDBPyConnection, day: date, is_changed: bool, closed_before: date | None) -> list[date]:
    """The closed days of which a daily row changed."""
    others = [other for (other,) in connection.execute("select day from other_day").fetchall()]
    days = {*others, day} if is_changed else set(others)
    return sorted(changed for changed in days if closed_before is not None and changed < closed_before)


def _sealed_others(connection: duckdb.DuckDBPyConnection) -> list[date]:
    return [day for (day,) in connection.execute("select day from other_day where is_sealed").fetchall()]


def _outcomes(connection: duckdb.DuckDBPyConnection, day: date) -> dict[Stream, dict[Outcome, int]]:
    """Of the events read again: new or changed rows are accepted, rows as they were are duplicates, the others stand behind them."""
    outcomes: dict[Stream, dict[Outcome, int]] = {}
    for stream, changed, standing, behind in (
        (Stream.TOUCHPOINTS, "batch_touchpoint", "rebuilt_touchpoint", Outcome.DUPLICATE),
        (Stream.ORDERS, "changed_order", "batch_order", Outcome.SUPERSEDED),
    ):
        counts = connection.execute(
            f"select (select count(*) from {_ROWS[stream]} where day = $day), (select count(*) from {changed}), "
            f"(select count(*) from {standing})",
            {"day": day},
        ).fetchone()
        assert counts is not None
        read, accepted, stand = counts
        of_stream = {Outcome.ACCEPTED: accepted, Outcome.DUPLICATE: stand - accepted}
        of_stream[behind] = of_stream.get(behind, 0) + read - stand
        outcomes[stream] = of_stream
    return outcomes
