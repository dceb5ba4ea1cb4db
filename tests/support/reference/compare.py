"""Expected and actual rows side by side, in sentences."""

from collections.abc import Iterable, Mapping

from tests.support.reference.decoding import Row

KEYS = {
    "touchpoint": "day event_id",
    "order_current": "day order_id",
    "order_item": "day order_id line",
    "order_tombstone": "order_id",
    "customer": "customer_id",
    "product": "product_id",
    "product_stock": "product_id updated_at stock_level",
    "customer_day": "day customer_id",
    "customer_channel_day": "day channel customer_id",
    "customer_sales_day": "day currency customer_segment region country customer_id",
    "session_day": "day session_id",
    "customer_first": "customer_id",
    "daily_sales": "day currency customer_segment region country",
    "daily_region": "day currency region country state city",
    "hourly_sales": "day hour currency",
    "daily_category": "day currency category subcategory",
    "daily_product_sales": "day currency product_id",
    "daily_product_activity": "day product_id",
    "daily_stock": "day product_id",
    "daily_channel": "day channel campaign",
    "daily_reach": "day channel",
    "hourly_traffic": "day hour event_type",
    "daily_users": "day",
    "daily_sessions": "day entry_channel",
    "daily_users_running": "day",
    "daily_sales_total": "day currency",
}


def differences(expected: Mapping[str, Iterable[Row]], actual: Mapping[str, Iterable[Row]]) -> list[str]:
    """What is not as it should be in the tables of `actual`, such as "daily_users 2026-03-05: new_customers expected 1, is 0".

    Each table of `actual` is compared with the one of that name in `expected`, in the columns that are expected; values must be
    equal and of one type.
    """
    return [line for name, rows in actual.items() for line in _table_differences(name, list(expected[name]), list(rows))]


def _table_differences(name: str, expected: list[Row], actual: list[Row]) -> list[str]:
    key = KEYS[name].split()
    wanted = {_key(row, key): row for row in expected}
    found = {_key(row, key): row for row in actual}
    assert len(wanted) == len(expected), f"{name}: the expected rows have a key twice"
    lines = [f"{name}: {len(actual) - len(found)} keys more than once"] if len(found) < len(actual) else []
    lines += [f"{name} {_shown(values)}: expected, is not there" for values in wanted.keys() - found.keys()]
    lines += [f"{name} {_shown(values)}: is there, not expected" for values in found.keys() - wanted.keys()]
    for values in wanted.keys() & found.keys():
        for column, value in wanted[values].items():
            there = found[values][column]
            if type(there) is not type(value) or there != value:
                lines.append(f"{name} {_shown(values)}: {column} expected {value!r}, is {there!r}")
    return sorted(lines)


def _key(row: Row, columns: list[str]) -> tuple[object, ...]:
    return tuple(row[column] for column in columns)


def _shown(values: tuple[object, ...]) -> str:
    return " ".join(str(value) if len(str(value)) < 60 else f"{str(value)[:57]}..." for value in values)
