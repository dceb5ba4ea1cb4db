"""The marts of examples/marts/ in plain Python, written from what their headers and columns say."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date

from tests.support.mart_reference import cohorts
from tests.support.mart_reference.events import Facts, by_column
from tests.support.reference import Row

MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"]


def sales_pivot(facts: Facts) -> list[Row]:
    return pivot(facts, "daily_category", "category", "sales_cents")


def pivot(facts: Facts, table: str, dimension: str, measure: str) -> list[Row]:
    """Of any table with `day` and `currency`: the measure by the dimension, a column for each month."""
    found: dict[tuple[int, str], Row] = {}
    for row in facts.tables[table]:
        if row["currency"] != facts.currency:
            continue
        year, value = row["day"].year, row[dimension]
        cells = found.setdefault((year, value), {"year": year, "dimension": value, **dict.fromkeys(MONTHS), "total": 0})
        for column in (MONTHS[row["day"].month - 1], "total"):
            cells[column] = (cells[column] or 0) + row[measure]
    return list(found.values())


def user_cohort(facts: Facts) -> list[Row]:
    """Three rows for each customer whose first order is there."""
    orders = by_column(facts.bought, "customer_id")
    touches = by_column(facts.touchpoints, "customer_id")
    found = []
    for first in facts.tables["customer_first"]:
        customer, day = first["customer_id"], first["first_order_day"]
        that_day = [order for order in orders.get(customer, []) if order["day"] == day]
        if not that_day:
            continue
        order = min(that_day, key=lambda order: (order["ordered_at"], order["order_id"]))
        before = [touch for touch in touches.get(customer, []) if touch["day"] == day and touch["occurred_at"] <= order["ordered_at"]]
        last = max(before, key=lambda touch: (touch["occurred_at"], touch["event_id"]), default=None)
        category = order["items"][0]["category"] if order["items"] else None
        names = (
            f"channel: {last['channel'] if last else '(none)'}",
            f"category: {category or '(none)'}",
            f"price: {'reduced' if order['discount_total_cents'] else 'full'}",
        )
        found += [{"customer_id": customer, "cohort_name": name, "cohort_date": day} for name in names]
    return found


def _user_cohorts(facts: Facts) -> Iterable[tuple[str, str, date]]:
    for row in [*facts.given["user_cohort"], *user_cohort(facts)]:
        yield row["customer_id"], row["cohort_name"], row["cohort_date"]


def cohort_retention(facts: Facts) -> list[Row]:
    return cohorts.cohort_retention(facts, _user_cohorts(facts))


EXAMPLES: Mapping[str, Callable[[Facts], list[Row]]] = {
    "sales_pivot": sales_pivot,
    "user_cohort": user_cohort,
    "cohort_retention": cohort_retention,
    "cohort_summary": lambda facts: cohorts.cohort_summary(cohort_retention(facts)),
    "active_day": cohorts.active_day,
}
