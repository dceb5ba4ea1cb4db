"""All rows of many tables as of one commit, in pieces: what backup and export are made of.

They are read in one read-only transaction on a cursor of its own, beside the worker or from the closed file. While it is open the worker
commits on, but can't move its write-ahead log into the file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import duckdb
import pyarrow as pa
from pydantic import Field, ValidationError

from worker import __version__
from worker.errors import ConfigError, StoreError
from worker.serve import pseudonyms
from worker.serve.status import Moment
from worker.store.backup import ROW_HASH, Definitions, Facts, TableRows, TableSum, columns, definitions

_ROWS_AT_ONCE = 250_000  # sorted by day in one go, unless one day has more: what bounds the memory
_DAYS_AT_ONCE = 1_000  # an export writes a file of each before it reads on, and the worker that sends them waits for it
_PIECE_ROWS = 100_000


class Types(StrEnum):
    """How values are handed over. STORED: as the file has them. PORTABLE: as other programs read them; touchpoints have their event_id
    alone. FLAT: portable, and what is nested is JSON in text.
    """

    STORED = "stored"
    PORTABLE = "portable"
    FLAT = "flat"


class Wanted(Facts):
    """What a snapshot is to hold. `tables`: names of tables and views, None: all tables; `if_there`: more, which may be missing. Of those
    that have a `day`, the rows from `first` to `last`; in those that are `whole` it is a column like others. `key`: of pseudonyms, in
    hexadecimal (see `pseudonyms`); None: ids as they are.
    """

    tables: tuple[str, ...] | None = None
    if_there: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None
    types: Types = Types.STORED
    key: str | None = Field(None, repr=False)

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "Wanted":
        """Raises ConfigError."""
        try:
            return cls.model_validate(arguments)
        except ValidationError as error:
            raise ConfigError(f"no such snapshot: {error.errors(include_input=False, include_url=False)}") from None


class DayState(Facts):
    """One row of day_state."""

    day: date
    is_open: bool
    is_sealed: bool
    revision: int | None


class Head(Facts):
    """What a snapshot is a snapshot of."""

    tidemark_version: str
    duckdb_version: str
    reporting_time_zone: str
    reporting_currency: str
    commit_id: int
    committed_at: Moment | None
    watermark: Moment | None
    closed_before: date | None
    sealed_before: date | None
    days: list[DayState]
    definitions: Definitions


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Tables to be read once, in order, each to its end; then `sums` has its rows. `close` ends the transaction."""

    head: Head
    tables: Iterator[TableRows]
    sums: dict[str, TableSum]
    close: Callable[[], None]


