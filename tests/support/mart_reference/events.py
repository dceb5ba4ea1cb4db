"""The facts that marts are made of: what was accepted, in days up to as_of, and the thresholds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from tests.support.reference import Reference, Row

DAY = timedelta(days=1)
DAY_COLUMNS = ("first_active_day", "first_touch_day", "first_order_day")


@dataclass(frozen=True)
class Thresholds:
    """The settings of the marts, with the contract's defaults."""

    touch_window_hours: int = 720
    touch_types: tuple[str, ...] = ("ad_click", "email_click")
    direct_channels: tuple[str, ...] = ("direct",)
    half_life_days: int = 7
    two_touch: str = "proportional"
    touch_cohorts: tuple[str, ...] = ()  # kinds of cohort that touchpoints keep active too
    snapshot_late_days: int = 7
    value_model: str = "bg_nbd"
    min_repeaters: int = 100
    holdout_days: int = 90
    seasons: Mapping[int, str] = field(default_factory=dict)  # by month


@dataclass(frozen=True)
class Facts:
    """What the accepted messages say of the days up to `as_of`. Orders are whole versions, each with its items.

    `tables` are the reference's, rows of later days left out; `orders` of any currency and status, sealed days left out. `first_day`: of
    any event or stock. `given`: what marts read that was written once: the ledger, model fits, snapshots, what was counted of sealed days.
    """

    as_of: date
    zone: ZoneInfo
    currency: str
    tables: Mapping[str, list[Row]]
    orders: list[Row]
    first_day: date | None
    given: Mapping[str, list[Row]]
    thresholds: Thresholds = Thresholds()

    @classmethod
    def of(cls, reference: Reference, as_of: date, given: Mapping[str, list[Row]], thresholds: Thresholds = Thresholds()) -> "Facts":
        tables = {name: [row for row in rows if row.get("day", as_of) <= as_of] for name, rows in reference.tables().items()}
        tables["customer_first"] = [first for row in tables["customer_first"] if (first := _firsts_up_to(row, as_of))]
        orders = [row for row in reference.order_rows() if row["day"] <= as_of]
        known = {day for day, _, _ in reference.day_offsets} | {row["day"] for row in tables["daily_stock"]}
        first_day = min(known, default=None)
        return cls(as_of, reference.zone, reference.reporting_currency, tables, orders, first_day, given, thresholds)

    @cached_property
    def bought(self) -> list[Row]:
        """Counted orders of any currency."""
        return [row for row in self.orders if row["counted"]]

    @cached_property
    def counted(self) -> list[Row]:
        """Counted orders in the reporting currency, in order of (ordered_at, order_id)."""
        reported = [row for row in self.bought if row["currency"] == self.currency]
        return sorted(reported, key=lambda row: (row["ordered_at"], row["day"], row["order_id"]))

    @property
    def touchpoints(self) -> list[Row]:
        return self.tables["touchpoint"]

    @cached_property
    def sessions(self) -> dict[tuple[date, str], Row]:
        return {(row["day"], row["session_id"]): row for row in self.tables["session_day"]}

    @cached_property
    def counted_by_customer(self) -> dict[str, list[Row]]:
        return by_column(self.counted, "customer_id")

    @property
    def end(self) -> datetime:
        """The moment when as_of's day has ended, naive UTC."""
        return local_midnight(self.as_of + DAY, self.zone)

    @property
    def customers(self) -> list[str]:
        """Every customer that is known."""
        return sorted({row["customer_id"] for name in ("customer", "customer_first") for row in self.tables[name]})

    def last_fit(self, name: str) -> int | None:
        """The fit_id of the last one of `given` that is not of a later day."""
        fits = [(row["as_of"], row["fit_id"]) for row in self.given[name] if row["as_of"] <= self.as_of]
        return max(fits)[1] if fits else None

    def window(self, days: int) -> range:
        """The ordinals of the last `days` days."""
        return range(self.as_of.toordinal() - days + 1, self.as_of.toordinal() + 1)

    def local_day(self, moment: datetime) -> date:
        """The calendar day of a naive UTC moment in the reporting time zone."""
        return moment.replace(tzinfo=UTC).astimezone(self.zone).date()


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """When the day begins in the zone, as naive UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).replace(tzinfo=None)


def by_column(rows: Iterable[Row], column: str) -> dict[str, list[Row]]:
    """The rows by the value of a column, in their order."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return dict(groups)


def days_from(first: date, last: date) -> list[date]:
    """All days of the calendar from the first to the last."""
    return [first + DAY * number for number in range((last - first).days + 1)]


def month_of(day: date) -> date:
    return day.replace(day=1)


def next_month(month: date) -> date:
    return (month + 31 * DAY).replace(day=1)


def months_back(day: date, months: int) -> date:
    """The same day number so many months before, or that month's last day where it is shorter."""
    month = month_of(day)
    for _ in range(months):
        month = month_of(month - DAY)
    return min(next_month(month) - DAY, month + DAY * (day.day - 1))


def ratio(part: float, whole: float) -> float | None:
    """Null where the divisor is 0 or less."""
    return part / whole if whole > 0 else None


def mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def tiles(values: Mapping[str, float], count: int) -> dict[str, int]:
    """Quintiles (5) or quartiles (4): 1 + floor(count (rank - 1) / n), rank ascending by value, ties take the low rank."""
    in_order = sorted(values.values())
    rank = {value: place for place, value in reversed(list(enumerate(in_order)))}
    return {key: 1 + count * rank[value] // len(in_order) for key, value in values.items()}


def _firsts_up_to(row: Row, as_of: date) -> Row | None:
    firsts = {name: row[name] if row[name] is not None and row[name] <= as_of else None for name in DAY_COLUMNS}
    return row | firsts if any(firsts.values()) else None
