"""A foreign layout read by one SELECT, in a DuckDB of its own that sees the archive's directory and nothing else."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from worker.errors import ArchiveError, ConfigError
from worker.store.connections import registered
from worker.store.database import lock_down

_WRAPS = 1 << 64


class MappedBatch(NamedTuple):
    """Some rows of the result. `checksum` is that of all rows up to their end."""

    first_row: int
    rows: pa.RecordBatch
    checksum: int


class MappedQuery:
    """One SELECT over the files of a directory; in its text getvariable('archive') is the directory.

    One thread, insertion order and UTC: the same files give the same rows in the same order. That it is so is checked where a reading is
    resumed, for a text may still ask for random() or now().
    """

    def __init__(self, sql: str, name: str, directory: Path, memory_limit: str) -> None:
        """`name` is what errors call it. Raises ConfigError: not exactly one SELECT, or DuckDB refuses it."""
        self._name = name
        select = _one_select(sql, name)
        with ExitStack() as opened:
            spill = opened.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-"))
            self._connection = opened.enter_context(_connect(directory, spill, memory_limit))
            try:
                self._connection.execute(f"create view mapping as {select}")
                self._relation = self._connection.sql("select hash(tidemark_row) as tidemark_hash, * from mapping as tidemark_row")
            except duckdb.Error as error:
                raise ConfigError(f"{name}: {error}") from None
            self.schema: pa.Schema = self._relation.limit(0).to_arrow_table().schema.remove(0)
            self._opened = opened.pop_all()

    def batches(self, first_row: int, checksum: int, max_rows: int) -> Iterator[MappedBatch]:
        """The result from `first_row` on; `checksum` is that of the rows before it, as it was when they were read.

        Raises ArchiveError: DuckDB can't read on, or the rows before are not those of that time.
        """
        row, found = 0, 0
        try:
            for batch in self._relation.to_arrow_reader(max_rows):
                before = max(0, min(first_row - row, len(batch)))
                for some in (batch.slice(0, before), batch.slice(before)):
                    if row == first_row and found != checksum:
                        raise self._changed(first_row)
                    found = (found + _checksum(some.column(0), row)) % _WRAPS
                    row += len(some)
                    if row > first_row:
                        yield MappedBatch(row - len(some), some.drop_columns(["tidemark_hash"]), found)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise ArchiveError(f"{self._name}: after row {row:,} (counted from 0): {error}", "Mend the SELECT or the files.") from None
        if row < first_row or (row == first_row and found != checksum):
            raise self._changed(first_row)

    def close(self) -> None:
        """May be called twice."""
        self._opened.close()

    def _changed(self, first_row: int) -> ArchiveError:
        return ArchiveError(
            f"{self._name}: the first {first_row:,} rows are not those that were merged before",
            "The SELECT must give the same rows in the same order each time, with the same DuckDB. Start anew: what is in is recognised.",
        )


def _checksum(hashes: pa.Array, first_row: int) -> int:
    """Of rows by their hashes and places; that of several batches is the sum."""
    places = np.arange(first_row + 1, first_row + 1 + len(hashes), dtype=np.uint64)
    return int(np.sum(hashes.to_numpy() * places, dtype=np.uint64))


def _one_select(sql: str, name: str) -> str:
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise ConfigError(f"{name}: {error}") from None
    if len(statements) != 1 or statements[0].type is not duckdb.StatementType.SELECT:
        kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
        raise ConfigError(f"{name} holds {kinds}", "A mapping is exactly one SELECT.")
    return statements[0].query


def _connect(directory: Path, spill: str, memory_limit: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "memory_limit": memory_limit,
            "temp_directory": spill,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    registered(connection).execute("set timezone = 'UTC'")
    connection.execute("set allowed_directories = $directories", {"directories": [str(directory)]})
    # Relative paths would be looked for in the working directory too: so the directory has a name instead.
    connection.execute("set variable archive = $directory", {"directory": str(directory)})
    lock_down(connection)
    return connection
