"""Ranges of days that fit into memory."""

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb

_ROWS_AT_ONCE = 2_000_000  # event rows read in one go: what bounds the memory


def day_ranges(
    connection: duckdb.DuckDBPyConnection, first: date | None, last: date | None, sealed_before: date | None
) -> Iterator[tuple[date, date]]:
    """Ranges that together are all the days from `first` to `last` that are not sealed, each with about as many rows as fit into memory."""
    low, end, rows = max(first or date.min, sealed_before or date.min), last or date.max, 0
    counts: list[tuple[date, int]] = connection.execute(
        "select day, sum(rows) from (select day, count(*) as rows from touchpoint group by day union all "
        "select day, count(*) from order_current group by day union all select day, count(*) from product_stock group by day) "
        "where day >= $first and day < $last group by day order by day",
        {"first": low, "last": end},
    ).fetchall()
    for day, count in counts:
        rows += count
        if rows >= _ROWS_AT_ONCE:
            yield low, day
            low, rows = day + timedelta(days=1), 0
    if low <= end:
        yield low, end
