"""One message after the other: accepted, duplicate, superseded, rejected or expired, and the rows that stand after it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from tests.support.reference import tables
from tests.support.reference.decoding import Invalid, Message, Row, decoded_event, decoded_tombstone

Version: TypeAlias = tuple[datetime, int, int]
VERSIONED = {"orders": ("day", "order_id"), "customers": ("customer_id",), "products": ("product_id",)}
COUNTED = ("COMPLETED", "REFUNDED")


class DayOffset(NamedTuple):
    """Which offsets of a partition fed a day."""

    first_offset: int
    last_offset: int
    rows: int


class Reference:
    """What the tables must hold after the messages processed so far.

    `accounting` counts (stream, outcome); `conflicting_duplicates` counts touchpoints whose id was there with other content;
    `day_offsets` is keyed by (day, topic, partition) and covers the accepted orders and touchpoints.
    """

    def __init__(
        self,
        *,
        reporting_time_zone: str,
        reporting_currency: str,
        writer_schemas: Mapping[int | str, Any],
        future_guard: timedelta = timedelta(hours=1),
    ) -> None:
        self.zone = ZoneInfo(reporting_time_zone)
        self.reporting_currency = reporting_currency
        self.writer_schemas = writer_schemas
        self.future_guard = future_guard
        self.accounting: Counter[tuple[str, str]] = Counter()
        self.conflicting_duplicates = 0
        self.day_offsets: dict[tuple[date, str, int], DayOffset] = {}
        self.sealed_before = date.min
        self._touchpoints: dict[tuple[date, str], Row] = {}
        self._versions: dict[str, dict[Hashable, Row]] = defaultdict(dict)  # the latest row by key, of orders, customers, products
        self._tombstones: dict[str, dict[Hashable, Row]] = defaultdict(dict)  # the latest tombstone by id, of the same
        self._stock: dict[tuple[str, datetime, int], Row] = {}
        self._sealed_rows: dict[str, list[Row]] = defaultdict(list)
        self._sealed_firsts: dict[str, Row] = {}

    def process(self, stream: str, message: Message, now: datetime) -> str:
        """Classify the next message of a stream and keep what it says. Returns the outcome. `now` is an aware datetime."""
        outcome = self._outcome(stream, message, now + self.future_guard)
        self.accounting[stream, outcome] += 1
        return outcome

    def seal(self, before: date) -> None:
        """Retention: the daily rows and customers' firsts of all days before `before` stay as they are; events and keyed rows go."""
        last = self.tables()
        for name in tables.DAILY_AND_SEALED:
            self._sealed_rows[name] += [row for row in last[name] if self.sealed_before <= row["day"] < before]
        going_touchpoints = [row for row in self._touchpoints.values() if row["day"] < before]
        going_orders = [row for row in self.order_rows() if row["day"] < before]
        firsts = tables.customer_first(going_touchpoints, going_orders, self._sealed_firsts.values())
        self._sealed_firsts = {row["customer_id"]: row for row in firsts}
        self._touchpoints = {key: row for key, row in self._touchpoints.items() if row["day"] >= before}
        self._versions["orders"] = {key: row for key, row in self._versions["orders"].items() if row["day"] >= before}
        self.sealed_before = max(self.sealed_before, before)

    def lose(self, touchpoints: Collection[tuple[date, str]], orders: Collection[tuple[date, str]]) -> None:
        """Rows are gone, by day and id, as if their messages had never come."""
        for key in touchpoints:
            del self._touchpoints[key]
        for key in orders:
            del self._versions["orders"][key]

    def tables(self) -> dict[str, list[Row]]:
        """Every table of the contract as a list of rows, in no particular order."""
        orders = self.order_rows()
        found = {
            "touchpoint": [_without(row, "offset", "partition") for row in self._touchpoints.values()],
            "order_current": [_without(row, "items") for row in orders],
            "order_item": tables.order_item(orders),
            "order_tombstone": [_without(row, "id") | {"order_id": row["id"]} for row in self._tombstones["orders"].values()],
            "customer": self._dimension_rows("customers", "customer_id", ("name", "email")),
            "product": self._dimension_rows("products", "product_id", ("name",)),
            "product_stock": list(self._stock.values()),
        }
        found |= tables.aggregates(found, self.reporting_currency, self._sealed_firsts.values())
        for name, rows in self._sealed_rows.items():
            found[name] = rows + found[name]
        return found | tables.views(found)

    def order_rows(self) -> list[Row]:
        """The rows of order_current, each with its items."""
        rows = []
        for row in self._versions["orders"].values():
            deleted = self._tombstones["orders"].get(row["order_id"])
            stands = deleted is None or _version_of(row) > _version_of(deleted)
            rows.append(row | {"counted": row["status"] in COUNTED and stands})
        return rows

    def _outcome(self, stream: str, message: Message, latest: datetime) -> str:
        try:
            if message.value() is None:
                return self._tombstone(stream, message, latest)
            row = decoded_event(stream, message, self.writer_schemas, self.zone, latest)
        except Invalid:
            return "rejected"
        row["offset"], row["partition"] = message.offset(), message.partition()
        if stream in ("touchpoints", "orders") and row["day"] < self.sealed_before:
            return "expired"
        outcome = self._touchpoint(row) if stream == "touchpoints" else self._version(stream, row)
        if stream in ("touchpoints", "orders") and outcome == "accepted":
            self._note_offset(row["day"], message)
        return outcome

    def _touchpoint(self, row: Row) -> str:
        key = row["day"], row["event_id"]
        if key not in self._touchpoints:
            self._touchpoints[key] = row
            return "accepted"
        if _content(self._touchpoints[key]) != _content(row):
            self.conflicting_duplicates += 1
        return "duplicate"

    def _version(self, stream: str, row: Row) -> str:
        if stream == "products" and row["stock_level"] is not None:
            reading = {name: row[name] for name in ("product_id", "updated_at", "stock_level", "day")}
            self._stock[row["product_id"], row["updated_at"], row["stock_level"]] = reading
        key = tuple(row[column] for column in VERSIONED[stream])
        return _keep_latest(self._versions[stream], key, row)

    def _tombstone(self, stream: str, message: Message, latest: datetime) -> str:
        if stream == "touchpoints":
            raise Invalid("a null touchpoint")
        row = decoded_tombstone(message, latest)
        row["offset"], row["partition"] = message.offset(), message.partition()
        return _keep_latest(self._tombstones[stream], row["id"], row)

    def _note_offset(self, day: date, message: Message) -> None:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        old = self.day_offsets.get((day, topic, partition), DayOffset(offset, offset, 0))
        self.day_offsets[day, topic, partition] = DayOffset(min(old.first_offset, offset), max(old.last_offset, offset), old.rows + 1)

    def _dimension_rows(self, stream: str, id_column: str, cleared: tuple[str, ...]) -> list[Row]:
        rows = []
        for row in self._versions[stream].values():
            tombstone = self._tombstones[stream].get(row[id_column])
            is_cleared = tombstone is not None and _version_of(tombstone) > _version_of(row)
            rows.append(_without(row, "day", "hour") | dict.fromkeys(cleared if is_cleared else ()))
        return rows


def _version_of(row: Row) -> Version:
    return row["updated_at"], row["offset"], row["partition"]


def _content(row: Row) -> Row:
    return _without(row, "offset", "partition")


def _without(row: Row, *columns: str) -> Row:
    return {name: value for name, value in row.items() if name not in columns}


def _keep_latest(latest: dict[Hashable, Row], key: Hashable, row: Row) -> str:
    """The rule of versions: the greatest (updated_at, offset, partition) stands; equal content at an equal updated_at is a duplicate."""
    standing = latest.get(key)
    if standing is None:
        latest[key] = row
        return "accepted"
    if _version_of(row) > _version_of(standing):
        latest[key] = row
    if _content(row) == _content(standing):
        return "duplicate"
    return "accepted" if latest[key] is row else "superseded"
