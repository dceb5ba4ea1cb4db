"""The computations in SQL: sql/approaches/, in a DuckDB without tables of its own."""

import pyarrow as pa

from worker.approaches.rows import DAILY, ORDER, TOMBSTONE, TOUCHPOINT
from worker.store.scratch import open_scratch
from worker.store.sql import arrow


class SqlEngine:
    """See batch.Engine."""

    name = "SQL"

    def __init__(self) -> None:
        self._connection = open_scratch()

    def staged_touchpoints(self, raw: pa.Table, staged_keys: pa.Table) -> pa.Table:
        return self._select("staged_touchpoint", TOUCHPOINT, raw_touchpoint=raw, staged_touchpoint_key=staged_keys)

    def staged_orders(self, raw: pa.Table, staged: pa.Table) -> pa.Table:
        return self._select("staged_order", ORDER, raw_order=raw, staged_order=staged)

    def staged_tombstones(self, raw: pa.Table, staged: pa.Table) -> pa.Table:
        return self._select("staged_tombstone", TOMBSTONE, raw_tombstone=raw, staged_tombstone=staged)

    def daily_reach(self, touchpoints: pa.Table) -> pa.Table:
        return self._select("daily_reach", DAILY["daily_reach"], staged_touchpoint=touchpoints)

    def daily_sales(self, orders: pa.Table, tombstones: pa.Table) -> pa.Table:
        return self._select("daily_sales", DAILY["daily_sales"], staged_order=orders, staged_tombstone=tombstones)

    def _select(self, name: str, schema: pa.Schema, **given: pa.Table) -> pa.Table:
        """The rows of sql/approaches/<name>.sql, which reads what is given and nothing else."""
        for table, rows in given.items():
            self._connection.register(table, rows)
        try:
            return arrow(self._connection, f"approaches/{name}", {}).read_all().select(schema.names).cast(schema)
        finally:
            for table in given:
                self._connection.unregister(table)
