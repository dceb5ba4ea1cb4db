"""customer_segment, its snapshots, segment_summary and segment_migration.

Readings: all are of orders in the reporting currency; recency_segment, frequency_segment, monetary_segment and value_tier go by a
customer's whole history, RFM by the last 365 days. Clusters and snapshots are versioned inputs: the summary and the migration are computed
from the snapshots that there are.
"""

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from datetime import date

from tests.support.mart_reference.events import DAY, Facts, by_column, mean, month_of, next_month, ratio, tiles
from tests.support.mart_reference.value import customer_value
from tests.support.reference import Row

NONE = "(none)"
NEW = "(new)"
RFM_DAYS = 365
COMEBACK_DAYS = 180
KINDS = {
    "rfm": "rfm_segment",
    "recency": "recency_segment",
    "frequency": "frequency_segment",
    "monetary": "monetary_segment",
    "value_tier": "value_tier",
    "lifecycle": "lifecycle_stage",
    "cluster": "cluster_label",
}
MINOR_DIGITS = {"JPY": 0, "KWD": 3}


def customer_segment(facts: Facts) -> list[Row]:
    """A row for each known customer."""
    recent = recent_orders(facts)
    scores = rfm_scores(recent)
    rows = []
    for customer in facts.customers:
        orders = facts.counted_by_customer.get(customer, [])
        r, f, m = scores.get(customer, (None, None, None))
        row = {"customer_id": customer, "r_score": r, "f_score": f, "m_score": m}
        row |= {"rfm_score": None, "rfm_segment": NONE}
        if r is not None and f is not None and m is not None:
            row |= {"rfm_score": 100 * r + 10 * f + m, "rfm_segment": rfm_segment(r, f, m)}
        of_customer = recent.get(customer, [])
        row["recent_order_day"] = max((order["day"] for order in of_customer), default=None)
        row["recent_orders"] = len(of_customer) or None
        row["recent_net_cents"] = sum(order["net_cents"] for order in of_customer) if of_customer else None
        rows.append(row | _by_history(facts, orders) | _cluster(facts, orders))
    return rows


def _cluster(facts: Facts, orders: list[Row]) -> Row:
    """The nearest cluster of the last fit that is not of a later day."""
    last = facts.last_fit("segment_cluster_fit")
    clusters = sorted((row for row in facts.given["segment_cluster_fit"] if row["fit_id"] == last), key=lambda row: row["cluster"])
    if not orders or not clusters:
        return {"cluster": None, "cluster_label": NONE}
    nearest = min(clusters, key=lambda row: distance(features(facts, orders), row))
    return {"cluster": nearest["cluster"], "cluster_label": nearest["label"]}


def features(facts: Facts, orders: list[Row]) -> tuple[float, ...]:
    """Recency, frequency, monetary, average order value, items, categories of a customer with these orders."""
    spend, recency = sum(row["net_cents"] for row in orders), (facts.as_of - max(row["day"] for row in orders)).days
    categories = {item["category"] for row in orders for item in row["items"] if item["category"] is not None}
    return recency, len(orders), spend, spend / len(orders), sum(row["units"] for row in orders), len(categories)


def distance(of: tuple[float, ...], cluster: Row) -> float:
    """Squared, over features in standard deviations."""
    return math.fsum(((x - c) / d) ** 2 for x, c, d in zip(of, cluster["centre"], cluster["deviation"], strict=True))


def recent_orders(facts: Facts) -> dict[str, list[Row]]:
    """The orders in the window, of the customers who have some."""
    window = facts.window(RFM_DAYS)
    return {
        customer: within
        for customer, orders in facts.counted_by_customer.items()
        if (within := [row for row in orders if row["day"].toordinal() in window])
    }


def rfm_scores(recent: Mapping[str, list[Row]]) -> dict[str, tuple[int, int, int]]:
    """The quintiles of recency, frequency and money of the customers with an order in the window."""
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


# From the snapshots: a row for each month and customer, with its segment of each kind


def due_month(facts: Facts, latest: date | None) -> date | None:
    """The month whose snapshot a refresh writes: the last that has ended, unless that was too long ago or it has one, or a later one."""
    month = month_of(month_of(facts.as_of + DAY) - DAY)
    is_late = (facts.as_of - (next_month(month) - DAY)).days > facts.thresholds.snapshot_late_days
    return None if is_late or (latest is not None and latest >= month) else month


