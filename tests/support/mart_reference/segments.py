"""customer_segment, segment_summary and segment_migration.

Readings: all are of orders in the reporting currency; recency_segment, frequency_segment, monetary_segment and value_tier go by a
customer's whole history, RFM by the last 365 days. Clusters and snapshots are versioned inputs: the summary and the migration are computed
from the snapshots that there are.
"""

import itertools
from collections.abc import Mapping
from datetime import date

from tests.support.mart_reference.events import Facts, next_month, ratio, tiles
from tests.support.mart_reference.overview import customers
from tests.support.reference import Row

NONE = "(none)"
NEW = "(new)"
RFM_DAYS = 365
MINOR_DIGITS = {"JPY": 0, "KWD": 3}


def customer_segment(facts: Facts) -> list[Row]:
    """A row for each known customer, but for the clusters."""
    scores = rfm_scores(facts)
    rows = []
    for customer in customers(facts):
        orders = facts.counted_by_customer.get(customer, [])
        r, f, m = scores.get(customer, (None, None, None))
        row = {"customer_id": customer, "r_score": r, "f_score": f, "m_score": m}
        row |= {"rfm_score": None, "rfm_segment": NONE}
        if r is not None and f is not None and m is not None:
            row |= {"rfm_score": 100 * r + 10 * f + m, "rfm_segment": rfm_segment(r, f, m)}
        rows.append(row | _by_history(facts, orders))
    return rows


def rfm_scores(facts: Facts) -> dict[str, tuple[int, int, int]]:
    """The quintiles of recency, frequency and money of the customers with an order in the window."""
    window = facts.window(RFM_DAYS)
    recent = {
        customer: within
        for customer, orders in facts.counted_by_customer.items()
        if (within := [row for row in orders if row["day"].toordinal() in window])
    }
    r = tiles({customer: max(row["day"].toordinal() for row in orders) for customer, orders in recent.items()}, 5)
    f = tiles({customer: len(orders) for customer, orders in recent.items()}, 5)
    m = tiles({customer: sum(row["net_cents"] for row in orders) for customer, orders in recent.items()}, 5)
    return {customer: (r[customer], f[customer], m[customer]) for customer in recent}


def rfm_segment(r: int, f: int, m: int) -> str:
    """The first that matches."""
    rules = (
        (min(r, f, m) >= 4, "Champions"),
        (min(r, f, m) >= 3, "Loyal Customers"),
        (r >= 4 and f <= 2, "New Customers"),
        (r <= 2 and f >= 3, "At Risk"),
        (r <= 2 and f <= 2, "Lost Customers"),
        (r >= 3 and m >= 4, "Big Spenders"),
        (f >= 4, "Frequent Buyers"),
    )
    return next((name for is_so, name in rules if is_so), "Need Attention")


def lifecycle_stage(as_of: date, days: list[date]) -> str:
    """`days`: of a customer's orders, ascending."""
    if not days:
        return NONE
    if (as_of - days[0]).days <= 30:
        return "New"
    gaps = itertools.pairwise(days)
    if any((as_of - day).days <= 30 and (day - before).days > 180 for before, day in gaps):
        return "Reactivated"
    since = (as_of - days[-1]).days
    return "Active" if since <= 60 else "At Risk" if since <= 180 else "Churned"


def _by_history(facts: Facts, orders: list[Row]) -> Row:
    days = sorted(row["day"] for row in orders)
    names = ("recency_segment", "frequency_segment", "monetary_segment", "value_tier")
    row = {"lifecycle_stage": lifecycle_stage(facts.as_of, days)} | dict.fromkeys(names, NONE)
    if not orders:
        return row
    since, count = (facts.as_of - days[-1]).days, len(orders)
    spend, major = sum(row["net_cents"] for row in orders), 10 ** MINOR_DIGITS.get(facts.currency, 2)
    place = 0 if spend < 500 * major else 1 if spend < 1000 * major else 2
    return row | {
        "recency_segment": "Recent" if since <= 30 else "Moderate" if since <= 90 else "Lapsed",
        "frequency_segment": "One-time" if count == 1 else "Low" if count <= 3 else "Medium" if count <= 9 else "High",
        "monetary_segment": ("Low", "Medium", "High")[place],
        "value_tier": ("low_value", "medium_value", "high_value")[place],
    }


# From the snapshots: (month, customer_id, kind, segment)

Members = Mapping[str, Mapping[str, str]]  # by kind: the segment of each customer


def segment_migration(snapshots: list[Row]) -> list[Row]:
    """From the previous snapshot to each; who was in none is new."""
    rows = []
    for month, before, now in _pairs(snapshots):
        counts: dict[tuple[str, str, str], int] = {}
        for kind, members in now.items():
            for customer, segment in members.items() if before is not None else ():
                key = (kind, (before or {}).get(kind, {}).get(customer, NEW), segment)
                counts[key] = counts.get(key, 0) + 1
        rows += [
            {"month": month, "kind": kind, "from_segment": old, "to_segment": new, "customers": count}
            for (kind, old, new), count in counts.items()
        ]
    return rows


def segment_retention(facts: Facts, snapshots: list[Row]) -> list[Row]:
    """Of the previous snapshot's members: the share that ordered in the month, and of those who had not for over 180 days."""
    rows = []
    for month, before, now in _pairs(snapshots):
        ordered = {row["customer_id"] for row in facts.counted if month <= row["day"] < next_month(month)}
        last = {row["customer_id"]: row["day"] for row in facts.counted if row["day"] < month}
        for kind, members in now.items():
            for segment in set(members.values()):
                old = [customer for customer, name in (before or {}).get(kind, {}).items() if name == segment]
                dormant = [customer for customer in old if customer in last and (month - last[customer]).days > 180]
                rows.append(
                    {
                        "month": month,
                        "kind": kind,
                        "segment": segment,
                        "customers": sum(name == segment for name in members.values()),
                        "retention": ratio(len(ordered.intersection(old)), len(old)),
                        "reactivation": ratio(len(ordered.intersection(dormant)), len(dormant)),
                    }
                )
    return rows


def _pairs(snapshots: list[Row]) -> list[tuple[date, Members | None, Members]]:
    by_month: dict[date, dict[str, dict[str, str]]] = {}
    for row in snapshots:
        by_month.setdefault(row["month"], {}).setdefault(row["kind"], {})[row["customer_id"]] = row["segment"]
    months = sorted(by_month)
    return [(month, by_month[months[place - 1]] if place else None, by_month[month]) for place, month in enumerate(months)]
