"""How commands read: through the worker that holds the file, else from the file."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pyarrow as pa

from worker.config import Settings
from worker.serve.admin import NoWorker, ask, ask_snapshot
from worker.serve.query import Limits, run_query, run_report
from worker.serve.snapshot import Snapshot, Wanted, take_snapshot
from worker.store.reader import open_reader

_SECONDS_OF_GRACE = 30.0  # the worker ends a query by its own limit; this is for the way there and back


def query_rows(settings: Settings, sql: str) -> pa.Table:
    """The rows of one SELECT. Raises QueryError, StoreError, Unavailable."""
    try:
        return ask(settings.admin_socket, "query", {"sql": sql}, settings.serve.query_seconds + _SECONDS_OF_GRACE)
    except NoWorker:
        with closing(open_reader(settings.store.path, settings.store)) as connection:
            return run_query(connection, sql, Limits.of(settings.serve))


def report_rows(settings: Settings, name: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
    """The rows of sql/reports/<name>.sql; parameters are what JSON has (days and times as text, to be cast in the SQL).

    Raises QueryError, StoreError, Unavailable.
    """
    given = parameters or {}
    try:
        arguments = {"name": name, "parameters": given}
        return ask(settings.admin_socket, "report", arguments, settings.serve.query_seconds + _SECONDS_OF_GRACE)
    except NoWorker:
        with closing(open_reader(settings.store.path, settings.store)) as connection:
            return run_report(connection, name, given, Limits.of(settings.serve))


def snapshot(settings: Settings, wanted: Wanted) -> Snapshot:
    """All rows of many tables as of one commit; to be closed. Raises ConfigError, StoreError, Unavailable."""
    try:
        return ask_snapshot(settings.admin_socket, wanted)
    except NoWorker:
        return take_snapshot(open_reader(settings.store.path, settings.store, of_any_age=True), wanted)