def take_snapshot(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> Snapshot:
    """Of the file as last committed. The connection is the snapshot's own from here on, closed with it.

    Raises ConfigError where there is no such table, StoreError where the file can't be read; the latter also while tables are read.
    """
    try:
        with _told("the file"):
            connection.execute("begin transaction read only")
            head = _head(connection, wanted)
            stored = columns(connection)
            names = _all_tables(connection) if wanted.tables is None else [*wanted.tables, *(n for n in wanted.if_there if n in stored)]
        if missing := [name for name in names if name not in stored]:
            raise ConfigError(f"there is no table {', '.join(missing)}", "tidemark query 'show tables' lists them.")
        sums: dict[str, TableSum] = {}
        tables = (_rows(connection, name, stored[name], wanted, sums) for name in names)
        return Snapshot(head, tables, sums, connection.close)
    except BaseException:
        connection.close()
        raise


def summed(table: str, batches: Iterator[pa.RecordBatch], sums: dict[str, TableSum]) -> Iterator[pa.RecordBatch]:
    """The same batches; at their end the sum of their rows stands in `sums`."""
    rows = hashes = 0
    for batch in batches:
        rows += batch.num_rows
        hashes += int(batch.column(ROW_HASH).to_numpy().sum())  # of unsigned 64-bit numbers: it wraps around, as the sum does
        yield batch
    sums[table] = TableSum.of(rows, hashes)


def _head(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> Head:
    settings = dict(connection.execute("select name, value from file_setting").fetchall())
    progress = connection.execute("select commit_id, committed_at, watermark, closed_before, sealed_before from progress").fetchall()
    ((commit_id, committed_at, watermark, closed_before, sealed_before),) = progress
    days = connection.execute(
        "select day, is_open, is_sealed, revision from day_state where day between $first and $last order by day",
        {"first": wanted.first or date.min, "last": wanted.last or date.max},
    ).fetchall()
    return Head(
        tidemark_version=__version__,
        duckdb_version=duckdb.__version__,
        reporting_time_zone=settings["reporting_time_zone"],
        reporting_currency=settings["reporting_currency"],
        commit_id=commit_id,
        committed_at=committed_at,
        watermark=watermark,
        closed_before=closed_before,
        sealed_before=sealed_before,
        days=[DayState(day=day, is_open=is_open, is_sealed=sealed, revision=revision) for day, is_open, sealed, revision in days],
        definitions=definitions(connection),
    )


def _all_tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    found = connection.execute("select table_name from duckdb_tables() where not internal and not temporary order by table_name")
    return [name for (name,) in found.fetchall()]


def _marts(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The tables of marts, of a file that is old enough not to know of any: none."""
    if "mart_state" not in _all_tables(connection):
        return set()
    return {name for (name,) in connection.execute("select mart from mart_state").fetchall()}


def _rows(
    connection: duckdb.DuckDBPyConnection, table: str, stored: Mapping[str, str], wanted: Wanted, sums: dict[str, TableSum]
) -> TableRows:
    has_day = stored.get("day") == "DATE" and table not in wanted.whole
    select = _select(table, stored, wanted)
    key = {"key": bytes.fromhex(wanted.key)} if wanted.key else {}

    def batches() -> Iterator[pa.RecordBatch]:
        if wanted.key and pseudonyms.is_emptied(table, _marts(connection)):
            return
        rows = 0
        for where, days in _pieces(connection, table, wanted) if has_day else [("", {})]:
            for batch in _read(connection, f"{select} {where}", {**days, **key}):
                rows += batch.num_rows
                yield batch
        if rows != (expected := _count(connection, table, wanted if has_day else Wanted())):
            raise StoreError(f"of table {table} {rows} rows were read, and there are {expected}", "Run tidemark verify.")

    with _told(f"table {table}"), _reader(connection, f"{select} limit 0", key) as no_rows:
        schema = no_rows.schema
    return TableRows(table, schema, summed(table, _each_told(table, batches()), sums))


def _count(connection: duckdb.DuckDBPyConnection, table: str, wanted: Wanted) -> int:
    """Rows of the days wanted; without days, by the table's own count."""
    where, days = _within(wanted)
    ((count,),) = connection.execute(f'select count(*) from "{table}" {where}', days).fetchall()
    return int(count)


def _within(wanted: Wanted) -> tuple[str, dict[str, date | None] | None]:
    return ("where day between $first and $last", {"first": wanted.first, "last": wanted.last}) if wanted.first else ("", None)


def _select(table: str, stored: Mapping[str, str], wanted: Wanted) -> str:
    """The table's columns as they are wanted, by way of a row `t`, whose hash comes last."""
    expressions = {name: _expression(table, name, kind, wanted) for name, kind in stored.items()}
    if wanted.types is not Types.STORED and {"event_uuid", "event_text"} <= stored.keys():
        del expressions["event_uuid"], expressions["event_text"]
        expressions["event_id"] = "event_id"
    listed = ", ".join(f'{expression} as "{name}"' for name, expression in expressions.items())
    return f'select *, hash(t) as {ROW_HASH} from (select {listed} from "{table}") as t'


def _expression(table: str, column: str, kind: str, wanted: Wanted) -> str:
    if wanted.key and (pseudonym := pseudonyms.expression(table, column)):
        return pseudonym
    quoted = f'"{column}"'
    if wanted.types is Types.STORED:
        return quoted
    if kind == "HUGEINT":
        return f"cast({quoted} as decimal(38, 0))"
    if kind == "UUID":
        return f"cast({quoted} as varchar)"
    is_nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP"))
    return f"cast(to_json({quoted}) as varchar)" if is_nested and wanted.types is Types.FLAT else quoted


def _pieces(connection: duckdb.DuckDBPyConnection, table: str, wanted: Wanted) -> Iterator[tuple[str, dict[str, date]]]:
    """Conditions that together all wanted rows fulfil, by ranges of days, ascending; each of one day, or of few enough rows and days.

    At last, if all days are wanted, rows whose day is null: a mart of the user's may have such.
    """
    where, days = _within(wanted)
    counts = connection.execute(f'select day, count(*) from "{table}" {where} group by day order by day nulls last', days).fetchall()
    piece: list[date] = []
    rows = 0
    for day, count in counts:
        if piece and (day is None or rows + count > _ROWS_AT_ONCE or len(piece) == _DAYS_AT_ONCE):
            yield _condition(piece)
            piece, rows = [], 0
        if day is None:
            yield "where day is null", {}
        else:
            piece.append(day)
            rows += count
    if piece:
        yield _condition(piece)


def _condition(days: Sequence[date]) -> tuple[str, dict[str, date]]:
    low, high = days[0], days[-1]
    return "where day = $low" if low == high else "where day between $low and $high order by day", {"low": low, "high": high}


def _read(connection: duckdb.DuckDBPyConnection, select: str, parameters: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    with _reader(connection, select, parameters) as reader:
        yield from reader


def _reader(connection: duckdb.DuckDBPyConnection, select: str, parameters: Mapping[str, Any]) -> pa.RecordBatchReader:
    """Bound to those of the parameters that it names. In pieces: other ways to Arrow build the result whole."""
    (statement,) = duckdb.extract_statements(select)
    named = {name: parameters[name] for name in statement.named_parameters}
    return connection.sql(statement, params=named or None).to_arrow_reader(_PIECE_ROWS)


def _each_told(table: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    with _told(f"table {table}"):
        yield from batches


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except duckdb.ConversionException as error:
        raise StoreError(f"{what} can't be exported: {error}", "A sum does not fit into 38 digits: run tidemark verify.") from error
    except duckdb.OutOfMemoryException as error:
        raise StoreError(f"{what} can't be read: {error}", "Raise store.memory_limit.") from error
    except (duckdb.Error, pa.ArrowInvalid, OSError) as error:
        raise StoreError(f"{what} can't be read: {error}", "A damaged file is restored from a backup: tidemark restore.") from error
