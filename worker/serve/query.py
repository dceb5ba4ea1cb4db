"""One SELECT, safely: nothing can be written, no other file read, no setting changed; rows, bytes and time are limited.

The connection's instance must be locked down (store.database.lock_down): that keeps files and settings out of reach, its memory_limit
bounds the memory. Here the rest: one statement, of a kind that only reads, in a read-only transaction, on a connection of its own.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from worker.config import Serve
from worker.errors import ConfigError, ExitCode, TidemarkError
from worker.resources import sql_dir
from worker.store.sql import statements

# Table functions that read tables, values or the catalogue. Others act (checkpoint), reach outside (read_csv, should the lock-down ever
# leak), or run SQL that was not looked at (query).
_TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "repeat", "json_each", "json_tree", "summary"}) | {
    *("pragma_table_info", "pragma_version", "pragma_database_size", "pragma_storage_info"),
    *("duckdb_columns", "duckdb_functions", "duckdb_memory", "duckdb_schemas", "duckdb_settings", "duckdb_tables", "duckdb_views"),
}
_LOCKED = {"enable_external_access": False, "lock_configuration": True, "python_enable_replacements": False}
_ROWS_AT_ONCE = 2_048  # of DuckDB's vectors: with wider rows, less is held before a limit is noticed
_BIND = "explain "  # first without running it: only so do errors tell their place
_MIB = 1024 * 1024


class QueryError(TidemarkError):
    """The query is refused, wrong, or beyond a limit."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may take. bytes: of its result, as Arrow."""

    seconds: float
    rows: int
    bytes: int = 256 * _MIB

    @classmethod
    def of(cls, settings: Serve) -> "Limits":
        """As configured."""
        return cls(settings.query_seconds, settings.query_rows)


def run_query(connection: duckdb.DuckDBPyConnection, sql: str, limits: Limits) -> pa.Table:
    """The rows of one SELECT (WITH, FROM, VALUES, DESCRIBE, SHOW and SUMMARIZE are SELECTs too), as of the last commit.

    The connection is the caller's own, with no transaction under way. Columns have DuckDB's types in Arrow; `rows.plain_rows` makes them
    readable. Raises QueryError: not exactly one such statement, SQL that is wrong (with its position), a limit reached.
    """
    _require_lock_down(connection)
    with _reading(connection, limits):
        query = _checked(connection, sql)
        connection.execute(f"{_BIND}{query}")
        return _fetched(connection, query, {}, limits)


def run_report(connection: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, Any], limits: Limits) -> pa.Table:
    """The rows of sql/reports/<name>.sql, one SELECT, bound to those of the parameters that it names; else as `run_query`.

    Raises QueryError, ConfigError (no such report, a parameter is missing).
    """
    if re.fullmatch(r"[a-z_]+", name) is None or not (sql_dir() / "reports" / f"{name}.sql").is_file():
        raise ConfigError(f"there is no report {name!r}")
    ((statement, names),) = statements(connection, f"reports/{name}")
    if missing := sorted(names - parameters.keys()):
        raise ConfigError(f"the report {name} needs {', '.join(missing)}")
    with _reading(connection, limits):
        return _fetched(connection, statement, {parameter: parameters[parameter] for parameter in names}, limits)


@contextmanager
def _reading(connection: duckdb.DuckDBPyConnection, limits: Limits) -> Iterator[None]:
    """A read-only transaction, which sees one commit, and has so much time."""
    connection.execute("begin transaction read only")
    try:
        with _time_limit(connection, limits.seconds):
            yield
    except duckdb.Error as error:
        raise _query_error(error, limits) from None
    finally:
        with suppress(duckdb.Error):  # a file that is beyond use, or closed: the error under way tells
            connection.execute("rollback")


def _query_error(error: duckdb.Error, limits: Limits) -> QueryError:
    if isinstance(error, duckdb.InterruptException):
        return QueryError(f"the query took longer than {limits.seconds:g} s", "Ask for less, or raise serve.query_seconds.")
    if isinstance(error, duckdb.OutOfMemoryException):
        first_line = str(error).partition("\n")[0]
        return QueryError(f"the query needs more memory than there is: {first_line}", "Ask for less, or raise store.memory_limit.")
    # The place of an error is shown as in the SQL that was asked.
    return QueryError(re.sub(f"LINE 1: {_BIND}(.*\n) {{{len(_BIND)}}}", r"LINE 1: \1", str(error)))


def _require_lock_down(connection: duckdb.DuckDBPyConnection) -> None:
    for name, value in _LOCKED.items():
        setting = connection.execute("select current_setting($name)", {"name": name}).fetchone()
        if setting != (value,):
            raise RuntimeError(f"queries need an instance that is locked down: {name} is {setting}")


def _checked(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    statements = duckdb.extract_statements(sql)
    if len(statements) != 1:
        raise QueryError(f"{len(statements)} statements were given", "Ask one SELECT at a time.")
    kind, query = statements[0].type, statements[0].query
    if kind is not duckdb.StatementType.SELECT:
        remedy = "Only what reads is allowed: SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW TABLES, SUMMARIZE."
        raise QueryError(f"this is a statement of kind {kind.name}, not a SELECT", remedy)
    refused = set(_table_functions(_syntax_tree(connection, query))) - _TABLE_FUNCTIONS
    if refused:
        raise QueryError(f"{', '.join(sorted(refused))}: not allowed in a query", "Read tables and views; SHOW TABLES lists them.")
    return query


def _syntax_tree(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = connection.execute("select json_serialize_sql($query)", {"query": query}).fetchone()
    assert row is not None
    try:
        tree = json.loads(row[0])
    except RecursionError:
        raise QueryError("the query is nested too deeply") from None
    if tree["error"]:
        raise QueryError(f"the query can't be checked: {tree['error_message']}", "Write it as a plain SELECT.")
    return tree


def _table_functions(tree: Any) -> Iterator[str]:
    rest = [tree]
    while rest:
        node = rest.pop()
        if isinstance(node, dict):
            if node.get("type") == "TABLE_FUNCTION":
                yield node["function"]["function_name"]
            rest += node.values()
        elif isinstance(node, list):
            rest += node


def _fetched(
    connection: duckdb.DuckDBPyConnection, query: str | duckdb.Statement, parameters: Mapping[str, Any], limits: Limits
) -> pa.Table:
    """Read batch by batch, so that a result beyond the limits is never held. (Other ways to Arrow build it whole, outside memory_limit.)"""
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    with connection.sql(query, params=dict(parameters) or None).to_arrow_reader(_ROWS_AT_ONCE) as reader:
        for batch in reader:
            batches.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if rows > limits.rows:
                raise QueryError(f"the result has more than {limits.rows:,} rows", "Add a LIMIT, or raise serve.query_rows.")
            if size > limits.bytes:
                raise QueryError(f"the result is larger than {limits.bytes // _MIB} MiB", "Ask for fewer columns or rows.")
        return pa.Table.from_batches(batches, reader.schema)


@contextmanager
def _time_limit(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    done = threading.Event()

    def watch() -> None:
        if not done.wait(seconds):
            connection.interrupt()
            while not done.wait(0.05):  # again: one that falls between two statements is lost
                connection.interrupt()

    watcher = threading.Thread(target=watch, name="query-time-limit", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
