"""Every keyed and daily table as a loop over accepted rows: group the rows by the table's key, then count and add up."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate

from tests.support.reference.decoding import Row

NONE = "(none)"
DAILY_AND_SEALED = (
    "daily_sales",
    "daily_region",
    "hourly_sales",
    "daily_category",
    "daily_product_sales",
    "daily_product_activity",
    "daily_channel",
    "daily_reach",
    "hourly_traffic",
    "daily_users",
    "daily_sessions",
)

SALES_MEASURES = (
    *("orders", "units", "gross_cents", "discount_cents", "tax_cents", "shipping_cents", "refunded_cents", "net_cents", "cost_cents"),
    "units_without_cost",
)


def grouped(rows: Iterable[Row], key: str, measures: Callable[[list[Row]], Row]) -> list[Row]:
    """One row for each value of the columns of `key` (a null there counts as "(none)") with what `measures` makes of its members."""
    columns = key.split()
    members = defaultdict(list)
    for row in rows:
        members[tuple(NONE if row[column] is None else row[column] for column in columns)].append(row)
    return [dict(zip(columns, values, strict=True)) | measures(group) for values, group in members.items()]


def total(rows: Iterable[Row], column: str) -> int:
    return sum(row[column] for row in rows if row[column] is not None)


def count(rows: Iterable[Row], column: str, *values: str) -> int:
    return sum(row[column] in values for row in rows)


def distinct(rows: Iterable[Row], column: str) -> int:
    return len({row[column] for row in rows if row[column] is not None})


def aggregates(rows: Mapping[str, list[Row]], reporting_currency: str, sealed_firsts: Iterable[Row]) -> dict[str, list[Row]]:
    """All keyed and daily tables of the days that are not sealed, from touchpoint, order_current, order_item and product_stock."""
    touchpoints = rows["touchpoint"]
    identified = [row for row in touchpoints if row["customer_id"] is not None]
    orders = [row for row in rows["order_current"] if row["counted"]]
    sold = sold_items(rows["order_item"], orders)
    days = customer_day(identified, orders, reporting_currency)
    sessions = session_day(touchpoints)
    firsts = customer_first(identified, orders, sealed_firsts)
    return {
        "customer_day": days,
        "customer_channel_day": grouped(identified, "day channel customer_id", touchpoints_and_cost),
        "customer_sales_day": grouped(orders, "day currency customer_segment region country customer_id", orders_units_net),
        "session_day": sessions,
        "customer_first": firsts,
        "daily_sales": daily_sales(orders),
        "daily_region": grouped(orders, "day currency region country state city", orders_units_net),
        "hourly_sales": grouped(orders, "day hour currency", lambda of: {"orders": len(of), "net_cents": total(of, "net_cents")}),
        "daily_category": grouped(sold, "day currency category subcategory", item_sales),
        "daily_product_sales": grouped(sold, "day currency product_id", item_sales),
        "daily_product_activity": daily_product_activity(touchpoints),
        "daily_stock": daily_stock(rows["product_stock"]),
        "daily_channel": daily_channel(touchpoints),
        "daily_reach": daily_reach(touchpoints),
        "hourly_traffic": grouped(touchpoints, "day hour event_type", lambda of: {"touchpoints": len(of)}),
        "daily_users": daily_users(days, firsts),
        "daily_sessions": daily_sessions(sessions),
    }


def views(rows: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """The views over the daily tables, sealed days included."""
    by_day = sorted(rows["daily_users"], key=lambda row: row["day"])
    customers = accumulate(row["new_customers"] for row in by_day)
    buyers = accumulate(row["new_buyers"] for row in by_day)
    running = [
        {"day": row["day"], "running_customers": running_customers, "running_buyers": running_buyers}
        for row, running_customers, running_buyers in zip(by_day, customers, buyers, strict=True)
    ]
    return {"daily_users_running": running, "daily_sales_total": daily_sales_total(rows["daily_sales"])}


def order_item(orders: Iterable[Row]) -> list[Row]:
    return [
        {"day": order["day"], "order_id": order["order_id"], "line": line} | item
        for order in orders
        for line, item in enumerate(order["items"], start=1)
    ]


def sold_items(items: Iterable[Row], counted_orders: Iterable[Row]) -> list[Row]:
    """The items of counted orders, each with its order's currency."""
    currency = {(order["day"], order["order_id"]): order["currency"] for order in counted_orders}
    return [item | {"currency": currency[key]} for item in items if (key := (item["day"], item["order_id"])) in currency]


