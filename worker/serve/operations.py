"""What a running worker answers at its admin socket. More operations join by name, where the worker is put together."""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import duckdb
import pyarrow as pa

from worker.serve.admin import Operation
from worker.serve.query import Limits, run_query, run_report
from worker.serve.snapshot import Snapshot, Wanted, take_snapshot
from worker.serve.status import Status


def reading_operations(
    cursor: Callable[[], duckdb.DuckDBPyConnection], status: Callable[[], Status], limits: Limits
) -> dict[str, Operation]:
    """`query` (arguments: sql) and `report` (name, parameters) answer with rows, `status` with a Status as JSON, `tables` (snapshot.Wanted)
    with a snapshot.

    `cursor` makes a cursor of the open file.
    """

    def query(arguments: Mapping[str, Any]) -> pa.Table:
        with closing(cursor()) as connection:
            return run_query(connection, str(arguments.get("sql", "")), limits)

    def report(arguments: Mapping[str, Any]) -> pa.Table:
        with closing(cursor()) as connection:
            return run_report(connection, str(arguments["name"]), arguments["parameters"], limits)

    def snapshot(_arguments: Mapping[str, Any]) -> Any:
        return status().as_json()

    def tables(arguments: Mapping[str, Any]) -> Snapshot:
        return take_snapshot(cursor(), Wanted.of(arguments))

    return {"query": query, "report": report, "status": snapshot, "tables": tables}
