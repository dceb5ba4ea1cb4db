"""Audits: queries for rows that should not exist, of every table: the marts, and those that they are made of.

Every table's key is audited (no key twice, none with a null in it), and every column of doubles (neither NaN nor infinite). What a mart's
front matter adds is bound to the settings of the mart, and to what its rows stand for: $as_of and $read_at, the last commit that is in
them. Other tables have theirs in sql/audits/. The state of several marts is compared only where none was refreshed after the audited one.
"""

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

import duckdb

from worker.marts.definition import Severity, ordered
from worker.marts.refresh import MartState, Refresher, progress_of, states
from worker.resources import sql_dir, sql_text
from worker.store.database import transaction
from worker.store.ranges import day_ranges
from worker.tables import TABLES

_EXAMPLES = 5
_GRAIN = re.compile(r"grain:\s*\(?([\w, ]+?)\)?(?:\s{2,}|\n)")
_SEVERITY = re.compile(r"severity:\s*(\w+)")
_READS = re.compile(r"reads:\s*(\w+)")
_REMEDY = re.compile(r"-- remedy: (.*)")
# Keys of the tables that have no defining SELECT. Those of events have audits of their own: sql/audits/touchpoint_key, order_key.
_OTHER_KEYS: Mapping[str, tuple[str, ...]] = {
    "customer": ("customer_id",),
    "product": ("product_id",),
    "product_stock": ("product_id", "updated_at", "stock_level"),
    "tombstone": ("stream", "id"),
    "accounting": ("origin", "stream"),
    "day_state": ("day",),
    "ledger": ("day", "reason", "ingestion_hour"),
    "ledger_sales": ("day", "reason", "ingestion_hour", "currency"),
}
_EVENTS = ("touchpoint", "order_current")


class AuditState(StrEnum):
    """What became of an audit."""

    PASSED = "passed"
    FOUND = "found"  # rows that should not exist
    BROKEN = "broken"  # it could not be run
    SKIPPED = "skipped"  # there is nothing to audit yet, or not as of one moment


@dataclass(frozen=True, slots=True)
class Audit:
    """A query for rows of a table that should not exist. `is_key`: its key is what is audited."""

    table: str
    name: str
    query: str
    severity: Severity = "error"
    remedy: str = ""
    is_key: bool = False


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What an audit found: how many rows, and the first of them. `message`: why it is broken, or was skipped."""

    table: str
    audit: str
    severity: Severity
    is_key: bool
    state: AuditState
    rows: int = 0
    examples: Sequence[Mapping[str, Any]] = ()
    message: str = ""
    remedy: str = ""
    seconds: float = 0.0

    @property
    def fails(self) -> bool:
        return self.state in {AuditState.FOUND, AuditState.BROKEN}


@dataclass(frozen=True, slots=True)
class _Moment:
    """What a table's audits are bound to, one after another; `skipped`: marts with which it can't be compared, and why."""

    bindings: Sequence[Mapping[str, Any]]
    skipped: Mapping[str, str] = field(default_factory=dict)


class Auditor:
    """Runs the audits of one file's tables."""

    def __init__(self, refresher: Refresher) -> None:
        self._refresher = refresher

    @property
    def tables(self) -> list[str]:
        """All that are audited: base tables, then marts in the order of their refresh."""
        return [*_EVENTS, *_OTHER_KEYS, *TABLES, *(mart.name for mart in ordered(self._refresher.marts.values()))]

    def audits(self, connection: duckdb.DuckDBPyConnection, table: str) -> list[Audit]:
        """Those of one table, its key's first."""
        mart = self._refresher.marts.get(table)
        doubles = _doubles(connection, table)
        if mart is None:
            own = [audit for audit in _of_files() if audit.table == table]
            return [*_of_key(table, _keys().get(table, ()), by_day=True), *_of_numbers(table, doubles), *own]
        declared = [Audit(table, audit.name, audit.query, audit.severity, audit.remedy) for audit in mart.front.audits]
        return [*_of_key(table, mart.key), *_of_numbers(table, doubles), *declared]

    def run(self, connection: duckdb.DuckDBPyConnection, table: str) -> list[AuditResult]:
        """Run all audits of a table, each in a transaction of its own that only reads. `connection` has no transaction open."""
        moment = self._moment(connection, table)
        return [_run(connection, audit, moment) for audit in self.audits(connection, table)]

    def _moment(self, connection: duckdb.DuckDBPyConnection, table: str) -> _Moment:
        mart = self._refresher.marts.get(table)
        if mart is None:
            return _Moment([{"low": low, "high": high} for low, high in day_ranges(connection, None, None, None)])
        known = states(connection)
        own = known.get(table)
        if own is None:
            return _Moment([], {table: "was never refreshed"})
        bound = {**self._refresher.parameters(mart, own.as_of, progress_of(connection)), "read_at": own.read_at}
        return _Moment([bound], {other: reason for other in self._refresher.marts if (reason := _apart(own, known.get(other)))})


