"""The rows that flow through the approaches: raw and staged events, tombstones, and the two daily tables that all of them make.

Each table has the columns that are read of it. The sums of an order come with it, as decode gives them: its lines would be wider.
"""

from collections.abc import Mapping

import pyarrow as pa

TOUCHPOINT_KEY = ("day", "event_uuid")
REACHED = ("day", "channel", "customer_id", "cost_cents")  # the columns of a touchpoint that daily_reach is made of
TOUCHPOINT = pa.schema(
    [
        ("day", pa.date32()),
        ("event_uuid", pa.binary(16)),
        ("channel", pa.string()),
        ("customer_id", pa.string()),
        ("cost_cents", pa.int64()),
    ]
)

# A sum of an order, and its name in daily_sales.
SUMS: Mapping[str, str] = {
    "units": "units",
    "gross_cents": "gross_cents",
    "discount_total_cents": "discount_cents",
    "tax_cents": "tax_cents",
    "shipping_cents": "shipping_cents",
    "refunded_cents": "refunded_cents",
    "net_cents": "net_cents",
    "cost_cents": "cost_cents",
    "units_without_cost": "units_without_cost",
}
ORDER_KEY = ("day", "order_id")
VERSION = ("updated_at", "offset")  # the greater one wins
ORDER = pa.schema(
    [
        ("day", pa.date32()),
        ("order_id", pa.string()),
        ("updated_at", pa.timestamp("us")),
        ("offset", pa.int64()),
        ("status", pa.string()),
        ("currency", pa.string()),
        ("customer_segment", pa.string()),
        ("region", pa.string()),
        ("country", pa.string()),
        ("customer_id", pa.string()),
        *((name, pa.int64()) for name in SUMS),
    ]
)
COUNTED = ("COMPLETED", "REFUNDED")
TOMBSTONE = pa.schema([("order_id", pa.string()), ("updated_at", pa.timestamp("us")), ("offset", pa.int64())])

KEYS: Mapping[str, tuple[str, ...]] = {
    "daily_reach": ("day", "channel"),
    "daily_sales": ("day", "currency", "customer_segment", "region", "country"),
}
MEASURES: Mapping[str, tuple[str, ...]] = {
    "daily_reach": ("touchpoints", "customers", "cost_cents"),
    "daily_sales": ("orders", "customers", *SUMS.values()),
}
DAILY: Mapping[str, pa.Schema] = {
    table: pa.schema(
        [("day", pa.date32()), *((name, pa.string()) for name in KEYS[table][1:]), *((name, pa.int64()) for name in MEASURES[table])]
    )
    for table in KEYS
}


def in_order(table: str, rows: pa.Table) -> pa.Table:
    """The rows of a daily table with its columns, types and order: equal tables are then equal."""
    schema = DAILY[table]
    return rows.select(schema.names).cast(schema).sort_by([(name, "ascending") for name in KEYS[table]]).combine_chunks()
