"""An EventBatch becomes one transaction's merges: classified as if one by one, stored, and added to every table that it changes.

What is said here in Python is the order of the statements; what each does is said in its SQL file. The transaction comes in as a
protocol, for this module stands before the store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from worker.aggregate import orders
from worker.aggregate.accounting import Accounting, Counts
from worker.aggregate.membership import Days, Hashes, Membership, mixed, repeated
from worker.events import EVENT_SCHEMAS, TOMBSTONES, EventBatch, Outcome, Stream, no_rows
from worker.tables import TABLES

__all__ = ["Accounting", "Counts", "Membership", "Merged", "Transaction", "merge", "touchpoint_hashes"]

_EPOCH = date(1970, 1, 1).toordinal()


class Transaction(orders.Transaction, Protocol):
    """What a merge needs of the store beyond what merging orders does."""

    def stage_days(self, name: str, days: Sequence[date]) -> None: ...
    def rows(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]: ...
    def days_of(self, table: str, before: date) -> list[date]:
        """The distinct days before `before` in a staged or temporary table."""
        ...


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did. `expired`: per stream, the seq and day of events of sealed days; they were not merged.

    `changed_days`: the closed days of which a daily row changed. `touchpoint_days`, `touchpoint_ids`: what Membership is to learn once
    the transaction is committed. `late`: events whose day was closed.
    """

    accounting: Accounting
    expired: Mapping[Stream, list[tuple[int, date]]]
    changed_days: list[date]
    late: Mapping[Stream, int]
    touchpoint_days: Days
    touchpoint_ids: Hashes


def touchpoint_hashes(event_uuid: pa.Array) -> Hashes:
    """Membership hashes of an event_uuid column (arrow.uuid, no nulls), shape (n,)."""
    storage = event_uuid.storage if isinstance(event_uuid, pa.ExtensionArray) else event_uuid
    words = np.frombuffer(storage.buffers()[1], ">u8", count=2 * (storage.offset + len(storage)))[2 * storage.offset :].astype(np.uint64)
    return mixed(words[0::2], words[1::2])


def merge(
    tx: Transaction,
    batch: EventBatch,
    membership: Membership,
    tables_on: frozenset[str],
    *,
    closed_before: date | None,
    sealed_before: date | None,
) -> Merged:
    """Classify, store and merge the batch within `tx`; days before `closed_before` are closed, before `sealed_before` sealed.

    Leaves behind, in `tx`: batch_day, batch_offset and changed_day, from which the days and the ledger are then kept.
    """
    accounting = Accounting.of(batch)
    live, expired = _without_expired(batch, sealed_before)
    accounting.add(Outcome.EXPIRED, {stream: len(rows) for stream, rows in expired.items()})
    _merge_dimension(tx, batch, Stream.CUSTOMERS, accounting)
    _merge_dimension(tx, batch, Stream.PRODUCTS, accounting)
    _merge_stock(tx, batch)
    tombstones = _merge_tombstones(tx, batch, Stream.ORDERS, accounting)
    orders.merge_orders(tx, live[Stream.ORDERS], tombstones, accounting)
    days, ids = _merge_touchpoints(tx, live[Stream.TOUCHPOINTS], membership, accounting)
    for name in ("batch/batch_day", "batch/batch_offset", "daily/day_offset"):
        tx.run(name)

    present = {stream for stream in Stream if accounting.read(stream)}
    merged = [name for name, table in TABLES.items() if name in tables_on and table.streams & present]
    if "daily_category" in merged or "daily_product_sales" in merged:
        tx.run("batch/order_item_change")
    for name in merged:
        tx.run(f"daily/{name}")
    changed = _changed_days(tx, [name for name in merged if TABLES[name].is_daily], closed_before, sealed_before)
    tx.stage_days("changed_day", changed)
    return Merged(
        accounting,
        expired,
        changed,
        {stream: _before(live[stream], closed_before) for stream in (Stream.ORDERS, Stream.TOUCHPOINTS)},
        days,
        ids,
    )


def _without_expired(
    batch: EventBatch, sealed_before: date | None
) -> tuple[dict[Stream, pa.RecordBatch], dict[Stream, list[tuple[int, date]]]]:
    """Orders and touchpoints of days that are not sealed, and (seq, day) of the others."""
    live: dict[Stream, pa.RecordBatch] = {}
    expired: dict[Stream, list[tuple[int, date]]] = {}
    for stream in (Stream.ORDERS, Stream.TOUCHPOINTS):
        rows = batch.events.get(stream, no_rows(EVENT_SCHEMAS[stream]))
        if _before(rows, sealed_before):
            is_expired = pc.less(rows["day"], pa.scalar(sealed_before, pa.date32()))
            gone = rows.filter(is_expired)
            expired[stream] = list(zip(gone["seq"].to_pylist(), gone["day"].to_pylist(), strict=True))
            rows = rows.filter(pc.invert(is_expired))
        live[stream] = rows
    return live, expired


