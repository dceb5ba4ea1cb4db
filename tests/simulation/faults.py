"""What can go wrong while a batch is committed, as a stand-in for the store's connection."""

import shutil
from pathlib import Path
from typing import Any

import duckdb


class Killed(BaseException):
    """The process ended here. What it left behind is a copy of its file."""


class FaultyConnection:
    """A DuckDB connection that fails at the n-th statement from now.

    Without `survivor` the statement fails as on a bad disk. With it, the process is killed there: `survivor` is where the file and
    its write-ahead log are copied to, as a kill would leave them; `is_done`: the statement is still carried out.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, statements: int, survivor: Path | None, file: Path, is_done: bool) -> None:
        self._connection = connection
        self._statements = statements
        self._survivor = survivor
        self._file = file
        self._is_done = is_done

    def execute(self, query: Any, parameters: Any = None) -> Any:
        self._statements -= 1
        if self._statements == 0 and query != "rollback":
            self._fail(query, parameters)
        self._connection.execute(query, parameters)
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def _fail(self, query: Any, parameters: Any) -> None:
        if self._survivor is None:
            raise duckdb.IOException("No space left on device (simulated)")
        if self._is_done:
            self._connection.execute(query, parameters)
        copy_file(self._file, self._survivor)
        raise Killed


def copy_file(file: Path, to: Path) -> None:
    """A DuckDB file with its write-ahead log."""
    shutil.copyfile(file, to)
    log, log_copy = Path(f"{file}.wal"), Path(f"{to}.wal")
    if log.exists():
        shutil.copyfile(log, log_copy)
