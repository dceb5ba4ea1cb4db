"""A copy of the file: written table by table, checked against its source, and put in the place of one that was lost.

Beside a backup stands its manifest, FILE.manifest.json: what it holds, as of which commit, and the sums that it is checked by.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from worker.config import Store
from worker.errors import StoreError
from worker.store.database import connect, lock_down
from worker.store.reader import open_reader

log = structlog.get_logger(__name__)

ROW_HASH = "row_hash"  # the column with the hash of its row that goes along with the rows of a table
_HASHES = 2**64
_TOLD_ROWS = 1_000_000  # so that who waits sees that it goes on


@dataclass(frozen=True, slots=True)
class TableRows:
    """The rows of one table in pieces; the last column, ROW_HASH, is the hash of the others."""

    name: str
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


class Facts(BaseModel):
    """What is told of a copy; it can be written as JSON."""

    model_config = ConfigDict(frozen=True)


class TableSum(Facts):
    """Rows of a table, and the sum of their hashes in hexadecimal: the same in any order of rows, and with one version of DuckDB."""

    rows: int
    checksum: str

    @classmethod
    def of(cls, rows: int, hashes: int) -> "TableSum":
        return cls(rows=rows, checksum=f"{hashes % _HASHES:016x}")


class Definitions(Facts):
    """What makes a file's tables: the next value of each sequence, the statements that create tables, views and macros."""

    sequences: dict[str, int]
    tables: list[str]
    views: list[str]
    macros: list[str] = []


class Manifest(Facts):
    """What a backup holds, and what it is checked by. `duckdb_version`: the one that the checksums of tables were made with."""

    tidemark_version: str
    duckdb_version: str
    created_at: datetime
    commit_id: int
    watermark: datetime | None
    closed_before: date | None
    reporting_time_zone: str
    reporting_currency: str
    is_pseudonymised: bool
    bytes: int
    sha256: str
    tables: dict[str, TableSum]


def columns(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Per table and view its stored columns in order, each with its type; generated columns are left out."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(
        "select table_name, column_name, data_type from duckdb_columns() where database_name = current_database() "
        "and schema_name = 'main' and not internal and not is_generated order by table_name, column_index"
    ).fetchall():
        found.setdefault(table, {})[column] = kind
    return found