def keep(connection: duckdb.DuckDBPyConnection, table: str, results: Sequence[AuditResult], audited_at: datetime) -> None:
    """Put what was found of a table into the place of what was found before (audit_result), in a transaction of its own."""
    rows = [
        (table, result.audit, result.severity, result.state.value, result.rows, result.message, audited_at.replace(tzinfo=None))
        for result in results
        if result.state is not AuditState.SKIPPED
    ]
    with transaction(connection):
        connection.execute("delete from audit_result where table_name = $table", {"table": table})
        if rows:
            connection.executemany("insert into audit_result values (?, ?, ?, ?, ?, ?, ?)", rows)


def _apart(own: MartState, other: MartState | None) -> str:
    """Why the rows of a mart can't be held against those of another; empty where they can."""
    if other is None:
        return "was never refreshed"
    if other.as_of != own.as_of:
        return f"stands at {other.as_of}"
    return "was refreshed later" if other.refreshed_at > own.refreshed_at else ""


def _of_key(table: str, key: Sequence[str], *, by_day: bool = False) -> Iterator[Audit]:
    """`by_day`: a range of days at a time, where the key has a day."""
    if not key:
        return
    columns = ", ".join(f'"{column}"' for column in key)
    days = "day between $low and $high" if by_day and "day" in key else "true"
    twice = f'select {columns}, count(*) as copies from "{table}" where {days} group by {columns} having count(*) > 1'
    null = " or ".join(f'"{column}" is null' for column in key)
    yield Audit(table, "key is unique", twice, is_key=True)
    yield Audit(table, "key is not null", f'select * from "{table}" where {null}', is_key=True)


def _of_numbers(table: str, doubles: Mapping[str, str]) -> Iterator[Audit]:
    """`doubles`: columns with their types; of a list, the sum is infinite or NaN where one of its numbers is."""
    if doubles:
        sums = [f'list_sum("{name}")' if kind.endswith("[]") else f'"{name}"' for name, kind in doubles.items()]
        wrong = " or ".join(f"not isfinite({number})" for number in sums)
        yield Audit(table, "numbers are finite", f'select * from "{table}" where {wrong}')


def _doubles(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    rows = connection.execute(
        "select column_name, data_type from duckdb_columns() where database_name = current_database() and schema_name = 'main' "
        "and table_name = $name and data_type in ('DOUBLE', 'FLOAT', 'DOUBLE[]', 'FLOAT[]') order by column_index",
        {"name": table},
    )
    return dict(rows.fetchall())


@cache
def _keys() -> Mapping[str, tuple[str, ...]]:
    """Of the tables that are no marts."""
    of_definitions = {}
    for name in TABLES:
        found = _GRAIN.search(sql_text(f"definitions/{name}"))
        assert found, name
        of_definitions[name] = tuple(column.strip() for column in found[1].split(","))
    return {**_OTHER_KEYS, **of_definitions}


@cache
def _of_files() -> Sequence[Audit]:
    """Those of sql/audits/, each of the first table that it reads."""
    return [_of_file(path.stem, path.read_text(encoding="utf-8")) for path in sorted((sql_dir() / "audits").glob("*.sql"))]


def _of_file(name: str, text: str) -> Audit:
    table, severity, remedy = _READS.search(text), _SEVERITY.search(text), _REMEDY.search(text)
    assert table, name
    level: Severity = "warning" if severity and severity[1] == "warning" else "error"
    return Audit(table[1], name, text, level, remedy[1] if remedy else "", is_key=name.endswith("_key"))


def _run(connection: duckdb.DuckDBPyConnection, audit: Audit, moment: _Moment) -> AuditResult:
    def result(state: AuditState, **found: Any) -> AuditResult:
        seconds = time.perf_counter() - began
        return AuditResult(audit.table, audit.name, audit.severity, audit.is_key, state, remedy=audit.remedy, seconds=seconds, **found)

    began = time.perf_counter()
    for mart, reason in moment.skipped.items():
        if mart == audit.table or re.search(rf"\b{re.escape(mart)}\b", audit.query):
            return result(AuditState.SKIPPED, message=f"{mart} {reason}")
    query = audit.query.strip().rstrip(";")
    try:
        connection.execute("begin transaction read only")
        try:
            rows, examples = _found(connection, query, moment.bindings)
        finally:
            connection.execute("rollback")
    except duckdb.Error as error:
        return result(AuditState.BROKEN, message=f"{type(error).__name__}: {error}")
    return result(AuditState.FOUND if rows else AuditState.PASSED, rows=rows, examples=examples)


def _found(connection: duckdb.DuckDBPyConnection, query: str, bindings: Sequence[Mapping[str, Any]]) -> tuple[int, list[dict[str, Any]]]:
    """How many rows there are, and the first ones, in plain values."""
    (statement,) = duckdb.extract_statements(query)
    names = statement.named_parameters
    rows, examples = 0, list[dict[str, Any]]()
    for binding in bindings if names else bindings[:1]:
        bound = {name: binding[name] for name in names}
        ((count,),) = connection.execute(f"select count(*) from ({query})", bound or None).fetchall()
        rows += count
        if count and len(examples) < _EXAMPLES:
            first = connection.execute(f"select * from ({query})", bound or None)
            columns = [column[0] for column in first.description or ()]
            examples += [dict(zip(columns, map(_plain, row), strict=True)) for row in first.fetchmany(_EXAMPLES - len(examples))]
    return rows, examples


def _plain(value: Any) -> Any:
    """As JSON has it, which knows neither NaN nor infinity."""
    is_plain = value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
    return value if is_plain else str(value)
