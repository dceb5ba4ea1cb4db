"""The file opened to be read alone, where no worker holds it."""

from pathlib import Path

import duckdb

from worker.config import Store
from worker.errors import StoreError
from worker.resources import sql_dir
from worker.store.connections import registered
from worker.store.database import holder, lock_down


def open_reader(path: Path, settings: Store, *, spill: bool = False, of_any_age: bool = False) -> duckdb.DuckDBPyConnection:
    """A read-only connection, locked down to this file alone, with the memory and threads that the settings allow.

    `spill`: what does not fit into memory may go to a directory beside the file; else nothing is written. `of_any_age`: an older version
    may have written it, and some tables may not be there yet.

    Raises StoreError: no such file, held by another process, not a tidemark file, written by another version.
    """
    require_file(path)
    connection = _connect(path, settings, f"{path}.tmp" if spill else "")
    try:
        _check_version(connection, path, of_any_age=of_any_age)
        lock_down(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def require_file(path: Path) -> None:
    """Raises StoreError where there is none: who only looks, or repairs, must not make one."""
    if not path.is_file():
        raise StoreError(f"there is no file {path}", "Name it: --set store.path=FILE, or store.path in the configuration.")


def _connect(path: Path, settings: Store, temp_directory: str) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | int | bool | float | list[str]] = {
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
        "arrow_lossless_conversion": True,
        "temp_directory": temp_directory,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        return registered(duckdb.connect(str(path), read_only=True, config=config))
    except duckdb.Error as error:
        message = str(error)
        if "Could not set lock" in message:
            remedy = (
                "If it is a worker: query and status ask it through its admin socket (is serve.admin_socket the same here as there?), "
                "verify needs it stopped."
            )
            raise StoreError(f"{path} is held by another process: {holder(message)}", remedy) from None
        raise StoreError(f"{path} can't be read: {message}", "Is it a tidemark file, and may this user read it?") from None


def _check_version(connection: duckdb.DuckDBPyConnection, path: Path, *, of_any_age: bool) -> None:
    if connection.execute("select 1 from duckdb_tables() where table_name = 'schema_migration'").fetchone() is None:
        raise StoreError(f"{path} is a DuckDB file, but not one of tidemark's", "Name another: --set store.path=FILE")
    known = {migration.stem for migration in (sql_dir() / "migrations").glob("*.sql")}
    applied = {name for (name,) in connection.execute("select name from schema_migration").fetchall()}
    if newer := sorted(applied - known):
        raise StoreError(f"{path} was written by a newer tidemark: it has {', '.join(newer)}", "Read it with that version.")
    if not of_any_age and (older := sorted(known - applied)):
        remedy = "The worker brings it up to date when it starts: tidemark run --exit-at-end"
        raise StoreError(f"{path} was written by an older tidemark: it lacks {', '.join(older)}", remedy)
