"""Retention: event and keyed rows of old closed days are dropped; their daily rows stay, sealed under a checksum."""

from collections.abc import Collection
from datetime import date, datetime, timedelta

import duckdb

from worker.tables import TABLES

# Dimensions are not sealed: a late reading of stock still counts.
NOT_SEALED = frozenset({"daily_stock"})
SEALED_TABLES = tuple(name for name, table in TABLES.items() if table.is_daily and name not in NOT_SEALED)
_DROPPED = ("touchpoint", "order_current", *(name for name, table in TABLES.items() if not table.is_daily and name != "customer_first"))


def checksums(connection: duckdb.DuckDBPyConnection, table: str, first: date, before: date) -> dict[date, tuple[int, str]]:
    """Per day from `first` to the day before `before`: row count and a checksum that no order of rows changes (sum of md5 halves)."""
    rows = connection.execute(
        f"select day, count(*), cast(sum(md5_number_lower(cast(to_json(t) as varchar))) as varchar) from {table} as t "
        "where day >= $first and day < $before group by day",
        {"first": first, "before": before},
    ).fetchall()
    return {day: (count, checksum) for day, count, checksum in rows}


def seal(
    connection: duckdb.DuckDBPyConnection, tables_on: Collection[str], sealed_before: date | None, new_sealed_before: date
) -> list[date]:
    """Seal the days before `new_sealed_before`, within the caller's transaction. Returns those that were not sealed yet, ascending."""
    _keep_checksums(connection, tables_on, sealed_before or date.min, new_sealed_before)
    for table in _DROPPED:
        connection.execute(f"delete from {table} where day < $before", {"before": new_sealed_before})
    connection.execute("update progress set sealed_before = $before", {"before": new_sealed_before})
    sealed = connection.execute(
        "update day_state set is_sealed = true where day < $before and not is_sealed returning day", {"before": new_sealed_before}
    )
    return sorted(day for (day,) in sealed.fetchall())


def seal_again(connection: duckdb.DuckDBPyConnection, tables_on: Collection[str], day: date) -> None:
    """Rows of these tables, of a day that is sealed, were rebuilt: new checksums, and its event and keyed rows go."""
    _forget_checksums(connection, tables_on, day)
    _keep_checksums(connection, tables_on, day, day + timedelta(days=1))
    for table in _DROPPED:
        connection.execute(f"delete from {table} where day = $day", {"day": day})


def forget_day(connection: duckdb.DuckDBPyConnection, tables_off: Collection[str], day: date) -> None:
    """A sealed day was rebuilt and is another one now: what tables that are off still said of it goes, lest they be read when on again."""
    off = set(tables_off).intersection(SEALED_TABLES)
    _forget_checksums(connection, off, day)
    for table in off:
        connection.execute(f"delete from {table} where day = $day", {"day": day})


def _forget_checksums(connection: duckdb.DuckDBPyConnection, tables: Collection[str], day: date) -> None:
    connection.execute(
        "delete from day_checksum where day = $day and table_name in (from unnest($tables))", {"day": day, "tables": list(tables)}
    )


def _keep_checksums(connection: duckdb.DuckDBPyConnection, tables_on: Collection[str], first: date, before: date) -> None:
    for table in SEALED_TABLES:
        if table in tables_on:
            rows = [(day, table, count, checksum) for day, (count, checksum) in checksums(connection, table, first, before).items()]
            if rows:
                connection.executemany("insert into day_checksum values (?, ?, ?, ?)", rows)


def forget_rejected(connection: duckdb.DuckDBPyConnection, now: datetime, keep_for: timedelta, *, has_dlq: bool) -> None:
    """Drop rejected messages that were kept long enough; where there is a DLQ, only those that have reached it."""
    parameters = {"before": now.replace(tzinfo=None) - keep_for, "has_dlq": has_dlq}
    connection.execute("delete from rejected where not (is_pending and $has_dlq) and ingested_at < $before", parameters)
