"""The contract's limits, checked on columns of events, whatever these were read from."""

from collections.abc import Iterator, Mapping, Sequence
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
MAX_DISCOUNT_TOTAL = 10**18  # its sum must fit 64 bits
MAX_SCORE = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that breaks a limit."""

    row: int
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class _NotEmpty:
    """A text that must not be empty where there is one."""

    path: str

    def faults(self, column: pa.Array, latest: int) -> Iterator[tuple[int, Reason, str]]:
        lengths = pc.binary_length(column)
        if pc.min(lengths).as_py() == 0:
            for index in np.flatnonzero(_numbers(lengths, 1) == 0).tolist():
                yield index, Reason.EMPTY_ID, f"{self.path} is empty"


@dataclass(frozen=True, slots=True)
class _Within:
    """A number that must be within limits where there is one."""

    path: str
    reason: Reason
    low: int
    high: int

    def faults(self, column: pa.Array, latest: int) -> Iterator[tuple[int, Reason, str]]:
        values = _numbers(column, self.low)
        if len(values) and (values.min() < self.low or values.max() > self.high):
            for index in np.flatnonzero((values < self.low) | (values > self.high)).tolist():
                yield index, self.reason, f"{self.path} is {values[index]:,}; {self.low:,} to {self.high:,} is accepted"


@dataclass(frozen=True, slots=True)
class _Time:
    """An event time: from 1980 to the future guard."""

    path: str

    def faults(self, column: pa.Array, latest: int) -> Iterator[tuple[int, Reason, str]]:
        values = _numbers(column, EARLIEST)
        if len(values) and (values.min() < EARLIEST or values.max() > latest):
            for index in np.flatnonzero((values < EARLIEST) | (values > latest)).tolist():
                reason = Reason.TOO_EARLY if values[index] < EARLIEST else Reason.IN_FUTURE
                yield index, reason, f"{self.path} is {_time(values[index])}; {_time(EARLIEST)} to {_time(latest)} is accepted"


def _amounts(*paths: str) -> list[_Within]:
    return [_Within(path, Reason.BAD_AMOUNT, 0, MAX_AMOUNT) for path in paths]


# In this order: the first that a row breaks is its reason. A path with a dot is a field of the items.
_CHECKS: Mapping[Stream, Sequence[_NotEmpty | _Within | _Time]] = {
    Stream.TOUCHPOINTS: [
        _NotEmpty("event_text"),
        _NotEmpty("session_id"),
        _NotEmpty("customer_id"),
        _NotEmpty("product_id"),
        _Time("occurred_at"),
        *_amounts("cost_cents"),
        _Within("review_score", Reason.BAD_SCORE, 1, MAX_SCORE),
    ],
    Stream.ORDERS: [
        _NotEmpty("order_id"),
        _NotEmpty("customer_id"),
        _NotEmpty("items.product_id"),
        _Time("ordered_at"),
        _Time("updated_at"),
        _Within("items.quantity", Reason.BAD_QUANTITY, 0, MAX_QUANTITY),
        *_amounts("discount_cents", "tax_cents", "shipping_cents", "refunded_cents"),
        *_amounts("items.unit_price_cents", "items.discount_cents", "items.unit_cost_cents"),
        _Within("gross_cents", Reason.BAD_TOTAL, 0, MAX_TOTAL),
        _Within("cost_cents", Reason.BAD_TOTAL, 0, MAX_TOTAL),
        _Within("discount_total_cents", Reason.BAD_TOTAL, 0, MAX_DISCOUNT_TOTAL),
    ],
    Stream.CUSTOMERS: [_NotEmpty("customer_id"), _Time("updated_at")],
    Stream.PRODUCTS: [_NotEmpty("product_id"), _Time("updated_at"), *_amounts("unit_cost_cents", "stock_level")],
}


def faults(stream: Stream, events: Mapping[str, pa.Array], latest: int) -> list[Fault]:
    """The rows that break a limit of daily.md, ascending, each with the first one it breaks.

    `events` are the columns of EVENT_SCHEMAS[stream] by name; `latest` is the greatest time accepted, in UTC micros.
    """
    found: dict[int, Fault] = {}
    for check in _CHECKS[stream]:
        parent, _, field = check.path.partition(".")
        column = events[parent]
        rows: Ints | None = None
        for index, reason, detail in check.faults(column.flatten().field(field) if field else column, latest):
            if field and rows is None:
                rows = pc.list_parent_indices(column).to_numpy()
            row = index if rows is None else int(rows[index])
            found.setdefault(row, Fault(row, reason, detail))
    return [found[row] for row in sorted(found)]


def _numbers(column: pa.Array, null: int) -> Ints:
    """The column's numbers (of times: UTC micros), `null` in place of nulls."""
    if pa.types.is_timestamp(column.type):
        column = column.view(pa.int64())
    return (column.fill_null(null) if column.null_count else column).to_numpy()


def _time(micros: int) -> str:
    return f"{np.datetime64(int(micros), 'us')}Z"