def members(facts: Facts, month: date) -> list[Row]:
    """A snapshot of the customers as they are."""
    values = {row["customer_id"]: row["model_value"] for row in customer_value(facts)}
    rows = []
    for row in customer_segment(facts):
        customer = row["customer_id"]
        orders = facts.counted_by_customer.get(customer, [])
        of = {"month": month, "customer_id": customer, "as_of": facts.as_of, "model_value": values.get(customer), "orders": len(orders)}
        of |= {"net_cents": sum(order["net_cents"] for order in orders)}
        of |= {"recency_days": min(((facts.as_of - order["day"]).days for order in orders), default=None)}
        rows.append(of | {kind: row[column] for kind, column in KINDS.items()})
    return rows


def segment_snapshot(facts: Facts) -> list[Row]:
    """Those that there are, a row for each kind."""
    return [
        {"month": row["month"], "customer_id": row["customer_id"], "kind": kind, "segment": row[kind]}
        for row in facts.given["segment_member"]
        for kind in KINDS
    ]


def segment_migration(facts: Facts) -> list[Row]:
    """From the previous snapshot to each; who was not in that is new."""
    counts: Counter[tuple[date, str, str, str]] = Counter()
    for month, before, now in _pairs(facts):
        if before is None:
            continue
        for kind in KINDS:
            counts.update((month, kind, before[customer][kind] if customer in before else NEW, row[kind]) for customer, row in now.items())
    return [
        {"month": month, "kind": kind, "from_segment": old, "to_segment": new, "customers": count}
        for (month, kind, old, new), count in counts.items()
    ]


def segment_summary(facts: Facts) -> list[Row]:
    rows = []
    for month, before, now in _pairs(facts):
        for kind in KINDS:
            for segment, of in by_column(now.values(), kind).items():
                old = None if before is None else [row["customer_id"] for row in before.values() if row[kind] == segment]
                rows.append({"month": month, "kind": kind, "segment": segment} | _summary(of) | _of_month(facts, month, of, old))
    return rows


def _summary(of: list[Row]) -> Row:
    orders, net = sum(row["orders"] for row in of), sum(row["net_cents"] for row in of)
    return {
        "customers": len(of),
        "orders": orders,
        "avg_order_value": ratio(float(net), orders),
        "mean_spend": float(net) / len(of),
        "mean_orders": orders / len(of),
        "mean_recency_days": mean(row["recency_days"] for row in of if row["recency_days"] is not None),
        "mean_model_value": mean(row["model_value"] for row in of if row["model_value"] is not None),
    }


def _of_month(facts: Facts, month: date, of: list[Row], old: list[str] | None) -> Row:
    """What is known today of the month: what its members bought, and which of the previous members did."""
    within = [row for row in facts.counted if month <= row["day"] < next_month(month)]
    bought = {row["customer_id"] for row in within}
    last = {row["customer_id"]: row["day"] for row in sorted(facts.counted, key=lambda row: row["day"]) if row["day"] < month}
    dormant = [customer for customer in old or [] if customer in last and (month - last[customer]).days > COMEBACK_DAYS]
    now = {row["customer_id"] for row in of}
    return {
        "revenue": sum(row["net_cents"] for row in within if row["customer_id"] in now),
        "previous_members": None if old is None else len(old),
        "retention": ratio(len(bought.intersection(old or [])), len(old or [])),
        "reactivation": ratio(len(bought.intersection(dormant)), len(dormant)),
    }


Members = Mapping[str, Row]


def _pairs(facts: Facts) -> list[tuple[date, Members | None, Members]]:
    """Each snapshot of a month up to as_of, with the one before it."""
    by_month: dict[date, dict[str, Row]] = {}
    for row in facts.given["segment_member"]:
        if row["as_of"] <= facts.as_of:
            by_month.setdefault(row["month"], {})[row["customer_id"]] = row
    months = sorted(by_month)
    return [(month, by_month[months[place - 1]] if place else None, by_month[month]) for place, month in enumerate(months)]