def _merge_touchpoints(tx: Transaction, rows: pa.RecordBatch, membership: Membership, accounting: Accounting) -> tuple[Days, Hashes]:
    """Store the touchpoints that are new, as batch_touchpoint too; returns their days and ids for Membership."""
    ids = touchpoint_hashes(rows["event_uuid"])
    days = _epoch_days(rows)
    is_new = np.ones(len(ids), np.bool_)
    candidates = membership.maybe(days, ids) | repeated(ids)
    if candidates.any():
        tx.stage("candidate_touchpoint", rows.filter(pa.array(candidates)))
        duplicates = tx.rows("batch/touchpoint_duplicates")
        accounting.add(Outcome.DUPLICATE, {Stream.TOUCHPOINTS: len(duplicates)})
        accounting.add_conflicting(Stream.TOUCHPOINTS, sum(is_conflicting for _, is_conflicting in duplicates))
        is_new = np.isin(rows["seq"].to_numpy(zero_copy_only=False), [seq for seq, _ in duplicates], invert=True)
        days, ids = days[is_new], ids[is_new]
    accounting.add(Outcome.ACCEPTED, {Stream.TOUCHPOINTS: len(ids)})
    tx.stage("batch_touchpoint", rows, is_new)
    tx.run("daily/touchpoint")
    return days, ids


def _merge_dimension(tx: Transaction, batch: EventBatch, stream: Stream, accounting: Accounting) -> None:
    """Store the versions of customers or products that win; tombstones clear what they must, whichever comes first."""
    name = stream.removesuffix("s")
    if _merge_tombstones(tx, batch, stream, accounting):
        tx.run(f"batch/{name}_clear")
    rows = batch.events.get(stream)
    if rows is not None and rows.num_rows:
        tx.stage(f"incoming_{name}", rows)
        tx.run(f"batch/{name}_version")
        tx.run("batch/version_outcome")
        _account_versions(tx, stream, rows.num_rows, accounting)
        tx.run(f"daily/{name}")


def _merge_stock(tx: Transaction, batch: EventBatch) -> None:
    """Readings of stock count even where the product's version is superseded."""
    tx.stage("incoming_product", batch.events.get(Stream.PRODUCTS, no_rows(EVENT_SCHEMAS[Stream.PRODUCTS])))
    tx.run("daily/product_stock")


def _merge_tombstones(tx: Transaction, batch: EventBatch, stream: Stream, accounting: Accounting) -> int:
    rows = batch.tombstones.get(stream, no_rows(TOMBSTONES))
    tx.stage("incoming_tombstone", rows)
    if rows.num_rows:
        tx.run("batch/tombstone_version", stream=stream.value)
        tx.run("batch/version_outcome")
        _account_versions(tx, stream, rows.num_rows, accounting)
        tx.run("daily/tombstone", stream=stream.value)
    return int(rows.num_rows)


def _account_versions(tx: Transaction, stream: Stream, read: int, accounting: Accounting) -> int:
    """Versions that version_outcome does not name stand alone: they are accepted. Returns how many it names."""
    outcomes = {Outcome(name): count for name, count in tx.rows("batch/outcome_counts")}
    contested: int = sum(outcomes.values())
    accounting.add(Outcome.ACCEPTED, {stream: read - contested})
    for outcome, count in outcomes.items():
        accounting.add(outcome, {stream: count})
    return contested


def _changed_days(tx: Transaction, deltas: list[str], closed_before: date | None, sealed_before: date | None) -> list[date]:
    """The closed days of which one of these deltas has a row, ascending.

    A sealed day's history has ended, though readings of stock may still come.
    """
    # A first day moves to or from a day of the batch and one after it: where no day of the batch is closed, none that changes is.
    if closed_before is None or not tx.days_of("batch_day", closed_before):
        return []
    days = {day for name in deltas for day in tx.days_of(f"delta_{name}", closed_before)}
    return sorted(day for day in days if sealed_before is None or day >= sealed_before)


def _before(rows: pa.RecordBatch, day: date | None) -> int:
    """How many rows have a day before `day`."""
    if day is None or not rows.num_rows:
        return 0
    return int(np.count_nonzero(rows["day"].cast(pa.int32()).to_numpy(zero_copy_only=False) < day.toordinal() - _EPOCH))


def _epoch_days(rows: pa.RecordBatch) -> Days:
    days: Days = rows["day"].cast(pa.int32()).to_numpy(zero_copy_only=False)
    return days
