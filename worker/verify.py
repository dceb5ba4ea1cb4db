"""`tidemark verify`: is every table what one batch computation over the accepted rows gives?

Unsealed days are recomputed by their defining SELECTs and compared in every column; sealed days, whose rows are gone, by their checksums.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import duckdb

from worker.store import database, retention
from worker.store.ranges import day_ranges
from worker.store.sql import run, statements
from worker.tables import TABLES

_EXAMPLES = 5
_FETCHED = 10_000
_AUDITS = ("touchpoint_key", "order_key", "order_counted", "accounting_balance")  # of the rows that the tables are recomputed from
_WARNINGS = ("order_on_two_days",)  # what is odd, but may be so


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that should not be, or should: `found` is in the table, not in the recomputation; else the other way round."""

    row: dict[str, Any]
    found: bool


@dataclass(slots=True)
class TableResult:
    """What verify found of one table. `rows`: rows recomputed and compared; `sealed_days`: days compared by checksum.

    `is_warning`: what is found is odd, but no disagreement.
    """

    table: str
    rows: int = 0
    differences: int = 0
    examples: list[Difference] = field(default_factory=list)
    sealed_days: int = 0
    wrong_sealed_days: list[date] = field(default_factory=list)
    repaired: bool = False
    is_warning: bool = False

    @property
    def is_audit(self) -> bool:
        """Of the accepted rows themselves, not of a table that is recomputed from them."""
        return self.table.startswith("audits/")

    @property
    def agrees(self) -> bool:
        return self.is_warning or not (self.differences or self.wrong_sealed_days)


def verify(
    connection: duckdb.DuckDBPyConnection,
    tables_on: frozenset[str],
    first: date | None = None,
    last: date | None = None,
    *,
    repair: bool = False,
) -> Iterator[TableResult]:
    """Compare every table that is on, for the days from `first` to `last` (all by default); yields a result a table, in order of merging.

    With `repair`, a table that differs on unsealed days is filled anew from its defining SELECT, in a transaction of its own.
    A sealed day that differs can't be repaired: its rows are gone. Before the tables, the accepted rows themselves are audited.
    """
    sealed_before = _one(connection, "select sealed_before from progress")
    unsealed = list(day_ranges(connection, first, last, sealed_before))
    ever = list(day_ranges(connection, first, last, None))
    for name in _AUDITS + _WARNINGS:
        yield _audit(connection, name, unsealed)
    for name in TABLES:
        if name not in tables_on:
            continue
        result = TableResult(name)
        ranges: Sequence[tuple[date | None, date | None]] = ever if name in retention.NOT_SEALED else unsealed
        for low, high in ranges if name != "customer_first" else [(None, None)]:
            _compare(connection, result, low, high)
        if name in retention.SEALED_TABLES and sealed_before is not None:
            _compare_sealed(connection, result, first or date.min, min(last or date.max, sealed_before - timedelta(days=1)))
        if repair and result.differences:
            _repair(connection, name)
            result.repaired = True
        yield result


def switched_on(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The tables that the file keeps, as of the worker's last start."""
    return frozenset(name for (name,) in connection.execute("select name from table_switch where is_on").fetchall())


def _audit(connection: duckdb.DuckDBPyConnection, name: str, ranges: Sequence[tuple[date, date]]) -> TableResult:
    """Rows that should not be, by one file of sql/audits."""
    result = TableResult(f"audits/{name}", is_warning=name in _WARNINGS)
    takes_days = any(names for _, names in statements(connection, f"audits/{name}"))
    for low, high in ranges if takes_days else [(None, None)]:
        found = run(connection, f"audits/{name}", {"low": low, "high": high})
        names = [column[0] for column in found.description or []]
        while some := found.fetchmany(_FETCHED):
            result.differences += len(some)
            for values in some[: _EXAMPLES - len(result.examples)]:
                result.examples.append(Difference(dict(zip(names, values, strict=True)), found=True))
    return result


def _compare(connection: duckdb.DuckDBPyConnection, result: TableResult, low: date | None, high: date | None) -> None:
    """Rows and recomputation are told apart by how many there are and the sum of their hashes; where these differ, row by row."""
    where = "where day between $low and $high" if low else ""
    parameters = {"low": low, "high": high} if low else {}
    columns = connection.execute(f"describe {result.table}").fetchall()
    hashed = "select count(*), sum(hash({})) from {} " + where
    stored = connection.execute(hashed.format(", ".join(name for name, *_ in columns), result.table), parameters).fetchall()
    # Of the stored types, for a number's hash depends on its type; what does not fit is null and so another one.
    cast = ", ".join(f"try_cast({name} as {kind})" for name, kind, *_ in columns)
    recomputed = connection.execute(hashed.format(cast, f"definition.{result.table}"), parameters).fetchall()
    result.rows += stored[0][0]
    if stored != recomputed:
        _add_differences(connection, result, where, parameters)


def _add_differences(connection: duckdb.DuckDBPyConnection, result: TableResult, where: str, parameters: dict[str, Any]) -> None:
    """Rows of the table count 1, those of the recomputation -1: what does not cancel differs."""
    connection.execute(
        f"create or replace temp table difference as select * exclude (copies), sum(copies) as copies from ("
        f"select *, 1 as copies from {result.table} {where} union all by name select *, -1 as copies from definition.{result.table} {where}"
        f") group by all having sum(copies) <> 0",
        parameters,
    )
    result.differences += _one(connection, "select count(*) from difference")
    if len(result.examples) < _EXAMPLES:
        rows = connection.execute("from difference order by all limit $limit", {"limit": _EXAMPLES - len(result.examples)})
        names = [column[0] for column in rows.description or []]
        for values in rows.fetchall():
            row = dict(zip(names, values, strict=True))
            result.examples.append(Difference(row, found=row.pop("copies") > 0))
    connection.execute("drop table difference")


def _compare_sealed(connection: duckdb.DuckDBPyConnection, result: TableResult, first: date, last: date) -> None:
    rows = connection.execute(
        "select day, row_count, checksum from day_checksum where table_name = $table and day between $first and $last",
        {"table": result.table, "first": first, "last": last},
    ).fetchall()
    kept = {day: (count, checksum) for day, count, checksum in rows}
    now = retention.checksums(connection, result.table, first, last + timedelta(days=1))
    result.sealed_days = len(kept)
    result.wrong_sealed_days = sorted(day for day in kept.keys() | now.keys() if kept.get(day) != now.get(day))


def _repair(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    with database.transaction(connection):
        database.rebuild(connection, table)


def _one(connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any] | None = None) -> Any:
    row: Sequence[Any] | None = connection.execute(query, parameters or {}).fetchone()
    return row[0] if row else None
