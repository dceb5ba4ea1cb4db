"""The three well-known ways, each written once: which partitions a nightly run reads, and what it puts where.

What is computed of the rows is an engine's: SQL in DuckDB (sql_engine.py), or Python over Arrow record batches (arrow_engine.py).
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from worker.approaches.nights import Night
from worker.approaches.rows import DAILY, ORDER, REACHED, TOMBSTONE, TOUCHPOINT, TOUCHPOINT_KEY, in_order
from worker.approaches.stopwatch import Stopwatch
from worker.approaches.tables import Partitioned, Reads, by_day
from worker.decode import Decoder
from worker.events import MessageBatch, Stream

_BEFORE_ALL = date.min  # the first day of what has no window, and the partition of what has no day


class Engine(Protocol):
    """What is computed of the rows that an approach has read (shapes: rows.py), whatever their order."""

    name: str

    def staged_touchpoints(self, raw: pa.Table, staged_keys: pa.Table) -> pa.Table:
        """The touchpoints of `raw`, each once, whose TOUCHPOINT_KEY is not among those staged."""
        ...

    def staged_orders(self, raw: pa.Table, staged: pa.Table) -> pa.Table:
        """The greatest version of each order of both."""
        ...

    def staged_tombstones(self, raw: pa.Table, staged: pa.Table) -> pa.Table:
        """The greatest tombstone of each order of both."""
        ...

    def daily_reach(self, touchpoints: pa.Table) -> pa.Table:
        """Touchpoints (their columns REACHED) by day and channel."""
        ...

    def daily_sales(self, orders: pa.Table, tombstones: pa.Table) -> pa.Table:
        """Orders that count, by day, currency, segment, region and country."""
        ...


class Raw:
    """The accepted rows as a loader lands them, by day of arrival; the approaches share them."""

    def __init__(self, decoder: Decoder) -> None:
        self.ages: Counter[int] = Counter()  # rows by how many days after their own they arrived
        self._decoder = decoder
        self.touchpoint = Partitioned("raw_touchpoint", TOUCHPOINT)
        self.order = Partitioned("raw_order", ORDER)
        self.tombstone = Partitioned("raw_tombstone", TOMBSTONE)

    def land(self, night: Night) -> None:
        """Decode a night's messages; what is rejected does not get here."""
        batch = self._decoder.decode(MessageBatch(night.messages), night.over)
        if touchpoints := batch.events.get(Stream.TOUCHPOINTS):
            assert touchpoints["event_text"].null_count == len(touchpoints), "the shop's event ids are all UUIDs"
            ids = touchpoints["event_uuid"].storage
            rows = touchpoints.select([name for name in TOUCHPOINT.names if name != "event_uuid"]).append_column("event_uuid", ids)
            self._append(self.touchpoint, night.day, _table(rows, TOUCHPOINT))
        if orders := batch.events.get(Stream.ORDERS):
            self._append(self.order, night.day, _table(orders, ORDER))
        if tombstones := batch.tombstones.get(Stream.ORDERS):
            self.tombstone.append(night.day, _table(tombstones.rename_columns({"id": "order_id"}), TOMBSTONE))

    def _append(self, table: Partitioned, arrived: date, rows: pa.Table) -> None:
        table.append(arrived, rows)
        for counted in pc.value_counts(rows["day"]).to_pylist():
            self.ages[(arrived - counted["values"]).days] += counted["counts"]


class FullBatch:
    """Every night everything is computed again, from all raw rows so far."""

    def __init__(self, engine: Engine, raw: Raw) -> None:
        self.reads, self.watch = Reads(), Stopwatch()
        self._engine = engine
        self._raw = raw
        self._tables: Mapping[str, pa.Table] = {}

    def run(self, _night: Night) -> None:
        engine, raw = self._engine, self._raw
        touchpoints = engine.staged_touchpoints(raw.touchpoint.read(self.reads), _none(TOUCHPOINT, TOUCHPOINT_KEY))
        orders = engine.staged_orders(raw.order.read(self.reads), _none(ORDER))
        tombstones = engine.staged_tombstones(raw.tombstone.read(self.reads), _none(TOMBSTONE))
        self._tables = {
            "daily_reach": engine.daily_reach(touchpoints.select(REACHED)),
            "daily_sales": engine.daily_sales(orders, tombstones),
        }

    def table(self, name: str) -> pa.Table:
        return in_order(name, self._tables[name])


class Staging:
    """Every night the new raw rows are staged by day of event, each event once; then the daily tables are computed from the staged rows.

    Of all days, or with `window_days` of the last so many days only: older days stay as they are, and rows for them are not staged.
    """

    def __init__(self, engine: Engine, raw: Raw, window_days: int | None = None) -> None:
        self.reads, self.watch = Reads(), Stopwatch()
        self._engine = engine
        self._raw = raw
        self._window = None if window_days is None else timedelta(days=window_days - 1)
        self._touchpoint = Partitioned("staged_touchpoint", TOUCHPOINT)
        self._order = Partitioned("staged_order", ORDER)
        self._tombstone = Partitioned("staged_tombstone", TOMBSTONE)
        self._tables: Mapping[str, pa.Table] = {name: _none(schema) for name, schema in DAILY.items()}

    def run(self, night: Night) -> None:
        first = _BEFORE_ALL if self._window is None else night.day - self._window
        self._stage(night.day, first)
        touchpoints = self._touchpoint.read(self.reads, REACHED, self._touchpoint.days(first))
        orders = self._order.read(self.reads, days=self._order.days(first))
        fresh = {
            "daily_reach": self._engine.daily_reach(touchpoints),
            "daily_sales": self._engine.daily_sales(orders, self._tombstone.read(self.reads)),
        }
        self._tables = {name: pa.concat_tables([_before(first, self._tables[name]), rows]) for name, rows in fresh.items()}

    def table(self, name: str) -> pa.Table:
        return in_order(name, self._tables[name])

    def _stage(self, arrived: date, first: date) -> None:
        touchpoints = _since(first, self._raw.touchpoint.read(self.reads, days=[arrived]))
        keys = self._touchpoint.read(self.reads, TOUCHPOINT_KEY, _days(touchpoints))
        for day, rows in by_day(self._engine.staged_touchpoints(touchpoints, keys)):
            self._touchpoint.append(day, rows)
        orders = _since(first, self._raw.order.read(self.reads, days=[arrived]))
        for day, rows in by_day(self._engine.staged_orders(orders, self._order.read(self.reads, days=_days(orders)))):
            self._order.replace(day, rows)
        tombstones = self._raw.tombstone.read(self.reads, days=[arrived])
        if len(tombstones):
            self._tombstone.replace(_BEFORE_ALL, self._engine.staged_tombstones(tombstones, self._tombstone.read(self.reads)))


def _table(batch: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches([batch.select(schema.names)]).cast(schema)


def _none(schema: pa.Schema, columns: tuple[str, ...] | None = None) -> pa.Table:
    return schema.empty_table().select(columns or schema.names)


def _since(first: date, rows: pa.Table) -> pa.Table:
    return rows.filter(pc.greater_equal(rows["day"], pa.scalar(first)))


def _before(first: date, rows: pa.Table) -> pa.Table:
    return rows.filter(pc.less(rows["day"], pa.scalar(first)))


def _days(rows: pa.Table) -> list[date]:
    days: list[date] = pc.unique(rows["day"]).to_pylist()
    return days
