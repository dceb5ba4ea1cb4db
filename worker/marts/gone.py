"""Marts whose definition is gone, their file or what they were like: their tables stay as they were, until they are dropped."""

from collections.abc import Set as AbstractSet

import duckdb

from worker.config.settings import did_you_mean
from worker.errors import ConfigError
from worker.marts.refresh import states
from worker.store.database import transaction
from worker.store.sql import run


def drop(connection: duckdb.DuckDBPyConnection, name: str, marts: AbstractSet[str]) -> None:
    """Forget a mart that is gone: its table or view, what its rows stood for, its runs, what its audits found. `marts`: all that are not.

    Raises ConfigError where it is defined, or was never asked for.
    """
    if name in marts:
        raise ConfigError(f"mart {name} is defined", "Take its file out of marts.directory, start the worker again, and drop it then.")
    with transaction(connection):
        gone = {mart for (mart,) in connection.execute("select mart from mart_run").fetchall()} - marts
        if name not in gone:
            raise ConfigError(f"there is no mart {name} that is gone{did_you_mean(name, gone)}", "tidemark marts list says which are.")
        if name in states(connection):  # else it never had a table: one of that name is not its own
            connection.execute(f'drop {_kind(connection, name)} "{name}"')
        run(connection, "refresh/forget_mart", {"mart": name})


def _kind(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    views = "select view_name from duckdb_views() where database_name = current_database() and schema_name = 'main'"
    return "view" if (name,) in connection.execute(views).fetchall() else "table"
