"""A DuckDB of its own for passing computations: in memory, without a file, with nothing of the worker's."""

import duckdb


def open_scratch() -> duckdb.DuckDBPyConnection:
    """An empty database on one thread, as the worker's own; what is staged in it goes when it is closed."""
    return duckdb.connect(":memory:", config={"threads": 1, "autoinstall_known_extensions": False, "autoload_known_extensions": False})
