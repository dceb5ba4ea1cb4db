"""product_performance and inventory_status.

Readings: a row for each product and month with a sale in the reporting currency or any activity. Name, category and subcategory come from
the product topic where it has the product, else category and subcategory from its latest order item. A day before the first stock reading
has no stock; the last reading before the month is carried into it. Elapsed days are those of the month up to as_of.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import date

from tests.support.mart_reference.events import DAY, Facts, by_column, days_from, mean, month_of, next_month, ratio
from tests.support.mart_reference.sales import growth
from tests.support.reference import Row

SALES = ("orders", "units", "sales_cents", "cost_cents")
ACTIVITY = ("views", "cart_adds", "reviews", "review_score_sum")


def product_performance(facts: Facts) -> list[Row]:
    sums = _sums(facts)
    stock, names = by_column(facts.tables["daily_stock"], "product_id"), product_names(facts)
    rows = []
    for (product, month), of in sums.items():
        complete = next_month(month) - DAY <= facts.as_of
        before = sums.get((product, month_of(month - DAY))) if complete else None
        elapsed = days_from(month, min(next_month(month) - DAY, facts.as_of))
        average = stock_average(stock.get(product, []), elapsed)
        readings = [row for row in stock.get(product, []) if month_of(row["day"]) == month]
        rows.append(
            {"product_id": product, "month": month}
            | names.get(product, dict.fromkeys(("name", "category", "subcategory")))
            | {
                "orders": of["orders"],
                "units_sold": of["units"],
                "revenue_cents": of["sales_cents"],
                "profit_cents": of["sales_cents"] - of["cost_cents"],
                "margin": ratio(of["sales_cents"] - of["cost_cents"], of["sales_cents"]),
                "revenue_growth": growth(of["sales_cents"], before["sales_cents"] if before else None),
                "units_growth": growth(of["units"], before["units"] if before else None),
                "stock_average": average,
                "stock_min": min((row["stock_min"] for row in readings), default=None),
                "stock_max": max((row["stock_max"] for row in readings), default=None),
                "days_of_inventory": ratio(average, of["units"] / len(elapsed)) if average is not None else None,
                "reviews": of["reviews"],
                "mean_score": ratio(of["review_score_sum"], of["reviews"]),
                "views": of["views"],
                "view_to_purchase": ratio(of["orders"], of["views"]),
            }
        )
    _rank(rows, "rank_overall", lambda row: row["month"])
    _rank(rows, "rank_in_category", lambda row: (row["month"], row["category"]))
    return rows


def inventory_status(facts: Facts) -> list[Row]:
    sold: dict[str, int] = defaultdict(int)
    for row in facts.tables["daily_product_sales"]:
        if row["day"].toordinal() in facts.window(30) and row["currency"] == facts.currency:
            sold[row["product_id"]] += row["units"]
    rows = []
    for product, readings in by_column(facts.tables["daily_stock"], "product_id").items():
        last = max(readings, key=lambda row: row["day"])["stock_last"]
        rows.append({"product_id": product, "stock": last, "days_left": ratio(last, sold[product] / 30)})
    return rows


def stock_average(readings: list[Row], days: list[date]) -> float | None:
    """The daily last level, carried forward over days without a reading."""
    last = {row["day"]: row["stock_last"] for row in readings}
    level = max(((day, stock) for day, stock in last.items() if day < days[0]), default=(None, None))[1]
    levels = []
    for day in days:
        level = last.get(day, level)
        levels += [] if level is None else [level]
    return mean(levels)


def product_names(facts: Facts) -> dict[str, Row]:
    names: dict[str, Row] = {}
    for order in facts.counted:
        for item in order["items"]:
            names[item["product_id"]] = {"name": None, "category": item["category"], "subcategory": item["subcategory"]}
    for row in facts.tables["product"]:
        names[row["product_id"]] = {name: row[name] for name in ("name", "category", "subcategory")}
    return names


def _sums(facts: Facts) -> dict[tuple[str, date], dict[str, int]]:
    sums: dict[tuple[str, date], dict[str, int]] = defaultdict(lambda: dict.fromkeys((*SALES, *ACTIVITY), 0))
    sold = [row for row in facts.tables["daily_product_sales"] if row["currency"] == facts.currency]
    for rows, names in ((sold, SALES), (facts.tables["daily_product_activity"], ACTIVITY)):
        for row in rows:
            for name in names:
                sums[row["product_id"], month_of(row["day"])][name] += row[name]
    return dict(sums)


def _rank(rows: list[Row], column: str, group: Callable[[Row], object]) -> None:
    groups: dict[object, list[Row]] = defaultdict(list)
    for row in rows:
        groups[group(row)].append(row)
    for members in groups.values():
        for rank, row in enumerate(sorted(members, key=lambda row: (-row["revenue_cents"], row["product_id"])), 1):
            row[column] = rank
