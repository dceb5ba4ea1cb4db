"""The DuckDB file: created at a temporary path and renamed, opened by one process, migrated."""

import hashlib
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import duckdb

from worker import __version__
from worker.config import Settings, Store, size_bytes
from worker.errors import ConfigError, OutOfMemory, StoreError
from worker.resources import sql_dir, sql_text
from worker.store.connections import registered
from worker.store.retention import NOT_SEALED
from worker.tables import TABLES

# Files that 1.5 clients can read too: analysts open them with what they have.
_STORAGE_VERSION = "v1.5.0"

# Rows of a full row group. Those that one commit fills go to the file at once, compressed; only what is left over goes through the
# write-ahead log, to be written a second time by a checkpoint. At DuckDB's 122,880 hardly a batch fills one.
ROW_GROUP = 16_384

LEAST_PER_THREAD = 125_000_000  # bytes of memory, by DuckDB's own advice

_CATALOG = "tidemark"  # the name of the file in SQL
_SEALED_BEFORE = "coalesce((select sealed_before from progress), date '0001-01-01')"


def open_database(settings: Settings, now: datetime) -> duckdb.DuckDBPyConnection:
    """The worker's connection to the file, created if it is not there, migrated, locked down to this file alone.

    Raises StoreError (held by another process, not a tidemark file, newer than this version, not writable) and ConfigError (the file
    was created with another reporting time zone or currency).
    """
    path = settings.store.path
    if not path.exists():
        _create(settings, now)
    connection = connect(path, settings.store)
    try:
        with told(path):
            _check_ours(connection, path)
            migrate(connection, now)
            _check_fixed_settings(connection, settings)
            _define(connection)
            lock_down(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def connect(path: Path, settings: Store) -> duckdb.DuckDBPyConnection:
    """Open the file for writing, with the memory and threads that the settings allow. Raises StoreError."""
    try:
        connection = duckdb.connect(
            config={
                "memory_limit": settings.memory_limit,
                "threads": settings.threads,
                "checkpoint_threshold": settings.checkpoint_threshold,
                "storage_compatibility_version": _STORAGE_VERSION,
                "preserve_insertion_order": False,
                "arrow_lossless_conversion": True,
                "temp_directory": f"{path}.tmp",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        # The size of row groups can be told to ATTACH alone.
        registered(connection).execute(f"attach {quoted(path)} as {_CATALOG} (row_group_size {ROW_GROUP})")
        connection.execute(f"use {_CATALOG}")
        return connection
    except duckdb.IOException as error:
        if "Could not set lock" in str(error):
            raise StoreError(
                f"{path} is held by another process: {holder(str(error))}",
                "One worker per file. Stop the other one, or ask it: tidemark status, tidemark query",
            ) from error
        raise StoreError(f"{path} can't be opened: {error}", "Check that it is a tidemark file, its permissions, and the disk.") from error
    except duckdb.Error as error:
        raise StoreError(f"{path} can't be opened: {error}", "Is it a tidemark file? A damaged one is restored from a backup.") from error


def with_all_cores(settings: Store) -> Store:
    """The same for who has the file alone, with no stream to decode beside it: DuckDB has all cores that its memory is enough for."""
    memory = size_bytes(settings.memory_limit, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    threads = min(os.cpu_count() or 1, memory // LEAST_PER_THREAD)
    return settings.model_copy(update={"threads": max(settings.threads, threads)})


def cursor(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Another connection to the same file, for another thread, or for reading beside a transaction."""
    other = registered(connection.cursor())  # of the same instance, but not in the same file
    try:
        file = "select database_name from duckdb_databases() where path is not null and not internal"
        for (catalog,) in other.execute(file).fetchall():
            other.execute(f'use "{catalog}"')
    except BaseException:
        other.close()
        raise
    return other


def quoted(path: Path) -> str:
    """A path as a literal: ATTACH takes no parameter."""
    return "'" + str(path).replace("'", "''") + "'"


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing: commits when the block ends, rolls back on any exception, which is raised."""
    connection.execute("begin")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        # After a commit that failed there is no transaction any more, and a file may be beyond use: the error under way tells.
        with suppress(duckdb.Error):
            connection.execute("rollback")
        raise


def drop_temporary(connection: duckdb.DuckDBPyConnection) -> None:
    """Free the temporary tables of an ended transaction. Replaced in the next one, they would stay in memory until its end."""
    for (name,) in connection.execute("select table_name from duckdb_tables() where temporary").fetchall():
        connection.execute(f'drop table temp."{name}"')


@contextmanager
def told(path: Path) -> Iterator[None]:
    """DuckDB's errors as a user is told of them (see store_error)."""
    try:
        yield
    except duckdb.Error as error:
        raise store_error(error, path) from error


def store_error(error: duckdb.Error, path: Path) -> Exception:
    """What a user can act upon becomes a StoreError; a wrong statement is a bug and stays what it is."""
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return OutOfMemory(f"{path}: DuckDB ran out of memory: {text}", "Raise store.memory_limit, or lower batch.max_messages.")
    # A commit that can't be written is a TransactionException.
    if isinstance(error, duckdb.IOException | duckdb.FatalException | duckdb.TransactionException):
        remedy = (
            "Free disk space, then start the worker again." if "space" in text.lower() else "Check the disk, then start the worker again."
        )
        return StoreError(f"{path} can't be written: {text}", f"{remedy} Nothing of the batch was committed.")
    return error


def lock_down(connection: duckdb.DuckDBPyConnection) -> None:
    """From here on no statement, of no cursor, reaches another file, loads an extension, reads a Python variable or changes a setting."""
    connection.execute("set global python_enable_replacements = false")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def migrate(connection: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """Bring the file to this version's tables, one transaction a migration. Raises StoreError where the file is newer, or not ours."""
    known = sorted(path.stem for path in (sql_dir() / "migrations").glob("*.sql"))
    applied = _applied(connection)
    if applied - set(known):
        raise StoreError(
            f"the file was written by a newer tidemark: it has {', '.join(sorted(applied - set(known)))}",
            f"This is tidemark {__version__}. Install the newer version again, or restore a backup made before it.",
        )
    for name in known:
        if name not in applied:
            with transaction(connection):
                connection.execute(sql_text(f"migrations/{name}"))
                connection.execute("insert into schema_migration values ($name, $now)", {"name": name, "now": now})


def _applied(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {name for (name,) in connection.execute("select name from schema_migration").fetchall()}


def _check_ours(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    try:
        connection.execute("from schema_migration limit 0")
    except duckdb.CatalogException:
        raise StoreError(
            f"{path} is a DuckDB file, but not one of tidemark's", "Choose another path: store.path in the configuration."
        ) from None


def _create(settings: Settings, now: datetime) -> None:
    """A kill in the first writes of a new DuckDB file leaves one that can't be opened: so elsewhere first, then linked to its name."""
    path = settings.store.path
    temporary = path.with_name(f"{path.name}.{os.getpid()}.creating")
    _remove(temporary)
    try:
        connection = connect(temporary, settings.store)
        try:
            connection.execute("create table schema_migration (name varchar not null, applied_at timestamp not null)")
            migrate(connection, now)
            fixed = {
                **_fixed_settings(settings),
                "created_at": now.isoformat(),
                "file_id": str(uuid.uuid4()),
                "tidemark_version": __version__,
            }
            connection.executemany("insert into file_setting values (?, ?)", list(fixed.items()))
            connection.execute("insert into progress (commit_id) values (0)")
            connection.executemany("insert into table_switch values (?, ?)", [(name, name in settings.tables_on) for name in TABLES])
            connection.execute("checkpoint")  # close() would do it too, but say nothing where the disk is full: an empty file
        finally:
            connection.close()
        os.link(temporary, path)  # unlike a rename, never takes the place of a file that another worker just made
    except FileExistsError as error:
        raise StoreError(
            f"another worker has just created {path}", "One worker per file: start this one with another store.path."
        ) from error
    except (OSError, duckdb.Error) as error:
        raise StoreError(f"{path} can't be created: {error}", "Check that its directory exists, its permissions, and the disk.") from error
    finally:
        _remove(temporary)


def _remove(temporary: Path) -> None:
    for leftover in (temporary, Path(f"{temporary}.wal")):
        leftover.unlink(missing_ok=True)


def _fixed_settings(settings: Settings) -> Mapping[str, str]:
    return {"reporting_time_zone": settings.time.reporting_time_zone, "reporting_currency": settings.reporting_currency}


def _check_fixed_settings(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    stored = dict(connection.execute("select name, value from file_setting").fetchall())
    others = [
        f"{settings.store.path} was created with {name} {stored.get(name)}, the configuration says {value}"
        for name, value in _fixed_settings(settings).items()
        if stored.get(name) != value
    ]
    if others:
        remedy = "That is fixed when the file is created: days or money would be mixed. Set it back, or start a new file: store.path."
        raise ConfigError("\n".join(others), remedy)


def _define(connection: duckdb.DuckDBPyConnection) -> None:
    """The defining SELECT of each table stands in the file as a view, definition.<table>: for verify, and to be read. And macros.

    Only where they are others than the file has, for it takes a start 50 ms: definition.fingerprint says which those are.
    """
    views = [f"create or replace view definition.{name} as {sql_text(f'definitions/{name}')}" for name in TABLES]
    macros = [sql_text(f"macros/{path.stem}") for path in sorted((sql_dir() / "macros").glob("*.sql"))]
    digest = hashlib.sha256("\n".join(views + macros).encode()).hexdigest()
    with suppress(duckdb.CatalogException):
        if connection.execute("select sha256 from definition.fingerprint").fetchone() == (digest,):
            return
    with transaction(connection):
        connection.execute("create schema if not exists definition")
        for statement in (*views, *macros, f"create or replace view definition.fingerprint as select '{digest}' as sha256"):
            connection.execute(statement)


def holder(message: str) -> str:
    """Who holds a file, of DuckDB's message that it is locked: it stands after 'Conflicting lock is held in'."""
    _, found, rest = message.partition("held in ")
    return rest.split(". ")[0] if found else message


def rebuild_switched(connection: duckdb.DuckDBPyConnection, tables_on: frozenset[str]) -> list[str]:
    """Bring the tables in line with what is switched on: one that was off is rebuilt from the rows, one that goes off is emptied.

    Rows of sealed days stay as they are. One transaction. Returns the names of the tables that changed.
    """
    was_on = dict(connection.execute("select name, is_on from table_switch").fetchall())
    changed = [name for name in TABLES if was_on.get(name, False) != (name in tables_on)]
    if not changed:
        return []
    with transaction(connection):
        for name in changed:
            rebuild(connection, name) if name in tables_on else _empty(connection, name, _switched_off(name))
        connection.execute("delete from table_switch")
        connection.executemany("insert into table_switch values (?, ?)", [(name, name in tables_on) for name in TABLES])
    return changed


def rebuild(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Fill one table from its definition, on days that are not sealed; within the caller's transaction."""
    connection.execute(f"create or replace temp table rebuilt as from definition.{table}")
    _empty(connection, table, _unsealed(table))
    connection.execute(f"insert into {table} by name from rebuilt {_unsealed(table)}")
    connection.execute("drop table rebuilt")
    connection.execute(sql_text("state/all_dirty"))


def _empty(connection: duckdb.DuckDBPyConnection, table: str, which: str) -> None:
    connection.execute(f"delete from {table} {which}")


def _unsealed(table: str) -> str:
    """customer_first has no day (its definition keeps firsts on sealed days); dimensions are not sealed."""
    return "" if table in {"customer_first", *NOT_SEALED} else f"where day >= {_SEALED_BEFORE}"


def _switched_off(table: str) -> str:
    """Nobody else knows who came first on a sealed day."""
    return f"where first_active_day >= {_SEALED_BEFORE}" if table == "customer_first" else _unsealed(table)
