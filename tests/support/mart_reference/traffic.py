"""traffic_anomaly, traffic_season, funnel, dim_date.

Readings: series are dense from the first day with any event to as_of; the first observed day opens the 30 days that a z needs. Orders and
net_cents are those in the reporting currency. The robust z is of the same 30 days, null where the MAD is 0. The hours of a season are
those of the reporting time zone.
"""

import itertools
import statistics
from collections import defaultdict
from datetime import date, datetime

from tests.support.mart_reference.events import DAY, Facts, days_from, mean, months_back, ratio
from tests.support.mart_reference.sales import growth
from tests.support.reference import Row

METRICS = ("touchpoints", "sessions", "page_views", "orders", "net_cents")
BASELINE_DAYS = 30
SEASON_DAYS = 90
STAGES = ("page_view", "product_view", "cart_add", "checkout_start", "purchase")


def series(facts: Facts) -> dict[str, dict[date, int]]:
    """Each metric's value by day, without zeros."""
    found: dict[str, dict[date, int]] = {metric: defaultdict(int) for metric in METRICS}
    for row in facts.tables["hourly_traffic"]:
        found["touchpoints"][row["day"]] += row["touchpoints"]
        found["page_views"][row["day"]] += row["touchpoints"] if row["event_type"] == "page_view" else 0
    for row in facts.tables["daily_sessions"]:
        found["sessions"][row["day"]] += row["sessions"]
    for row in facts.tables["daily_sales"]:
        if row["currency"] == facts.currency:
            found["orders"][row["day"]] += row["orders"]
            found["net_cents"][row["day"]] += row["net_cents"]
    return found


def traffic_anomaly(facts: Facts) -> list[Row]:
    found = series(facts)
    observed = [day for by_day in found.values() for day in by_day]
    days = days_from(min(observed), facts.as_of) if observed else []
    rows = []
    for metric, by_day in found.items():
        values = [by_day.get(day, 0) for day in days]
        for place, day in enumerate(days):
            before = values[max(place - BASELINE_DAYS, 0) : place]
            row = {"day": day, "metric": metric, "value": values[place]}
            row["moving_average"] = mean(values[place - 6 : place + 1]) if place >= 6 else None
            year_ago = months_back(day, 12)
            row["yoy"] = growth(values[place], by_day.get(year_ago, 0) if days[0] <= year_ago else None)
            rows.append(row | _against(values[place], before))
    return rows


def _against(value: int, before: list[int]) -> Row:
    """The value beside the days before it."""
    if len(before) < BASELINE_DAYS:
        return dict.fromkeys(("mean", "deviation", "z", "median", "mad", "robust_z")) | {"is_anomaly": False}
    average, deviation = statistics.mean(before), statistics.stdev(before)
    median = statistics.median(before)
    mad = statistics.median(abs(one - median) for one in before)
    z = ratio(value - average, deviation)
    return {
        "mean": average,
        "deviation": deviation,
        "z": z,
        "median": median,
        "mad": mad,
        "robust_z": ratio(value - median, 1.4826 * mad),
        "is_anomaly": z is not None and abs(z) > 3,
    }


def hourly_sessions(facts: Facts) -> list[Row]:
    """Sessions by the hour of their first touchpoint."""
    hours: dict[tuple[date, int], int] = defaultdict(int)
    first: dict[tuple[date, str], Row] = {}
    for row in sorted(facts.touchpoints, key=lambda row: (row["occurred_at"], row["event_id"])):
        first.setdefault((row["day"], row["session_id"]), row)
    for row in first.values():
        hours[row["day"], row["hour"]] += 1
    return [{"day": day, "hour": hour, "sessions": count} for (day, hour), count in hours.items()]


def traffic_season(facts: Facts) -> list[Row]:
    """By metric, ISO weekday and hour: mean and median over the days of the window, hours without events in."""
    hours: dict[tuple[str, date, int], int] = defaultdict(int)
    for row in [*facts.given["hourly_sessions"], *hourly_sessions(facts)]:
        hours["sessions", row["day"], row["hour"]] += row["sessions"]
    for row in facts.tables["hourly_traffic"]:
        hours["touchpoints", row["day"], row["hour"]] += row["touchpoints"]
        hours["page_views", row["day"], row["hour"]] += row["touchpoints"] if row["event_type"] == "page_view" else 0
    for row in facts.tables["hourly_sales"]:
        if row["currency"] == facts.currency:
            hours["orders", row["day"], row["hour"]] += row["orders"]
            hours["net_cents", row["day"], row["hour"]] += row["net_cents"]
    first = min((day for _, day, _ in hours), default=facts.as_of + DAY)
    days = days_from(max(facts.as_of - (SEASON_DAYS - 1) * DAY, first), facts.as_of)
    rows = []
    for metric, weekday, hour in itertools.product(METRICS, range(1, 8), range(24)):
        values = [hours.get((metric, day, hour), 0) for day in days if day.isoweekday() == weekday]
        if values:
            key = {"metric": metric, "weekday": weekday, "hour": hour, "days": len(values)}
            rows.append(key | {"mean": mean(values), "median": float(statistics.median(values))})
    return rows


def funnel(facts: Facts) -> list[Row]:
    """By day and entry channel. Each step's median is over the sessions that have both stages, the later one not before the earlier."""
    firsts: dict[tuple[date, str], dict[str, datetime]] = defaultdict(dict)
    for row in facts.touchpoints:
        found = firsts[row["day"], row["session_id"]]
        found[row["event_type"]] = min(row["occurred_at"], found.get(row["event_type"], row["occurred_at"]))
    groups: dict[tuple[date, str], list[dict[str, datetime]]] = defaultdict(list)
    for key, session in facts.sessions.items():
        groups[session["day"], session["entry_channel"]].append(firsts[key])
    rows = []
    for (day, channel), members in groups.items():
        row = {"day": day, "entry_channel": channel, "sessions": len(members)}
        row |= {f"with_{stage}": sum(stage in seen for seen in members) for stage in STAGES}
        row["conversion"] = ratio(row["with_purchase"], len(members))
        for here, there in itertools.pairwise(STAGES):
            both = [(seen[there] - seen[here]).total_seconds() for seen in members if here in seen and there in seen]
            in_order = [seconds for seconds in both if seconds >= 0]
            row[f"seconds_to_{there}"] = statistics.median(in_order) if in_order else None
        rows.append(row)
    return rows


def dim_date(facts: Facts) -> list[Row]:
    """From the file's first day on."""
    days = days_from(facts.first_day, facts.as_of) if facts.first_day else []
    return [
        {
            "day": day,
            "weekday": day.isoweekday(),
            "week": day.isocalendar().week,
            "week_year": day.isocalendar().year,
            "month": day.month,
            "quarter": (day.month + 2) // 3,
            "year": day.year,
            "is_weekend": day.isoweekday() > 5,
            "season": facts.thresholds.seasons.get(day.month),
        }
        for day in days
    ]
