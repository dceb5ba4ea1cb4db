"""The columns of events that follow from the others: day and hour, the id of a touchpoint, the sums of an order."""

from collections.abc import Mapping
from typing import TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from worker.decode.calendar import ReportingZone
from worker.decode.cursor import Ints, SmallInts
from worker.decode.ids import uuid_and_text
from worker.events import EVENT_SCHEMAS, Stream

Counts: TypeAlias = NDArray[np.int32]
_Number = TypeVar("_Number", np.int64, np.float64)

_UNREPRESENTABLE = int(np.iinfo(np.int64).max)  # in place of a sum beyond 64 bits; validate.faults tells
_DAY_OF = {Stream.TOUCHPOINTS: "occurred_at", Stream.ORDERS: "ordered_at", Stream.PRODUCTS: "updated_at"}


def derived(stream: Stream, columns: pa.RecordBatch, zone: ReportingZone) -> dict[str, pa.Array]:
    """The columns of EVENT_SCHEMAS[stream] but those of the origin, by name, from the columns of the reader schema."""
    arrays = dict(zip(columns.schema.names, columns.columns, strict=True))
    if stream in _DAY_OF:
        days, hours = zone.day_and_hour(arrays[_DAY_OF[stream]].view(pa.int64()).to_numpy())
        arrays["day"] = pa.array(days).view(pa.date32())
        arrays["hour"] = pa.array(hours)
    if stream is Stream.TOUCHPOINTS:
        arrays["event_uuid"], arrays["event_text"] = uuid_and_text(arrays["event_id"])
    if stream is Stream.ORDERS:
        arrays |= _order_sums(arrays)
    return {name: arrays[name] for name in EVENT_SCHEMAS[stream].names if name in arrays}


def _order_sums(order: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """The derived columns of an order, exactly; where its values are beyond the contract's limits, anything or _UNREPRESENTABLE."""
    counts = pc.list_value_length(order["items"]).to_numpy()
    items = order["items"].flatten()
    quantity = items.field("quantity").to_numpy().astype(np.int64)
    unit_cost = items.field("unit_cost_cents")
    has_no_cost = unit_cost.is_null().to_numpy(zero_copy_only=False)
    gross = _sums(quantity, items.field("unit_price_cents").to_numpy(), counts)
    item_discount = _sums(np.ones_like(quantity), items.field("discount_cents").to_numpy(), counts)
    discount_total = np.where(item_discount == _UNREPRESENTABLE, item_discount, item_discount + order["discount_cents"].to_numpy())
    sums = {
        "units": _exact_sums(quantity, counts),
        "gross_cents": gross,
        "discount_total_cents": discount_total,
        "net_cents": gross - discount_total - order["refunded_cents"].to_numpy(),
        "cost_cents": _sums(quantity, unit_cost.fill_null(0).to_numpy(), counts),
        "units_without_cost": _exact_sums(quantity * has_no_cost, counts),
    }
    return {name: pa.array(values) for name, values in sums.items()}


def _sums(factor: Ints, values: Ints, counts: Counts) -> Ints:
    """The sum of factor * value over each row's `counts` values; _UNREPRESENTABLE where it may not fit 64 bits."""
    sums = _exact_sums(factor * values, counts)
    if _greatest(factor) * _greatest(values) * _greatest(counts) <= _UNREPRESENTABLE:
        return sums
    about = _exact_sums(np.abs(factor.astype(np.float64) * values), counts)
    return np.where(about > _UNREPRESENTABLE / 2, _UNREPRESENTABLE, sums)


def _greatest(values: SmallInts) -> int:
    """The greatest magnitude."""
    return max(-int(values.min(initial=0)), int(values.max(initial=0)))


def _exact_sums(values: NDArray[_Number], counts: Counts) -> NDArray[_Number]:
    """The sum over each row's `counts` values, modulo 2^64."""
    sums = np.zeros(len(counts), values.dtype)
    filled = counts > 0
    if len(values):
        sums[filled] = np.add.reduceat(values, (np.cumsum(counts) - counts)[filled])
    return sums
