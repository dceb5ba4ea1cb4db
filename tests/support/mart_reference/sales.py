"""finance_month, sales_trend, category_share, region_share, top_customers.

Readings: a trend is dense from the first day with sales in its currency to as_of; a day a month or a year before counts when the trend has
it. Shares are of the last 30 days, in the reporting currency. The top lists are of the last 90 days, by revenue, ties by id.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from tests.support.mart_reference.events import DAY, Facts, days_from, month_of, months_back, next_month, ratio
from tests.support.reference import Row

SHARE_DAYS = 30
TOP_DAYS = 90
TOP = 100
FINANCE = {
    "orders": "orders",
    "gross": "gross_cents",
    "discounts": "discount_cents",
    "refunds": "refunded_cents",
    "revenue": "net_cents",
    "tax": "tax_cents",
    "shipping": "shipping_cents",
    "cost": "cost_cents",
    "units_without_cost": "units_without_cost",
}


def finance_month(facts: Facts) -> list[Row]:
    sums: dict[tuple[date, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(FINANCE, 0))
    changed: dict[tuple[date, str], int] = defaultdict(int)
    for row in facts.tables["daily_sales"]:
        for name, column in FINANCE.items():
            sums[month_of(row["day"]), row["currency"]][name] += row[column]
    for row in facts.given["ledger_sales"]:
        changed[month_of(row["day"]), row["currency"]] += row["net_cents"] if row["day"] <= facts.as_of else 0
    for key in (key for key, cents in changed.items() if cents):
        sums[key]  # nothing may be left of what was taken away
    return [
        {"month": month, "currency": currency, **of}
        | {"profit": of["revenue"] - of["cost"]}
        | {"margin": ratio(of["revenue"] - of["cost"], of["revenue"]), "changed_after_close": changed[month, currency]}
        | {"is_complete": next_month(month) - DAY <= facts.as_of}
        for (month, currency), of in sums.items()
    ]


def sales_trend(facts: Facts) -> list[Row]:
    by_currency: dict[str, dict[date, tuple[int, int]]] = defaultdict(dict)
    for row in facts.tables["daily_sales"]:
        orders, net_cents = by_currency[row["currency"]].get(row["day"], (0, 0))
        by_currency[row["currency"]][row["day"]] = (orders + row["orders"], net_cents + row["net_cents"])
    rows = []
    for currency, by_day in by_currency.items():
        days = days_from(min(by_day), facts.as_of)
        net = {day: by_day.get(day, (0, 0))[1] for day in days}
        for place, day in enumerate(days):
            rows.append(
                {
                    "day": day,
                    "currency": currency,
                    "revenue": net[day],
                    "orders": by_day.get(day, (0, 0))[0],
                    "moving_average": sum(net[day - DAY * back] for back in range(7)) / 7 if place >= 6 else None,
                    "mom": growth(net[day], net.get(months_back(day, 1))),
                    "yoy": growth(net[day], net.get(months_back(day, 12))),
                }
            )
    return rows


def growth(now: float, before: float | None) -> float | None:
    """Null where there is no before, or where it is 0 or less."""
    return None if before is None else ratio(now - before, before)


def category_share(facts: Facts) -> list[Row]:
    return _shares(facts, "daily_category", "category", {"units": "units", "revenue": "sales_cents"})


def region_share(facts: Facts) -> list[Row]:
    return _shares(facts, "daily_region", "region", {"orders": "orders", "units": "units", "revenue": "net_cents"})


def _shares(facts: Facts, table: str, column: str, measures: Mapping[str, str]) -> list[Row]:
    sums: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(measures, 0))
    window = facts.window(SHARE_DAYS)
    for row in facts.tables[table]:
        if row["currency"] == facts.currency and row["day"].toordinal() in window:
            of = sums[row[column]]
            for name, measure in measures.items():
                of[name] += row[measure]
    whole = sum(of["revenue"] for of in sums.values())
    return [{column: key} | of | {"share": ratio(of["revenue"], whole)} for key, of in sums.items()]


def top_customers(facts: Facts, days: int = TOP_DAYS, count: int = TOP) -> list[Row]:
    recent = [row for row in facts.counted if row["day"].toordinal() in facts.window(days)]
    sold = ({"customer_id": row["customer_id"], "orders": 1, "units": row["units"], "revenue": row["net_cents"]} for row in recent)
    return top(sold, "customer_id", ("orders", "units", "revenue"), count)


def top(sold: Iterable[Row], column: str, measures: Sequence[str], count: int = TOP) -> list[Row]:
    """The keys in `column` with the greatest sums of revenue."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(measures, 0))
    for row in sold:
        for name in measures:
            sums[row[column]][name] += row[name]
    best = sorted(sums, key=lambda key: (-sums[key]["revenue"], key))[:count]
    return [{column: key, "rank": rank} | sums[key] for rank, key in enumerate(best, 1)]
