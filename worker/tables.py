"""The tables of aggregates as data: which there are, what each needs, and in which order they are merged."""

from collections.abc import Mapping
from dataclasses import dataclass

from worker.events import Stream


@dataclass(frozen=True, slots=True)
class Table:
    """A table of aggregates that can be switched off.

    `streams`: what it is made of. `needs`: tables that must be on for it to be on. `is_daily`: its rows are counted in revisions and
    kept when a day is sealed (keyed tables are dropped then).
    """

    name: str
    streams: frozenset[Stream]
    needs: tuple[str, ...] = ()
    is_daily: bool = True


_ORDERS = frozenset({Stream.ORDERS})
_TOUCHPOINTS = frozenset({Stream.TOUCHPOINTS})
_PRODUCTS = frozenset({Stream.PRODUCTS})

# In the order of merging: what a table needs comes before it.
TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table("customer_day", _ORDERS | _TOUCHPOINTS, is_daily=False),
        Table("customer_channel_day", _TOUCHPOINTS, is_daily=False),
        Table("customer_sales_day", _ORDERS, is_daily=False),
        Table("session_day", _TOUCHPOINTS, is_daily=False),
        Table("customer_first", _ORDERS | _TOUCHPOINTS, needs=("customer_day",), is_daily=False),
        Table("daily_sales", _ORDERS, needs=("customer_sales_day",)),
        Table("daily_region", _ORDERS),
        Table("hourly_sales", _ORDERS),
        Table("daily_category", _ORDERS),
        Table("daily_product_sales", _ORDERS),
        Table("daily_product_activity", _TOUCHPOINTS),
        Table("daily_stock", _PRODUCTS),
        Table("daily_channel", _TOUCHPOINTS),
        Table("daily_reach", _TOUCHPOINTS, needs=("customer_channel_day",)),
        Table("hourly_traffic", _TOUCHPOINTS),
        Table("daily_users", _ORDERS | _TOUCHPOINTS, needs=("customer_day", "customer_first")),
        Table("daily_sessions", _TOUCHPOINTS, needs=("session_day",)),
    )
}
