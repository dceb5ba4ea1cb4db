"""The contract's limits, checked on columns of events, whatever these were read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from worker.decode.calendar import EARLIEST
from worker.decode.cursor import Ints
from worker.decode.reasons import Reason
from worker.events import Stream

MAX_AMOUNT = 10**12  # of any money, in minor units, and of a stock
MAX_QUANTITY = 10**6
MAX_TOTAL = 10**15  # of an order's gross, and of its cost
MAX_DISCOUNT_TOTAL = 10**18  # the contract has no limit, but 64 bits have
MAX_SCORE = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that breaks a limit."""

    row: int
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class _Limit:
    """What a column's values, where there are any, must be within; of texts, their length. A path with a dot is a field of the items."""

    path: str
    below: Reason
    above: Reason
    low: int
    high: int | None  # None: the greatest time that is accepted


def _not_empty(*paths: str) -> list[_Limit]:
    return [_Limit(path, Reason.EMPTY_ID, Reason.EMPTY_ID, 1, 1 << 31) for path in paths]


def _times(*paths: str) -> list[_Limit]:
    return [_Limit(path, Reason.TOO_EARLY, Reason.IN_FUTURE, EARLIEST, None) for path in paths]


def _within(reason: Reason, low: int, high: int, *paths: str) -> list[_Limit]:
    return [_Limit(path, reason, reason, low, high) for path in paths]


# In this order: the first that a row breaks is its reason.
_LIMITS: Mapping[Stream, Sequence[_Limit]] = {
    Stream.TOUCHPOINTS: [
        *_not_empty("event_text", "session_id", "customer_id", "product_id"),
        *_times("occurred_at"),
        *_within(Reason.BAD_AMOUNT, 0, MAX_AMOUNT, "cost_cents"),
        *_within(Reason.BAD_SCORE, 1, MAX_SCORE, "review_score"),
    ],
    Stream.ORDERS: [
        *_not_empty("order_id", "customer_id", "items.product_id"),
        *_times("ordered_at", "updated_at"),
        *_within(Reason.BAD_QUANTITY, 0, MAX_QUANTITY, "items.quantity"),
        *_within(Reason.BAD_AMOUNT, 0, MAX_AMOUNT, "discount_cents", "tax_cents", "shipping_cents", "refunded_cents"),
        *_within(Reason.BAD_AMOUNT, 0, MAX_AMOUNT, "items.unit_price_cents", "items.discount_cents", "items.unit_cost_cents"),
        *_within(Reason.BAD_TOTAL, 0, MAX_TOTAL, "gross_cents", "cost_cents"),
        *_within(Reason.BAD_TOTAL, 0, MAX_DISCOUNT_TOTAL, "discount_total_cents"),
    ],
    Stream.CUSTOMERS: [*_not_empty("customer_id", "customer_unique_id"), *_times("updated_at")],
    Stream.PRODUCTS: [
        *_not_empty("product_id"),
        *_times("updated_at"),
        *_within(Reason.BAD_AMOUNT, 0, MAX_AMOUNT, "unit_cost_cents", "stock_level"),
    ],
}


_WRITTEN_AS = {"event_text": "event_id"}  # where the field has another name in the message


def faults(stream: Stream, events: Mapping[str, pa.Array], latest: int) -> list[Fault]:
    """The rows that break a limit, ascending, each with the first one it breaks.

    `events` are the columns of EVENT_SCHEMAS[stream] by name; `latest` is the greatest time that is accepted, in UTC micros.
    """
    found: dict[int, Fault] = {}
    for limit in _LIMITS[stream]:
        parent, _, field = limit.path.partition(".")
        column = events[parent].flatten().field(field) if field else events[parent]
        values, high = _numbers(column, limit.low), latest if limit.high is None else limit.high
        if not len(values) or (values.min() >= limit.low and values.max() <= high):
            continue
        broken = np.flatnonzero((values < limit.low) | (values > high))
        rows = pc.list_parent_indices(events[parent]).to_numpy()[broken] if field else broken
        for row, value in zip(rows.tolist(), values[broken].tolist(), strict=True):
            reason = limit.below if value < limit.low else limit.above
            name = _WRITTEN_AS.get(limit.path, limit.path)
            found.setdefault(row, Fault(row, reason, f"{name} is {_broken(column.type, value, limit.low, high)}"))
    return [found[row] for row in sorted(found)]


def _numbers(column: pa.Array, null: int) -> Ints:
    """What is compared with the limits, `null` in place of nulls."""
    if pa.types.is_string(column.type):
        column = pc.binary_length(column)
    if pa.types.is_timestamp(column.type):
        column = column.view(pa.int64())
    numbers: Ints = (column.fill_null(null) if column.null_count else column).to_numpy()
    return numbers


def _broken(kind: pa.DataType, value: int, low: int, high: int) -> str:
    if pa.types.is_string(kind):
        return "empty"
    if pa.types.is_timestamp(kind):
        return f"{_time(value)}; {_time(low)} to {_time(high)} is accepted"
    return f"{value:,}; {low:,} to {high:,} is accepted"


def _time(micros: int) -> str:
    return f"{np.datetime64(micros, 'us')}Z"