def definitions(connection: duckdb.DuckDBPyConnection) -> Definitions:
    """As they are in the open file."""
    sequences = "select sequence_name, coalesce(last_value + increment_by, start_value) from duckdb_sequences() where not temporary"
    tables = "select sql from duckdb_tables() where not internal and not temporary order by table_name"
    views = "select sql from duckdb_views() where not internal and not temporary order by view_oid"
    macros = (
        """select format('create macro {}("{}") as table {}', function_name, array_to_string(parameters, '", "'), macro_definition) """
        "from duckdb_functions() where function_type = 'table_macro' and not internal order by function_name"
    )
    return Definitions(
        sequences=dict(connection.execute(sequences).fetchall()),
        tables=[sql for (sql,) in connection.execute(tables).fetchall()],
        views=[sql for (sql,) in connection.execute(views).fetchall()],
        macros=[sql for (sql,) in connection.execute(macros).fetchall()],
    )


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, until `put_in_place` gives it that name; it is gone at the end, also after a failure.

    Raises StoreError where `path` is there already, and for what goes wrong with the disk meanwhile.
    """
    for taken in (path, Path(f"{path}.wal")):
        if taken.exists():
            raise StoreError(f"{taken} is there already, and is not overwritten", "Move it away, or choose another path.")
    temporary = path.with_name(f"{path.name}.{os.getpid()}.creating")
    _remove(temporary)
    try:
        yield temporary
    except (OSError, duckdb.Error) as error:
        remedy = "Nothing was left under that name. Check its directory, the permissions, and the free space of the disk."
        raise StoreError(f"{path} can't be written: {error}", remedy) from error
    finally:
        _remove(temporary)


def write(path: Path, settings: Store, made_by: Definitions, tables: Iterable[TableRows]) -> None:
    """A new file at `path` with those tables and their rows, in the order in which they come. Raises StoreError, duckdb.Error."""
    with closing(connect(path, settings)) as connection:
        lock_down(connection)
        connection.execute("begin")
        for name, start in made_by.sequences.items():
            connection.execute(f'create sequence "{name}" start {start}')
        for sql in made_by.tables:
            connection.execute(sql)
        stored = columns(connection)
        for table in tables:
            rows = _fill(connection, table, stored[table.name])
            if rows > _TOLD_ROWS:
                log.info("table_copied", table=table.name, rows=rows)
        connection.execute("commit")
        connection.execute("create schema definition")
        _create_views(connection, made_by.views)
        for sql in made_by.macros:
            connection.execute(sql)
        connection.execute("checkpoint")  # close() would do it too, but say nothing where the disk is full


def _fill(connection: duckdb.DuckDBPyConnection, table: TableRows, stored: Iterable[str]) -> int:
    """Returns how many rows there were."""
    names = ", ".join(f'"{name}"' for name in stored)
    rows = 0
    for batch in table.batches:
        connection.register("piece", batch)
        connection.execute(f'insert into "{table.name}" ({names}) select {names} from piece')
        connection.unregister("piece")
        rows += batch.num_rows
    return rows


def _create_views(connection: duckdb.DuckDBPyConnection, views: Iterable[str]) -> None:
    """A view may stand on another, and the catalogue's order does not say which: those that can't be made yet come again."""
    waiting = list(views)
    while waiting:
        failed: dict[str, duckdb.CatalogException] = {}
        for sql in waiting:
            try:
                connection.execute(sql)
            except duckdb.CatalogException as error:
                failed[sql] = error
        if len(failed) == len(waiting):
            raise failed.popitem()[1]
        waiting = list(failed)


def check(path: Path, settings: Store, sums: Mapping[str, TableSum], duckdb_version: str) -> None:
    """Compare every table of the file with its sum; of another version of DuckDB, which hashes otherwise, the rows alone.

    Raises StoreError where one differs, or the file can't be read.
    """
    with closing(open_reader(path, settings, of_any_age=True)) as connection:
        stored = columns(connection)
        try:
            found = {table: _sum(connection, table, stored[table]) for table in sums if table in stored}
        except duckdb.Error as error:
            raise StoreError(f"{path} can't be read: {error}", "It is damaged: take another backup.") from error
    is_same_version = duckdb_version == duckdb.__version__
    wrong = [table for table, sum_ in sums.items() if not _agree(found.get(table), sum_, is_same_version)]
    if wrong:
        raise StoreError(f"{path}: these tables are not what was copied: {', '.join(sorted(wrong))}", "Take another backup.")


def _sum(connection: duckdb.DuckDBPyConnection, table: str, stored: Iterable[str]) -> TableSum:
    names = ", ".join(f'"{name}"' for name in stored)
    sums = connection.execute(f'select count(*), coalesce(sum(hash(t)), 0) from (select {names} from "{table}") as t').fetchall()
    return TableSum.of(*sums[0])


def _agree(found: TableSum | None, expected: TableSum, is_same_version: bool) -> bool:
    return found == expected if is_same_version or found is None else found.rows == expected.rows


def sha256(path: Path) -> str:
    """Of the file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_path(backup: Path) -> Path:
    """Where the manifest of a backup stands."""
    return Path(f"{backup}.manifest.json")


def publish(temporary: Path, backup: Path, manifest: Manifest) -> None:
    """Give a backup its name, with its manifest. A kill leaves either no file of that name or both. Raises StoreError, OSError."""
    prepared = manifest_path(temporary)
    try:
        prepared.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        _sync(prepared)
        prepared.replace(manifest_path(backup))  # of the backup that is to come: its name is given last
    finally:
        prepared.unlink(missing_ok=True)
    put_in_place(temporary, backup)


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a whole file its name. Raises StoreError where another has that name meanwhile, OSError."""
    _sync(temporary)
    try:
        os.link(temporary, path)  # unlike a rename, never takes the place of another file
    except FileExistsError:
        raise StoreError(f"{path} has come into being meanwhile, and is left as it is", "Choose another path.") from None
    _sync(path.parent)


def read_manifest(backup: Path) -> Manifest:
    """Raises StoreError where there is none."""
    path = manifest_path(backup)
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no manifest of a backup"
        raise StoreError(f"{path} can't be read: {why}", "A backup is two files, FILE and FILE.manifest.json: copy both.") from None


def restore(backup: Path, path: Path, settings: Store) -> Manifest:
    """Put a copy of the backup at `path`, checked byte by byte and table by table. Returns what it holds.

    Raises StoreError: there is a file already, the backup is not as it was written, the disk is full.
    """
    manifest = read_manifest(backup)
    if not backup.is_file():
        raise StoreError(f"there is no backup {backup}, only its manifest", "Copy both files.")
    with new_file(path) as temporary:
        shutil.copyfile(backup, temporary)
        if sha256(temporary) != manifest.sha256:
            raise StoreError(f"{backup} is not as it was written: its sha256 is not {manifest.sha256}", "Take another backup.")
        check(temporary, settings, manifest.tables, manifest.duckdb_version)
        put_in_place(temporary, path)
    return manifest


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(temporary: Path) -> None:
    for leftover in (temporary, Path(f"{temporary}.wal")):
        leftover.unlink(missing_ok=True)
    shutil.rmtree(f"{temporary}.tmp", ignore_errors=True)  # what DuckDB spilled
