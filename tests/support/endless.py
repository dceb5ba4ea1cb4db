"""A query that does not end by itself."""

import threading
from collections.abc import Iterator

import duckdb
import pyarrow as pa


def run_endless(connection: duckdb.DuckDBPyConnection, begun: threading.Event) -> None:
    """Until it is interrupted; `begun` is set once it goes on, and not before."""

    def rows() -> Iterator[pa.RecordBatch]:
        begun.set()
        yield pa.record_batch({"a": [1]})

    connection.register("one", pa.RecordBatchReader.from_batches(pa.schema({"a": pa.int64()}), rows()))
    connection.execute("select sum(a * b.range * c.range) from one, range(10000000) b, range(10000000) c")
