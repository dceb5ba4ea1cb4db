"""Marts of a user, with what the reference makes of them: one like a built-in one, one whose unit is a month, one merged by key."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path

from tests.support.mart_reference import EXPECTED, Expected, Facts, sales
from tests.support.mart_reference.events import month_of
from tests.support.reference import Row
from worker.config import Marts
from worker.marts.collection import all_marts
from worker.marts.definition import Mart

FILES = {
    "best_two": """\
-- best_two: the two best customers of a week.
/*
like = "top_customers"
[parameters]
top_days = 7
top_count = 2
*/
""",
    "month_traffic": """\
-- month_traffic: touchpoints and orders by month.
-- grain: (month)   reads: daily_reach, daily_sales
/*
unit = "month"
[columns]
month = { about = "its first day" }
touchpoints = { about = "touchpoints" }
orders = { about = "counted orders of all currencies" }
*/
select cast(date_trunc('month', day) as date) as month, cast(sum(touchpoints) as bigint) as touchpoints,
       cast(sum(orders) as bigint) as orders
from (
    select day, touchpoints, 0 as orders from daily_reach
    union all
    select day, 0, orders from daily_sales
) as counted
group by cast(date_trunc('month', day) as date)
""",
    "completed_order": """\
-- completed_order: orders that are completed; one that is no more is marked by the next full refresh.
-- grain: (day, order_id)   reads: order_current
/*
unit = "merge"
version = "updated_at"
[columns]
day = { about = "its day" }
order_id = { about = "the order" }
updated_at = { about = "its version" }
status = { about = "its status" }
net_cents = { about = "its net" }
*/
select day, order_id, updated_at, status, net_cents from order_current where status = 'COMPLETED'
""",
}
COMPLETED = ("day", "order_id", "updated_at", "status", "net_cents")


def user_marts(directory: Path) -> Mapping[str, Mart]:
    """All marts that there are with those of FILES, which are put into the directory."""
    directory.mkdir()
    for name, text in FILES.items():
        (directory / f"{name}.sql").write_text(text)
    return all_marts(Marts(directory=directory))


def month_traffic(facts: Facts) -> list[Row]:
    counts: Mapping[str, Counter[date]] = {"touchpoints": Counter(), "orders": Counter()}
    for table, name in (("daily_reach", "touchpoints"), ("daily_sales", "orders")):
        for row in facts.tables[table]:
            counts[name][month_of(row["day"])] += row[name]
    months = counts["touchpoints"].keys() | counts["orders"].keys()
    return [{"month": month} | {name: counts[name][month] for name in counts} for month in months]


def merged_orders(before: Iterable[Row], facts: Facts, at: datetime, *, is_full: bool) -> list[Row]:
    """completed_order after a refresh: of a key the newer version, or any if it was marked; a full refresh marks what is gone."""
    standing = {(row["day"], row["order_id"]): row for row in before}
    there = {(row["day"], row["order_id"]): {name: row[name] for name in COMPLETED} for row in facts.orders if row["status"] == "COMPLETED"}
    for key, row in there.items():
        old = standing.get(key)
        if old is None or old["_is_deleted"] or row["updated_at"] > old["updated_at"]:
            standing[key] = {**row, "_is_deleted": False, "_deleted_at": None}
    for key, row in standing.items():
        if is_full and key not in there and not row["_is_deleted"]:
            standing[key] = {**row, "_is_deleted": True, "_deleted_at": at}
    return list(standing.values())


MERGED = {"completed_order": merged_orders}

USERS_EXPECTED: Mapping[str, Expected] = {
    **EXPECTED,
    "best_two": lambda facts: sales.top_customers(facts, days=7, count=2),
    "month_traffic": month_traffic,
}
