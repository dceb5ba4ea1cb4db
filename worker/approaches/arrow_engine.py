"""The computations in Python over Arrow record batches: each batch is made smaller by itself, then once more what is left of all."""

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from worker.approaches.rows import COUNTED, DAILY, KEYS, MEASURES, ORDER_KEY, SUMS, TOUCHPOINT_KEY, VERSION

BATCH_ROWS = 100_000


class ArrowEngine:
    """See batch.Engine."""

    name = "Arrow"

    def staged_touchpoints(self, raw: pa.Table, staged_keys: pa.Table) -> pa.Table:
        once = _distinct(pa.concat_tables(_distinct(batch) for batch in _batches(raw)))
        return once.join(staged_keys, list(TOUCHPOINT_KEY), join_type="left anti")

    def staged_orders(self, raw: pa.Table, staged: pa.Table) -> pa.Table:
        return _greatest(pa.concat_tables(_greatest(batch, ORDER_KEY) for batch in _batches(raw, staged)), ORDER_KEY)

    def staged_tombstones(self, raw: pa.Table, staged: pa.Table) -> pa.Table:
        key = ("order_id",)
        return _greatest(pa.concat_tables(_greatest(batch, key) for batch in _batches(raw, staged)), key)

    def daily_reach(self, touchpoints: pa.Table) -> pa.Table:
        return _daily("daily_reach", map(_reached, _batches(touchpoints)))

    def daily_sales(self, orders: pa.Table, tombstones: pa.Table) -> pa.Table:
        return _daily("daily_sales", (_sold(batch, tombstones) for batch in _batches(orders)))


def _batches(*tables: pa.Table) -> Iterator[pa.Table]:
    """The tables in pieces of one record batch each; an empty table is one without rows."""
    for table in tables:
        for start in range(0, max(len(table), 1), BATCH_ROWS):
            yield table.slice(start, BATCH_ROWS)


def _distinct(rows: pa.Table) -> pa.Table:
    """Copies of an event are alike."""
    return rows.group_by(rows.column_names).aggregate([])


def _greatest(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """The greatest version of each key."""
    if not len(rows):
        return rows
    ordered = rows.sort_by([(name, "ascending") for name in (*key, *VERSION)]).combine_chunks()
    changes = (pc.not_equal(ordered[name].slice(0, len(rows) - 1), ordered[name].slice(1)) for name in key)
    return ordered.filter(pa.chunked_array([*reduce(pc.or_, changes).chunks, pa.array([True])]))


def _reached(touchpoints: pa.Table) -> pa.Table:
    cost = pc.fill_null(touchpoints["cost_cents"], 0)
    return touchpoints.drop_columns("cost_cents").append_column("cost_cents", cost).append_column("touchpoints", _ones(touchpoints))


def _sold(orders: pa.Table, tombstones: pa.Table) -> pa.Table:
    """The orders that count, their sums named as in daily_sales."""
    erased = tombstones.rename_columns({name: f"erased_{name}" for name in VERSION})
    joined = orders.filter(pc.is_in(orders["status"], pa.array(COUNTED))).join(erased, "order_id")
    same_time = pc.equal(joined["updated_at"], joined["erased_updated_at"])
    is_later = pc.or_(
        pc.greater(joined["updated_at"], joined["erased_updated_at"]),
        pc.and_(same_time, pc.greater(joined["offset"], joined["erased_offset"])),
    )
    counted = joined.filter(pc.fill_null(is_later, True))
    names = [*KEYS["daily_sales"], "customer_id"]
    columns = {name: counted[name] for name in names} | {name: counted[of_order] for of_order, name in SUMS.items()}
    columns |= {name: pc.fill_null(columns[name], "(none)") for name in ("customer_segment", "region", "country")}
    return pa.table(columns | {"orders": _ones(counted)})


def _ones(rows: pa.Table) -> pa.Array:
    return pa.repeat(1, len(rows))


def _daily(table: str, batches: Iterable[pa.Table]) -> pa.Table:
    """Sums by customer first, for these add up over batches; then by the table's key, each customer counted once."""
    key = list(KEYS[table])
    sums = [name for name in MEASURES[table] if name != "customers"]
    of_customer = [*key, "customer_id"]
    by_customer = _summed(pa.concat_tables(_summed(batch, of_customer, sums) for batch in batches), of_customer, sums)
    totals = by_customer.group_by(key).aggregate([("customer_id", "count"), *((name, "sum") for name in sums)])
    names = {"customer_id_count": "customers"} | {f"{name}_sum": name for name in sums}
    return totals.rename_columns([names.get(name, name) for name in totals.column_names]).select(DAILY[table].names)


def _summed(rows: pa.Table, key: list[str], sums: list[str]) -> pa.Table:
    totals = rows.group_by(key).aggregate([(name, "sum") for name in sums])
    return totals.rename_columns([name.removesuffix("_sum") for name in totals.column_names])
