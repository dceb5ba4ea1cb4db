"""Named SQL: the statements of a file under sql/, each with the names of its parameters."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from worker.resources import sql_text

_PIECE_ROWS = 100_000


@cache
def statements(name: str) -> tuple[tuple[duckdb.Statement, frozenset[str]], ...]:
    """The statements of sql/<name>.sql in order, parsed (a third of what a small one costs): each with the names of its parameters."""
    return tuple((statement, frozenset(statement.named_parameters)) for statement in duckdb.extract_statements(sql_text(name)))


def run(connection: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """Run all statements of sql/<name>.sql; each is bound to those of the parameters that it names. Returns the last one's result."""
    for statement, names in statements(name):
        connection.execute(statement, {parameter: parameters[parameter] for parameter in names})
    return connection


def arrow(connection: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, Any]) -> pa.RecordBatchReader:
    """The rows of the one SELECT of sql/<name>.sql, in pieces."""
    ((statement, names),) = statements(name)
    return connection.sql(statement, params={parameter: parameters[parameter] for parameter in names}).to_arrow_reader(_PIECE_ROWS)
