"""Every connection of this process to DuckDB, so that what goes on in it can be ended from outside, whoever has it."""

import threading
from contextlib import suppress
from weakref import WeakKeyDictionary

import duckdb

INTERRUPT_SECONDS = 0.05  # between two interrupts: a statement that begins after one does not feel it

_lock = threading.Lock()
_registered: WeakKeyDictionary[duckdb.DuckDBPyConnection, threading.Thread] = WeakKeyDictionary()  # and who has opened it


def registered(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The same connection, which `interrupt_all` knows of from here on."""
    with _lock:
        _registered[connection] = threading.current_thread()
    return connection


def interrupt_all(thread: threading.Thread | None = None) -> None:
    """What goes on just now, on connections that this thread (None: any) has opened, ends with an error.

    A statement that begins after it does not feel it: call again until all have ended.
    """
    with _lock:
        connections = [connection for connection, opener in _registered.items() if thread in (None, opener)]
    for connection in connections:
        with suppress(duckdb.ConnectionException):  # closed already
            connection.interrupt()
