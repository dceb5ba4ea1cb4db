"""The contract's SELECTs, word for word (contract_selects/), over accepted rows in a DuckDB of their own."""

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from tests.support.reference import Row

SELECTS = Path(__file__).parent / "contract_selects"
TABLES = (  # in an order in which each finds the tables that it reads
    *("customer_day", "customer_channel_day", "customer_sales_day", "session_day", "customer_first"),
    *("daily_sales", "daily_region", "hourly_sales", "daily_category", "daily_product_sales", "daily_product_activity", "daily_stock"),
    *("daily_channel", "daily_reach", "hourly_traffic", "daily_users", "daily_sessions"),
)
SOURCES = {
    "touchpoint": """day date, hour int, event_id text, customer_id text, session_id text, occurred_at time, event_type text, channel text,
        campaign text, product_id text, cost_cents int, review_score int""",
    "order_current": """day date, hour int, order_id text, customer_id text, currency text, customer_segment text, region text,
        country text, state text, city text, tax_cents int, shipping_cents int, refunded_cents int, units int, gross_cents int,
        discount_total_cents int, net_cents int, cost_cents int, units_without_cost int, counted bool""",
    "order_item": """day date, order_id text, line int, product_id text, category text, subcategory text, quantity int,
        unit_price_cents int, discount_cents int, unit_cost_cents int""",
    "product_stock": "day date, product_id text, updated_at time, stock_level int",
}
KINDS = {"date": pa.date32(), "int": pa.int64(), "text": pa.string(), "time": pa.timestamp("us"), "bool": pa.bool_()}


def contract_tables(accepted: Mapping[str, list[Row]], reporting_currency: str) -> dict[str, list[Row]]:
    """Every keyed and daily table, as the contract's SELECTs make it of touchpoint, order_current, order_item and product_stock."""
    with duckdb.connect() as connection:
        for name, columns in SOURCES.items():
            schema = pa.schema([(column, KINDS[kind]) for column, kind in (word.split() for word in columns.split(","))])
            connection.register("rows", pa.Table.from_pylist(accepted[name], schema))
            connection.execute(f"create table {name} as from rows")
        for name in TABLES:
            select = (SELECTS / f"{name}.sql").read_text()
            parameters = {"reporting_currency": reporting_currency} if "$reporting_currency" in select else None
            connection.execute(f"create table {name} as {select}", parameters)
        return {name: selected(connection, f"from {name}") for name in TABLES}


def selected(connection: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    """The rows of a query as dicts (through Arrow, 128-bit sums would come as decimals)."""
    cursor = connection.execute(query)
    columns = [column[0] for column in cursor.description or ()]
    return [dict(zip(columns, values, strict=True)) for values in cursor.fetchall()]
