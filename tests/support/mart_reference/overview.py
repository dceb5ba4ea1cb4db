"""customer_overview and what it is made of.

Readings: a row for each customer who was active or is in the customer topic; segments and values are those of customer_segment and
customer_value. City, state and country come from the customer topic as a whole row where it has the customer, else from the latest order.
Orders are those in the reporting currency, but any counted order keeps a cart from being abandoned. Rates of mail are of what was sent. A
customer's age begins with the sign-up, if that is not ahead, or earlier activity.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

from tests.support.mart_reference.events import Facts, by_column, ratio
from tests.support.mart_reference.segments import customer_segment
from tests.support.mart_reference.value import customer_value
from tests.support.reference import Row

AFTER_SESSION = timedelta(hours=24)
WINDOWS = (30, 90)
SEGMENTS = ("rfm_segment", "recency_segment", "frequency_segment", "monetary_segment", "value_tier", "lifecycle_stage", "cluster_label")
VALUES = ("churn_probability", "heuristic_value_12m", "value_3y", "value_quartile", "p_alive", "expected_orders", "model_value")
OF_PERSONS = ("name", "is_new", "city", "state", "country", "customer_unique_id", "signed_up_at")
NOT_NUMBERS = (*OF_PERSONS, "first_order_date", "last_order_date", "preferred_category", "second_category", *SEGMENTS, "value_quartile")


def open_carts(facts: Facts) -> list[Row]:
    """Sessions with a cart_add, no purchase, no order of their customer until 24 h after their end; is_pending: that is not over."""
    orders = by_column(facts.bought, "customer_id")
    carts = [row for row in facts.sessions.values() if row["customer_id"] is not None and row["cart_adds"] and not row["purchases"]]

    def is_ordered(session: Row) -> bool:
        until = session["ended_at"] + AFTER_SESSION
        return any(session["started_at"] <= row["ordered_at"] <= until for row in orders.get(session["customer_id"], []))

    return [row | {"is_pending": row["ended_at"] + AFTER_SESSION > facts.end} for row in carts if not is_ordered(row)]


def customer_features(facts: Facts) -> list[Row]:
    """The numeric columns."""
    return [{name: value for name, value in row.items() if name not in NOT_NUMBERS} for row in customer_overview(facts)]


def customer_overview(facts: Facts) -> list[Row]:
    topic = {row["customer_id"]: row for row in facts.tables["customer"]}
    firsts = {row["customer_id"]: row for row in facts.tables["customer_first"]}
    orders, latest = facts.counted_by_customer, by_column(facts.bought, "customer_id")
    days = by_column(facts.tables["customer_day"], "customer_id")
    sessions = by_column([row for row in facts.sessions.values() if row["customer_id"] is not None], "customer_id")
    carts = by_column(open_carts(facts), "customer_id")
    segments = {row["customer_id"]: row for row in customer_segment(facts)}
    values = {row["customer_id"]: row for row in customer_value(facts)}
    rows = []
    for customer in facts.customers:
        row: Row = {"customer_id": customer} | _who(facts, topic.get(customer), latest.get(customer, []), firsts.get(customer))
        row |= _bought(facts, orders.get(customer, []))
        row["orders_other_currency"] = sum(order["currency"] != facts.currency for order in latest.get(customer, []))
        row |= {name: segments[customer][name] for name in ("rfm_score", *SEGMENTS)}
        row |= {name: values.get(customer, {}).get(name) for name in VALUES}
        row["pending_cart_count"] = sum(row["is_pending"] for row in carts.get(customer, []))
        row |= _counts(days.get(customer, []), sessions.get(customer, []), carts.get(customer, []), orders.get(customer, []))
        for window in WINDOWS:
            recent = [
                [row for row in of.get(customer, []) if row["day"].toordinal() in facts.window(window)]
                for of in (days, sessions, carts, orders)
            ]
            row |= {f"{name}_{window}d": value for name, value in _counts(*recent).items()}
        rows.append(row)
    return rows


def _who(facts: Facts, topic: Row | None, orders: list[Row], firsts: Row | None) -> Row:
    latest = max(orders, key=lambda row: (row["ordered_at"], row["order_id"]), default=None)
    place = topic or latest or {}
    signed_up = topic["signed_up_at"] if topic else None
    first_active = firsts["first_active_day"] if firsts else None
    known = [day for day in (first_active, facts.local_day(signed_up) if signed_up else None) if day is not None and day <= facts.as_of]
    return {
        "customer_unique_id": topic["customer_unique_id"] if topic else None,
        "name": topic["name"] if topic else None,
        "city": place.get("city"),
        "state": place.get("state"),
        "country": place.get("country"),
        "signed_up_at": signed_up,
        "customer_age_days": (facts.as_of - min(known)).days if known else None,
        "is_new": first_active is None or (facts.as_of - first_active).days < 30,
    }


def _bought(facts: Facts, orders: list[Row]) -> Row:
    days = sorted({row["day"] for row in orders})
    spend = sum(row["net_cents"] for row in orders)
    units: dict[str, int] = defaultdict(int)
    for order in orders:
        for item in order["items"]:
            if item["category"] is not None:
                units[item["category"]] += item["quantity"]
    by_units = [*sorted(units, key=lambda name: (-units[name], name)), None, None]
    return {
        "avg_order_value": ratio(spend, len(orders)),
        "first_order_date": days[0] if days else None,
        "last_order_date": days[-1] if days else None,
        "days_since_last_order": (facts.as_of - days[-1]).days if days else None,
        "lifetime_days": (days[-1] - days[0]).days if days else None,
        "purchase_frequency_days": (days[-1] - days[0]).days / (len(orders) - 1) if len(orders) > 1 else None,
        "items": sum(row["units"] for row in orders),
        "categories": len(units),
        "preferred_category": by_units[0],
        "second_category": by_units[1],
    }


def _counts(days: Iterable[Row], sessions: Iterable[Row], carts: Iterable[Row], orders: list[Row]) -> Row:
    sums: dict[str, int] = defaultdict(int)
    for row in days:
        for name, value in row.items():
            sums[name] += value if isinstance(value, int) else 0
    return {
        "order_count": len(orders),
        "total_spend": sum(row["net_cents"] for row in orders),
        "website_visits": len(list(sessions)),
        "product_views": sums["product_views"],
        "cart_additions": sums["cart_adds"],
        "purchases": sums["purchases"],
        "abandoned_cart_count": sum(not row["is_pending"] for row in carts),
        "email_open_rate": ratio(sums["email_opens"], sums["emails_sent"]),
        "email_click_rate": ratio(sums["email_clicks"], sums["emails_sent"]),
    }