def touchpoints_and_cost(rows: list[Row]) -> Row:
    return {"touchpoints": len(rows), "cost_cents": total(rows, "cost_cents")}


def orders_units_net(orders: list[Row]) -> Row:
    return {"orders": len(orders), "units": total(orders, "units"), "net_cents": total(orders, "net_cents")}


def item_sales(items: list[Row]) -> Row:
    gross = sum(item["quantity"] * item["unit_price_cents"] for item in items)
    return {
        "orders": distinct(items, "order_id"),
        "units": total(items, "quantity"),
        "gross_cents": gross,
        "sales_cents": gross - total(items, "discount_cents"),
        "cost_cents": sum(item["quantity"] * (item["unit_cost_cents"] or 0) for item in items),
    }


def customer_day(identified: list[Row], orders: list[Row], reporting_currency: str) -> list[Row]:
    def measures(rows: list[Row]) -> Row:
        touched = [row for row in rows if "event_id" in row]
        bought = [row for row in rows if "order_id" in row]
        reported = [row for row in bought if row["currency"] == reporting_currency]
        return {
            "touchpoints": len(touched),
            "page_views": count(touched, "event_type", "page_view"),
            "product_views": count(touched, "event_type", "product_view"),
            "cart_adds": count(touched, "event_type", "cart_add"),
            "checkout_starts": count(touched, "event_type", "checkout_start"),
            "purchases": count(touched, "event_type", "purchase"),
            "ad_clicks": count(touched, "event_type", "ad_click"),
            "emails_sent": count(touched, "event_type", "email_sent"),
            "email_opens": count(touched, "event_type", "email_open"),
            "email_clicks": count(touched, "event_type", "email_click"),
            "orders": len(reported),
            "orders_other_currency": len(bought) - len(reported),
            "units": total(reported, "units"),
            "net_cents": total(reported, "net_cents"),
        }

    return grouped([*identified, *orders], "day customer_id", measures)


def session_day(touchpoints: list[Row]) -> list[Row]:
    def measures(rows: list[Row]) -> Row:
        in_order = sorted(rows, key=lambda row: (row["occurred_at"], row["event_id"].encode("utf-8")))
        customers = [row["customer_id"] for row in in_order if row["customer_id"] is not None]
        return {
            "customer_id": customers[-1] if customers else None,
            "entry_channel": in_order[0]["channel"],
            "started_at": in_order[0]["occurred_at"],
            "ended_at": in_order[-1]["occurred_at"],
            "touchpoints": len(rows),
            "page_views": count(rows, "event_type", "page_view"),
            "product_views": count(rows, "event_type", "product_view"),
            "cart_adds": count(rows, "event_type", "cart_add"),
            "checkout_starts": count(rows, "event_type", "checkout_start"),
            "purchases": count(rows, "event_type", "purchase"),
        }

    return grouped(touchpoints, "day session_id", measures)


def customer_first(touchpoints: Iterable[Row], orders: Iterable[Row], sealed: Iterable[Row]) -> list[Row]:
    """Anonymous touchpoints and orders that do not count are left out; `sealed` are the firsts that sealed days left behind."""
    touched = defaultdict(list)
    bought = defaultdict(list)
    for row in touchpoints:
        if row["customer_id"] is not None:
            touched[row["customer_id"]].append(row["day"])
    for row in orders:
        if row["counted"]:
            bought[row["customer_id"]].append(row["day"])
    for row in sealed:
        if row["first_touch_day"] is not None:
            touched[row["customer_id"]].append(row["first_touch_day"])
        if row["first_order_day"] is not None:
            bought[row["customer_id"]].append(row["first_order_day"])
    return [
        {
            "customer_id": customer,
            "first_active_day": min(touched.get(customer, []) + bought.get(customer, [])),
            "first_touch_day": min(touched.get(customer, []), default=None),
            "first_order_day": min(bought.get(customer, []), default=None),
        }
        for customer in touched | bought
    ]


