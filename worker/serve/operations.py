"""What a running worker answers at its admin socket. More operations join by name, where the worker is put together."""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import duckdb
import pyarrow as pa

from worker.serve.admin import Operation
from worker.serve.query import Limits, run_query, run_report
from worker.serve.status import StatusProvider


def reading_operations(cursor: Callable[[], duckdb.DuckDBPyConnection], provider: StatusProvider, limits: Limits) -> dict[str, Operation]:
    """`query` (arguments: sql) and `report` (name, parameters) answer with rows, `status` with a Status as JSON.

    `cursor` makes a cursor of the open file.
    """

    def query(arguments: Mapping[str, Any]) -> pa.Table:
        with closing(cursor()) as connection:
            return run_query(connection, str(arguments.get("sql", "")), limits)

    def report(arguments: Mapping[str, Any]) -> pa.Table:
        with closing(cursor()) as connection:
            return run_report(connection, str(arguments["name"]), arguments["parameters"], limits)

    def status(_arguments: Mapping[str, Any]) -> Any:
        return provider.status().as_json()

    return {"query": query, "report": report, "status": status}
