"""Named SQL: the statements of a file under sql/, each with the names of its parameters."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from worker.resources import sql_text

_PIECE_ROWS = 100_000


@cache
def statements(name: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """The statements of sql/<name>.sql in order: (text, names of its parameters)."""
    return tuple((s.query, frozenset(s.named_parameters)) for s in duckdb.extract_statements(sql_text(name)))


def run(connection: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """Run all statements of sql/<name>.sql; each is bound to those of the parameters that it names. Returns the last one's result."""
    for text, names in statements(name):
        connection.execute(text, {parameter: parameters[parameter] for parameter in names})
    return connection


def arrow(connection: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, Any]) -> pa.RecordBatchReader:
    """The rows of the one SELECT of sql/<name>.sql, in pieces."""
    ((text, names),) = statements(name)
    return connection.sql(text, params={parameter: parameters[parameter] for parameter in names}).to_arrow_reader(_PIECE_ROWS)