def daily_sales(orders: list[Row]) -> list[Row]:
    def measures(rows: list[Row]) -> Row:
        return {
            "orders": len(rows),
            "customers": distinct(rows, "customer_id"),
            "units": total(rows, "units"),
            "gross_cents": total(rows, "gross_cents"),
            "discount_cents": total(rows, "discount_total_cents"),
            "tax_cents": total(rows, "tax_cents"),
            "shipping_cents": total(rows, "shipping_cents"),
            "refunded_cents": total(rows, "refunded_cents"),
            "net_cents": total(rows, "net_cents"),
            "cost_cents": total(rows, "cost_cents"),
            "units_without_cost": total(rows, "units_without_cost"),
        }

    return grouped(orders, "day currency customer_segment region country", measures)


def daily_product_activity(touchpoints: list[Row]) -> list[Row]:
    def measures(rows: list[Row]) -> Row:
        reviews = [row for row in rows if row["event_type"] == "review"]
        return {
            "views": count(rows, "event_type", "product_view"),
            "cart_adds": count(rows, "event_type", "cart_add"),
            "reviews": len(reviews),
            "review_score_sum": total(reviews, "review_score"),
        }

    return grouped([row for row in touchpoints if row["product_id"] is not None], "day product_id", measures)


def daily_stock(readings: list[Row]) -> list[Row]:
    def measures(rows: list[Row]) -> Row:
        levels = [row["stock_level"] for row in rows]
        _, stock_last = max((row["updated_at"], row["stock_level"]) for row in rows)
        return {
            "readings": len(rows),
            "stock_min": min(levels),
            "stock_max": max(levels),
            "stock_sum": sum(levels),
            "stock_last": stock_last,
        }

    return grouped(readings, "day product_id", measures)


def daily_channel(touchpoints: list[Row]) -> list[Row]:
    def measures(rows: list[Row]) -> Row:
        return {
            "touchpoints": len(rows),
            "impressions": count(rows, "event_type", "impression"),
            "clicks": count(rows, "event_type", "ad_click", "email_click"),
            "cost_cents": total(rows, "cost_cents"),
        }

    return grouped(touchpoints, "day channel campaign", measures)


def daily_reach(touchpoints: list[Row]) -> list[Row]:
    return grouped(touchpoints, "day channel", lambda rows: touchpoints_and_cost(rows) | {"customers": distinct(rows, "customer_id")})


def daily_users(customer_days: list[Row], firsts: list[Row]) -> list[Row]:
    first_of = {row["customer_id"]: row for row in firsts}

    def measures(rows: list[Row]) -> Row:
        return {
            "active_customers": len(rows),
            "buyers": sum(row["orders"] > 0 or row["orders_other_currency"] > 0 for row in rows),
            "new_customers": sum(row["day"] == first_of[row["customer_id"]]["first_active_day"] for row in rows),
            "new_buyers": sum(row["day"] == first_of[row["customer_id"]]["first_order_day"] for row in rows),
        }

    return grouped(customer_days, "day", measures)


def daily_sessions(sessions: list[Row]) -> list[Row]:
    def measures(rows: list[Row]) -> Row:
        return {
            "sessions": len(rows),
            "with_page_view": sum(row["page_views"] > 0 for row in rows),
            "with_product_view": sum(row["product_views"] > 0 for row in rows),
            "with_cart_add": sum(row["cart_adds"] > 0 for row in rows),
            "with_checkout_start": sum(row["checkout_starts"] > 0 for row in rows),
            "with_purchase": sum(row["purchases"] > 0 for row in rows),
        }

    return grouped(sessions, "day entry_channel", measures)


def daily_sales_total(daily: list[Row]) -> list[Row]:
    """Sums of a day in one currency, and ratios of them where there is something to divide by."""

    def measures(rows: list[Row]) -> Row:
        sums = {column: total(rows, column) for column in SALES_MEASURES}
        orders, units, gross, net = sums["orders"], sums["units"], sums["gross_cents"], sums["net_cents"]
        return sums | {
            "average_order_cents": float(net) / orders,
            "items_per_order": float(units) / orders,
            "discount_rate": float(sums["discount_cents"]) / float(gross) if gross > 0 else None,
            "margin": float(net - sums["cost_cents"]) / float(net) if net > 0 else None,
        }

    return grouped(daily, "day currency", measures)
