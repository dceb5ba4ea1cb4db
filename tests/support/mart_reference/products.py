"""product_performance, inventory_status, top_products.

Readings: a row for each product and month with a sale in the reporting currency or any activity. Name, category and subcategory come from
the product topic where it has the product, else category and subcategory from its latest order item. A day before the first stock reading
has no stock; the last reading before the month is carried into it. Elapsed days are those of the month up to as_of.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import date

from tests.support.mart_reference.events import DAY, Facts, by_column, days_from, mean, month_of, next_month, ratio
from tests.support.mart_reference.sales import TOP_DAYS, growth, top
from tests.support.reference import Row

SALES = ("orders", "units", "sales_cents", "cost_cents")
ACTIVITY = ("views", "reviews")
SCORES = ("scored_reviews", "score_sum")


def product_performance(facts: Facts) -> list[Row]:
    sums = _sums(facts)
    stock, names = by_column(facts.tables["daily_stock"], "product_id"), product_names(facts)
    rows = []
    for (product, month), of in sums.items():
        complete = next_month(month) - DAY <= facts.as_of
        before = sums.get((product, month_of(month - DAY))) if complete else None
        elapsed = days_from(month, min(next_month(month) - DAY, facts.as_of))
        readings = month_readings(stock.get(product, []), elapsed)
        average = mean(last for _, _, last in readings)
        rows.append(
            {"product_id": product, "month": month, "is_complete": complete}
            | names.get(product, dict.fromkeys(("name", "category", "subcategory")))
            | {
                "orders": of["orders"],
                "units_sold": of["units"],
                "revenue": of["sales_cents"],
                "profit": of["sales_cents"] - of["cost_cents"],
                "margin": ratio(of["sales_cents"] - of["cost_cents"], of["sales_cents"]),
                "revenue_growth": growth(of["sales_cents"], before["sales_cents"] if before else None),
                "units_growth": growth(of["units"], before["units"] if before else None),
                "stock_average": average,
                "stock_minimum": min((least for least, _, _ in readings), default=None),
                "stock_maximum": max((greatest for _, greatest, _ in readings), default=None),
                "days_of_inventory": ratio(average, of["units"] / len(elapsed)) if average is not None else None,
                "reviews": of["reviews"],
                "mean_score": ratio(of["score_sum"], of["scored_reviews"]),
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
    rows, names = [], product_names(facts)
    for product, readings in by_column(facts.tables["daily_stock"], "product_id").items():
        last = max(readings, key=lambda row: row["day"])
        row = {"product_id": product, "stock": last["stock_last"], "read_on": last["day"], "units": sold[product]}
        row |= {name: names.get(product, {}).get(name) for name in ("name", "category")}
        rows.append(row | {"days_left": ratio(last["stock_last"], sold[product] / 30)})
    return rows


def top_products(facts: Facts) -> list[Row]:
    names, window = product_names(facts), facts.window(TOP_DAYS)
    recent = [
        {name: row[name] for name in ("product_id", "orders", "units", "cost_cents")} | {"revenue": row["sales_cents"]}
        for row in facts.tables["daily_product_sales"]
        if row["currency"] == facts.currency and row["day"].toordinal() in window
    ]
    rows = top(recent, "product_id", ("orders", "units", "revenue", "cost_cents"))
    for row in rows:
        row["profit"] = row["revenue"] - row.pop("cost_cents")
        row |= {name: names.get(row["product_id"], {}).get(name) for name in ("name", "category")}
    return rows


def month_readings(readings: list[Row], days: list[date]) -> list[tuple[int, int, int]]:
    """The least, greatest and last level of each day, the last one carried forward over days without a reading."""
    by_day = {row["day"]: (row["stock_min"], row["stock_max"], row["stock_last"]) for row in readings}
    before = [day for day in by_day if day < days[0]]
    level = by_day[max(before)][2] if before else None
    levels = []
    for day in days:
        if day in by_day:
            level = by_day[day][2]
            levels.append(by_day[day])
        elif level is not None:
            levels.append((level, level, level))
    return levels


def product_day(facts: Facts) -> list[Row]:
    """What is said of a product in a day: the scores of its reviews, and the category of its latest counted item that has one."""
    rows: dict[tuple[date, str], Row] = {}

    def row_of(day: date, product: str) -> Row:
        empty = {"day": day, "product_id": product, "category": None, "subcategory": None, "scored_reviews": 0, "score_sum": 0}
        return rows.setdefault((day, product), empty)

    for order in sorted(facts.bought, key=lambda row: (row["ordered_at"], row["order_id"])):
        for item in order["items"]:
            if item["category"] is not None:
                row = row_of(order["day"], item["product_id"])
                row |= {"category": item["category"], "subcategory": item["subcategory"]}
    for touch in facts.touchpoints:
        if touch["event_type"] == "review" and touch["product_id"] is not None and touch["review_score"] is not None:
            row = row_of(touch["day"], touch["product_id"])
            row |= {"scored_reviews": row["scored_reviews"] + 1, "score_sum": row["score_sum"] + touch["review_score"]}
    return list(rows.values())


def _product_days(facts: Facts) -> list[Row]:
    return sorted([*facts.given["product_day"], *product_day(facts)], key=lambda row: row["day"])


def product_names(facts: Facts) -> dict[str, Row]:
    """Category and subcategory go together: the product topic's, or where it has no category, those of the latest item that has one."""
    names: dict[str, Row] = {}
    for row in _product_days(facts):
        if row["category"] is not None:
            names[row["product_id"]] = {"name": None, "category": row["category"], "subcategory": row["subcategory"]}
    for row in facts.tables["product"]:
        of_topic = {"category": row["category"], "subcategory": row["subcategory"]} if row["category"] is not None else {}
        nothing = dict.fromkeys(("name", "category", "subcategory"))
        names[row["product_id"]] = names.get(row["product_id"], nothing) | of_topic | {"name": row["name"]}
    return names


def _sums(facts: Facts) -> dict[tuple[str, date], dict[str, int]]:
    sums: dict[tuple[str, date], dict[str, int]] = defaultdict(lambda: dict.fromkeys((*SALES, *ACTIVITY, *SCORES), 0))
    sold = [row for row in facts.tables["daily_product_sales"] if row["currency"] == facts.currency]
    for rows, names in ((sold, SALES), (facts.tables["daily_product_activity"], ACTIVITY)):
        for row in rows:
            for name in names:
                sums[row["product_id"], month_of(row["day"])][name] += row[name]
    for row in _product_days(facts):
        for name in SCORES if row["scored_reviews"] else ():
            sums[row["product_id"], month_of(row["day"])][name] += row[name]
    return dict(sums)


def _rank(rows: list[Row], column: str, group: Callable[[Row], object]) -> None:
    groups: dict[object, list[Row]] = defaultdict(list)
    for row in rows:
        groups[group(row)].append(row)
    for members in groups.values():
        for rank, row in enumerate(sorted(members, key=lambda row: (-row["revenue"], row["product_id"])), 1):
            row[column] = rank
