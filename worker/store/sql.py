"""Named SQL: the statements of a file under sql/."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa

from worker.resources import sql_text

_PIECE_ROWS = 100_000


Statements: TypeAlias = tuple[tuple[duckdb.Statement, frozenset[str]], ...]  # each with the names of its parameters

_parsed: dict[str, Statements] = {}


def statements(connection: duckdb.DuckDBPyConnection, name: str) -> Statements:
    """The statements of sql/<name>.sql in order. They are parsed once, which is a third of what a small one costs, for all connections."""
    if name not in _parsed:
        found = connection.extract_statements(sql_text(name))  # duckdb.extract_statements would open a database of its own, for 50 ms
        _parsed[name] = tuple((statement, frozenset(statement.named_parameters)) for statement in found)
    return _parsed[name]


def run(connection: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """Run all statements of sql/<name>.sql; each is bound to those of the parameters that it names. Returns the last one's result."""
    for statement, names in statements(connection, name):
        connection.execute(statement, {parameter: parameters[parameter] for parameter in names})
    return connection


def arrow(connection: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, Any]) -> pa.RecordBatchReader:
    """The rows of the one SELECT of sql/<name>.sql, in pieces."""
    ((statement, names),) = statements(connection, name)
    return connection.sql(statement, params={parameter: parameters[parameter] for parameter in names}).to_arrow_reader(_PIECE_ROWS)
