"""A store that counts what its commits read of the stored rows. The merges are the worker's own; they are looked at, not changed.

Each statement is counted in two ways. `found`: the stored rows that it finds by key, whole. `scanned`: what a warehouse with a partition
a day would bill for it, the columns it names of all rows from the first to the last day that it looks at. (DuckDB itself reads row groups
of up to 122,880 rows, in memory; days are what all approaches can be held to.) Rows are counted as the commit leaves them, so what it
added itself is among the scanned. The bookkeeping is left out: position, days, offsets, ledger, some rows a commit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from worker.aggregate.membership import Hashes
from worker.approaches.stopwatch import Stopwatch
from worker.approaches.tables import Reads, logical_bytes
from worker.config import Settings
from worker.store import Store, Transaction
from worker.store.sql import arrow

_BYTES_OF_AN_ID = 8 + 2 + 16  # its day, and 16 bytes with their length
_NEWEST = "day >= (select max(day) - 1 from candidate_touchpoint)"


@dataclass(frozen=True, slots=True)
class Reading:
    """sql/<statement>.sql reads these `columns` of a stored table, of the rows `where` it looks.

    What it finds: the rows of sql/approaches/found/<table>.sql by key, all that it looks at, or what is known by then. `kept_in`: where
    these rows still are at the end of the commit, if not in the table.
    """

    statement: str
    table: str
    columns: str = "*"
    where: str = ""
    finds: Literal["by key", "all", "known"] = "by key"
    kept_in: str = ""


def _days_of(rows: str) -> str:
    return f"where day between (select min(day) from {rows}) and (select max(day) from {rows})"


READINGS = (
    Reading("batch/touchpoint_duplicates", "touchpoint", "day, event_uuid", _days_of(f"candidate_touchpoint where {_NEWEST}")),
    Reading(
        "batch/touchpoint_duplicates", "touchpoint", "day, event_uuid", _days_of(f"candidate_touchpoint where not {_NEWEST}"), finds="known"
    ),
    Reading(  # what was found is then read whole, to be compared
        "batch/touchpoint_duplicates",
        "touchpoint",
        "* exclude (event_id)",
        "where rowid in (select stored_rowid from stored_touchpoint)",
        finds="known",
    ),
    Reading("batch/stored_order", "order_current", "day, order_id", _days_of("incoming_order")),
    Reading(  # a tombstone names no day: it is looked for in all
        "batch/stored_order", "order_current", "order_id", "where exists (from incoming_tombstone)", finds="known"
    ),
    Reading(  # what was found is then read whole; the commit has replaced it by now
        "batch/stored_order", "order_current", "* exclude (stored_rowid)", finds="known", kept_in="stored_order"
    ),
    Reading("batch/tombstone_version", "tombstone"),
    Reading("batch/covered_order", "tombstone"),
    Reading("batch/order_change", "tombstone"),
    Reading("daily/tombstone", "tombstone"),
    Reading(  # is it new?
        "daily/customer_channel_day", "customer_channel_day", "day, channel, customer_id", _days_of("delta_customer_channel_day")
    ),
    Reading(  # the merge, of row numbers that are known by then
        "daily/customer_channel_day", "customer_channel_day", "touchpoints, cost_cents", _days_of("delta_customer_channel_day")
    ),
    Reading(
        "daily/customer_sales_day",
        "customer_sales_day",
        "day, currency, customer_segment, region, country, customer_id, orders",
        _days_of("delta_customer_sales_day"),
    ),
    Reading("daily/customer_sales_day", "customer_sales_day", "orders, units, net_cents", _days_of("delta_customer_sales_day")),
    Reading("daily/daily_sales", "daily_sales", where=_days_of("delta_daily_sales")),
    Reading("daily/daily_reach", "daily_reach", where=_days_of("delta_daily_reach")),
)


class CountingStore(Store):
    """Tells `found` and `scanned` what each commit reads; `watch` is paused meanwhile."""

    def __init__(self, settings: Settings, now: datetime, watch: Stopwatch, found: Reads, scanned: Reads) -> None:
        super().__init__(settings, now)
        self._watch, self._found, self._scanned = watch, found, scanned

    @contextmanager
    def transaction(self, *arguments: Any, **named: Any) -> Iterator[Transaction]:
        """See Store.transaction. Counted before the commit, while all that the statements made is still there."""
        with super().transaction(*arguments, **named) as tx:
            yield tx
            with self._watch.paused():
                for reading in READINGS:
                    if reading.statement in tx.seconds:
                        self._count(reading)

    def load_touchpoint_ids(self, day: int) -> Iterator[Hashes]:
        """See Store.load_touchpoint_ids: a day that the filter in memory does not hold is read."""
        for ids in super().load_touchpoint_ids(day):
            for reads in (self._found, self._scanned):
                reads.add("touchpoint", len(ids), len(ids) * _BYTES_OF_AN_ID)
            yield ids

    def _count(self, reading: Reading) -> None:
        rows = self._connection.sql(f"select {reading.columns} from {reading.kept_in or reading.table} {reading.where}").to_arrow_table()
        self._scanned.add(reading.table, len(rows), _size(rows))
        if reading.finds == "by key":
            rows = arrow(self._connection, f"approaches/found/{reading.table}", {}).read_all()
        if reading.finds != "known":
            self._found.add(reading.table, len(rows), _size(rows))


def _size(rows: pa.Table) -> int:
    return sum(map(logical_bytes, rows.columns))
