"""Every connection of this process to DuckDB, so that what goes on in it can be ended from outside, whoever has it."""

import threading
from contextlib import suppress
from weakref import WeakSet

import duckdb

_lock = threading.Lock()
_registered: WeakSet[duckdb.DuckDBPyConnection] = WeakSet()


def registered(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The same connection, which `interrupt_all` knows of from here on."""
    with _lock:
        _registered.add(connection)
    return connection


def interrupt_all() -> None:
    """What goes on just now ends with an error. A statement that begins after it does not feel it: call again until all have ended."""
    with _lock:
        connections = list(_registered)
    for connection in connections:
        with suppress(duckdb.ConnectionException):  # closed already
            connection.interrupt()
