"""cohort_retention and cohort_summary.

Readings: a sign-up's day is that of signed_up_at in the reporting time zone, and cohorts of days after as_of are not there yet. `orders`
counts orders of all currencies, as activity does; money is of the reporting currency. Activity on the cohort's own day counts.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from tests.support.mart_reference.events import DAY, Facts, month_of, next_month, ratio
from tests.support.reference import Row


@dataclass(frozen=True)
class Period:
    """Periods of a calendar: where the one of a day starts, and its number on a line without gaps."""

    start: Callable[[date], date]
    number: Callable[[date], int]
    following: Callable[[date], date]


def _quarter_of(day: date) -> date:
    return day.replace(month=day.month - (day.month - 1) % 3, day=1)


PERIODS = {
    "week": Period(
        lambda day: day - DAY * day.weekday(), lambda day: (day - DAY * day.weekday()).toordinal() // 7, lambda start: start + 7 * DAY
    ),
    "month": Period(month_of, lambda day: day.year * 12 + day.month, next_month),
    "quarter": Period(
        _quarter_of,
        lambda day: day.year * 4 + (day.month - 1) // 3,
        lambda start: next_month(next_month(next_month(start))),
    ),
}


ROLLING = ("rolling_size", "rolling_active", "rolling_retention")


def cohort_retention(facts: Facts, more: Iterable[tuple[str, str, date]] = ()) -> list[Row]:
    """All cells. `more`: users' cohorts of kind "user", as (customer_id, cohort_name, cohort_date)."""
    rows = []
    for (kind, name), dates in _cohorts(facts, more).items():
        days = _activity(facts, "any" if kind in facts.thresholds.touch_cohorts else "orders")
        for period_kind in PERIODS:
            rows += _cells(facts, {"cohort_kind": kind, "cohort_name": name, "period_kind": period_kind}, dates, days)
    return rows


def cohort_summary(retention: Iterable[Row]) -> list[Row]:
    """The complete cells of cohort_retention, pooled."""
    cells = defaultdict(list)
    for row in retention:
        if row["is_complete"]:
            cells[row["cohort_kind"], row["cohort_name"], row["period_kind"], row["period_number"]].append(row)
    return [
        dict(zip(("cohort_kind", "cohort_name", "period_kind", "period_number"), key, strict=True))
        | {
            "cohorts": len(pooled),
            "cohort_size": (size := sum(row["cohort_size"] for row in pooled)),
            "active_customers": (active := sum(row["active_customers"] for row in pooled)),
            "retention": ratio(active, size),
        }
        for key, pooled in cells.items()
    ]


Cohorts = Mapping[tuple[str, str], dict[str, date]]


def _cohorts(facts: Facts, more: Iterable[tuple[str, str, date]]) -> Cohorts:
    """By (cohort_kind, cohort_name): the date of each customer."""
    cohorts: dict[tuple[str, str], dict[str, date]] = defaultdict(dict)
    for row in facts.tables["customer_first"]:
        if row["first_order_day"]:
            cohorts["first_order", ""][row["customer_id"]] = row["first_order_day"]
        if row["first_touch_day"]:
            cohorts["first_touch", ""][row["customer_id"]] = row["first_touch_day"]
    for row in facts.tables["customer"]:
        if row["signed_up_at"] is not None and (day := facts.local_day(row["signed_up_at"])) <= facts.as_of:
            cohorts["sign_up", ""][row["customer_id"]] = day
    for customer, name, day in more:
        if day <= facts.as_of:
            cohorts["user", name][customer] = day
    return cohorts


Activity = Mapping[str, Mapping[date, tuple[int, int]]]


def active_day(facts: Facts) -> list[Row]:
    """The days of activity by orders, and where some kind of cohort counts touchpoints too, by any activity."""
    rows = []
    for row in facts.tables["customer_day"]:
        orders = row["orders"] + row["orders_other_currency"]
        of = {"customer_id": row["customer_id"], "day": row["day"], "orders": orders, "net_cents": row["net_cents"]}
        rows += [{"activity": "orders"} | of] if orders else []
        rows += [{"activity": "any"} | of] if facts.thresholds.touch_cohorts and (orders or row["touchpoints"]) else []
    return rows


def _activity(facts: Facts, activity: str) -> Activity:
    """By customer: the active days, each with its orders and net_cents."""
    days: dict[str, dict[date, tuple[int, int]]] = defaultdict(dict)
    for row in [*facts.given["active_day"], *active_day(facts)]:
        if row["activity"] == activity:
            days[row["customer_id"]][row["day"]] = (row["orders"], row["net_cents"])
    return days


def _cells(facts: Facts, key: Row, dates: Mapping[str, date], activity: Activity) -> list[Row]:
    """The cells of one kind, name and kind of period."""
    period = PERIODS[key["period_kind"]]
    members = defaultdict(list)
    for customer, day in dates.items():
        members[period.start(day)].append(customer)
    rows = []
    for start, customers in members.items():
        by_number = {customer: _by_number(period, dates[customer], activity.get(customer, {})) for customer in customers}
        cumulative, end = 0, start
        for number in range(period.number(facts.as_of) - period.number(start) + 1):
            end = period.following(end)
            row = key | {"cohort_start": start, "period_number": number} | _measures(list(by_number.values()), number)
            cumulative += row["net_cents"]
            row |= {"cumulative_net_cents": cumulative, "is_complete": end - DAY <= facts.as_of}
            is_week = key["period_kind"] == "week"
            rows.append(row | (_rolling(facts, dates, customers, activity, number) if is_week else dict.fromkeys(ROLLING)))
    return rows


def _by_number(period: Period, first: date, days: Mapping[date, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """A customer's orders and net_cents by the number of the period since the cohort's date."""
    sums: dict[int, tuple[int, int]] = {}
    for day, (orders, net_cents) in days.items():
        if day >= first:
            number = period.number(day) - period.number(first)
            before = sums.get(number, (0, 0))
            sums[number] = before[0] + orders, before[1] + net_cents
    return sums


def _measures(customers: list[dict[int, tuple[int, int]]], number: int) -> Row:
    size = len(customers)
    active = sum(number in periods for periods in customers)
    unbounded = sum(max(periods, default=-1) >= number for periods in customers)
    net = [(periods.get(0, (0, 0))[1], periods.get(number, (0, 0))[1]) for periods in customers]
    net_0, net_k = sum(first for first, _ in net), sum(now for _, now in net)
    return {
        "cohort_size": size,
        "active_customers": active,
        "retention": active / size,
        "unbounded_customers": unbounded,
        "unbounded_retention": unbounded / size,
        "orders": sum(periods.get(number, (0, 0))[0] for periods in customers),
        "net_cents": net_k,
        "net_revenue_retention": ratio(float(Fraction(net_k)), net_0),
        "gross_revenue_retention": ratio(sum(max(0, min(now, first)) for first, now in net), net_0),
    }


def _rolling(facts: Facts, dates: Mapping[str, date], customers: Iterable[str], activity: Activity, number: int) -> Row:
    """Active on days d + 7k .. d + 7k + 6 from the customer's own date d, over customers whose interval has ended."""
    ended = [customer for customer in customers if dates[customer] + DAY * (7 * number + 6) <= facts.as_of]
    active = 0
    for customer in ended:
        first = dates[customer] + DAY * 7 * number
        active += any(first <= day < first + 7 * DAY for day in activity.get(customer, {}))
    return dict(zip(ROLLING, (len(ended), active, ratio(active, len(ended))), strict=True))
