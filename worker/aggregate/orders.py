"""A batch's order versions: which are new, which stand, and what that changes among counted orders.

Most versions are of orders that are seen for the first time, once: those stand alone. Only the contested ones are ranked in SQL.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from worker.aggregate.accounting import Accounting
from worker.aggregate.membership import Mask
from worker.events import Outcome, Stream

COUNTED = pa.array(["COMPLETED", "REFUNDED"])  # the statuses that count


class Transaction(Protocol):
    """What merging orders needs of the store: rows staged under a name, and SQL files run with the transaction's parameters."""

    def stage(self, name: str, rows: pa.RecordBatch, chosen: Mask | None = None) -> None:
        """`chosen`: which of the rows are seen, shape (n,); all, where it is not said."""
        ...

    def run(self, name: str, **parameters: Any) -> None: ...
    def columns(self, name: str) -> Mapping[str, npt.NDArray[Any]]: ...


def merge_orders(tx: Transaction, rows: pa.RecordBatch, tombstones: int, accounting: Accounting) -> None:
    """Store the versions that win; what that changes among counted orders is order_change. The batch's `tombstones` are stored already.

    Leaves behind, in `tx`: incoming_order, stored_order, accepted_order (versions that were the greatest when they came), batch_order
    (those that stand), order_change.
    """
    tx.stage("incoming_order", rows)
    tx.run("batch/stored_order")
    is_moved, loses, accepted = _ranked(tx, rows, accounting)
    tx.stage("accepted_order", rows.select(["seq", "day", "partition", "offset"]).filter(pa.array(accepted)))

    counted = pc.is_in(rows["status"], COUNTED).to_numpy(zero_copy_only=False)
    counted &= ~_has(rows, tx.columns("batch/covered_order")["seq"])
    tx.stage("batch_order", rows.append_column("counted", pa.array(counted)), ~loses)
    tx.run("batch/order_change")
    if tombstones or is_moved:
        tx.run("batch/mart_dirty")
    tx.run("daily/order_current")


def _ranked(tx: Transaction, rows: pa.RecordBatch, accounting: Accounting) -> tuple[bool, Mask, Mask]:
    """Whether one names another customer than is stored; which do not stand at the end; which were the greatest when they came.

    The latter two are masks of shape (n,).
    """
    loses, accepted = np.zeros(rows.num_rows, np.bool_), np.ones(rows.num_rows, np.bool_)
    known = tx.columns("batch/known_order")
    contested = _repeated(rows["order_id"]) | _has(rows, known["seq"])
    duplicates = 0
    if contested.any():
        tx.stage("contested_order", rows.filter(pa.array(contested)))
        tx.run("batch/order_version")
        tx.run("batch/version_outcome")
        outcomes = tx.columns("batch/outcomes")
        loses = _has(rows, outcomes["seq"][~outcomes["is_winner"]])
        accepted = ~_has(rows, outcomes["seq"][~outcomes["is_accepted"]])
        duplicates = int(np.count_nonzero(outcomes["is_duplicate"]))
    refused = int(np.count_nonzero(~accepted))
    for outcome, count in (
        (Outcome.ACCEPTED, rows.num_rows - refused),
        (Outcome.DUPLICATE, duplicates),
        (Outcome.SUPERSEDED, refused - duplicates),
    ):
        accounting.add(outcome, {Stream.ORDERS: count})
    return bool(known["is_moved"].any()), loses, accepted


def _repeated(ids: pa.Array) -> Mask:
    """True where an id stands more than once, shape (n,)."""
    codes = ids.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return np.asarray(np.bincount(codes)[codes] > 1) if len(codes) else np.zeros(0, np.bool_)


def _has(rows: pa.RecordBatch, seqs: npt.NDArray[Any]) -> Mask:
    """True where a row's seq is one of these, shape (n,)."""
    return np.isin(rows["seq"].to_numpy(zero_copy_only=False), seqs)
