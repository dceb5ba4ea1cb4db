"""daily_sales, daily_region, hourly_sales: what becomes of the tables when an order changes its mind."""

import pytest

from tests.sql.conftest import NewWorker
from tests.support.worker import Worker, line, order, tombstone


def sales(worker: Worker) -> list[tuple[object, ...]]:
    return worker.rows("daily_sales", "day", "currency", "region", "orders", "customers", "net_cents")


def test_a_refund_stays_an_order_and_takes_its_money_back(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05"), order("o2", "2026-03-05", customer_id="c2"))
    worker.feed(order("o1", "2026-03-05", updated="2026-03-06", status="REFUNDED", refunded_cents=400))
    assert worker.rows("daily_sales", "orders", "customers", "gross_cents", "refunded_cents", "net_cents") == [(2, 2, 2000, 400, 1600)]


def test_an_order_that_ceases_to_count_leaves_no_row_behind(worker: Worker) -> None:
    statuses = {"2026-03-05": "CANCELLED", "2026-03-06": "DELETED", "2026-03-07": "PLACED", "2026-03-08": "completed", "2026-03-09": ""}
    worker.feed(*(order("o1", day) for day in statuses))
    worker.feed(*(order("o1", day, updated="2026-03-10", status=status) for day, status in statuses.items()))
    for table in (
        "daily_sales",
        "daily_region",
        "hourly_sales",
        "daily_category",
        "daily_product_sales",
        "customer_sales_day",
        "customer_day",
    ):
        assert worker.rows(table) == [], table
    assert worker.rows("customer_first") == []
    assert worker.rows("daily_users") == []
    assert worker.rows("order_current", "day", "status", "counted") == [(day, status, False) for day, status in statuses.items()]


def test_a_deleted_order_is_revived_by_a_greater_version(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05"), order("o1", "2026-03-05", updated="2026-03-06", status="DELETED"))
    assert sales(worker) == []
    worker.feed(order("o1", "2026-03-05", updated="2026-03-07"))
    assert sales(worker) == [("2026-03-05", "USD", "(none)", 1, 1, 1000)]


def test_an_order_moves_to_another_customer_region_and_currency(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05", region="north"), order("o2", "2026-03-05", region="north"))
    worker.feed(order("o1", "2026-03-05", updated="2026-03-06", customer_id="c2", region="south", currency="EUR"))
    assert sales(worker) == [("2026-03-05", "EUR", "south", 1, 1, 1000), ("2026-03-05", "USD", "north", 1, 1, 1000)]
    assert worker.rows("customer_day", "customer_id", "orders", "orders_other_currency", "net_cents") == [
        ("c1", 1, 0, 1000),
        ("c2", 0, 1, 0),
    ]


def test_the_last_order_of_two_by_one_customer_takes_the_customer_along(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05"), order("o2", "2026-03-05"), order("o3", "2026-03-05", customer_id="c2"))
    worker.feed(order("o1", "2026-03-05", updated="2026-03-06", status="CANCELLED"))
    assert worker.rows("daily_sales", "orders", "customers") == [(2, 2)]
    worker.feed(order("o2", "2026-03-05", updated="2026-03-06", status="CANCELLED"))
    assert worker.rows("daily_sales", "orders", "customers") == [(1, 1)]


def test_a_version_on_another_day_is_another_row(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05"))
    worker.feed(order("o1", "2026-03-06", updated="2026-03-06"))
    assert worker.rows("daily_sales", "day", "orders") == [("2026-03-05", 1), ("2026-03-06", 1)]


def test_an_order_moves_to_another_hour_of_its_day(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05 08:00"))
    worker.feed(order("o1", "2026-03-05 23:59", updated="2026-03-06"))
    assert worker.rows("hourly_sales", "hour", "orders") == [(23, 1)]


def test_currencies_are_never_added_up(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05"), order("o2", "2026-03-05", currency="EUR"), order("o3", "2026-03-05", currency="usd"))
    assert worker.rows("hourly_sales", "currency", "orders", "net_cents") == [("EUR", 1, 1000), ("USD", 1, 1000), ("usd", 1, 1000)]
    assert worker.rows("customer_day", "orders", "orders_other_currency", "units", "net_cents") == [(1, 2, 1, 1000)]


def test_the_money_of_an_order(worker: Worker) -> None:
    """gross 2 · 10.00 + 1 · 5.00, less 1.00 off the order, 0.50 off an item and 3.00 refunded; tax and shipping stay outside."""
    items = [line(quantity=2, unit_cost_cents=600), line(product_id="p2", unit_price_cents=500, discount_cents=50)]
    worker.feed(order("o1", "2026-03-05", items=items, discount_cents=100, tax_cents=380, shipping_cents=490, refunded_cents=300))
    columns = ("units", "gross_cents", "discount_cents", "tax_cents", "shipping_cents", "refunded_cents", "net_cents", "cost_cents")
    assert worker.rows("daily_sales", *columns, "units_without_cost") == [(3, 2500, 150, 380, 490, 300, 2050, 1200, 1)]


def test_an_order_without_items_is_an_order_without_units(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05", items=[], discount_cents=100))
    assert worker.rows("daily_sales", "orders", "units", "gross_cents", "net_cents") == [(1, 0, 0, -100)]
    assert worker.rows("daily_product_sales") == []
    assert worker.rows("customer_day", "orders", "units", "net_cents") == [(1, 0, -100)]


def test_the_text_none_and_no_text_are_one_row(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05", city="(none)"), order("o2", "2026-03-05"), order("o3", "2026-03-05", city=""))
    assert worker.rows("daily_region", "city", "orders") == [("", 1), ("(none)", 2)]
    worker.feed(order("o1", "2026-03-05", updated="2026-03-06", city="(none)", status="CANCELLED"))
    assert worker.rows("daily_region", "city", "orders") == [("", 1), ("(none)", 1)]


def test_sums_grow_beyond_64_bits_and_come_back(worker: Worker) -> None:
    full = [line(quantity=1000, unit_price_cents=10**12, unit_cost_cents=10**12)]
    worker.feed(*(order(f"o{number}", "2026-03-05", items=full) for number in range(9300)))
    assert worker.rows("daily_sales", "gross_cents", "net_cents", "cost_cents") == [(9300 * 10**15,) * 3]
    assert worker.rows("daily_product_sales", "sales_cents") == [(9300 * 10**15,)]
    assert worker.rows("customer_day", "net_cents") == [(9300 * 10**15,)]
    assert worker.rows("hourly_sales", "net_cents") == [(9300 * 10**15,)]
    worker.feed(*(order(f"o{number}", "2026-03-05", updated="2026-03-06", status="CANCELLED") for number in range(200)))
    assert worker.rows("daily_sales", "net_cents") == [(9100 * 10**15,)]


@pytest.mark.parametrize(
    ("zone", "clocks"),
    [
        (
            "Europe/Berlin",
            [
                ("2025-10-26 00:30", "2025-10-26", 2),  # 02:30 for the first time
                ("2025-10-26 01:30", "2025-10-26", 2),  # and for the second
                ("2026-03-28 23:00", "2026-03-29", 0),
                ("2026-03-29 00:59", "2026-03-29", 1),
                ("2026-03-29 01:00", "2026-03-29", 3),  # 02:00 does not occur
            ],
        ),
        ("America/Sao_Paulo", [("2018-11-04 02:59", "2018-11-03", 23), ("2018-11-04 03:00", "2018-11-04", 1)]),  # the day begins at one
        ("Asia/Kathmandu", [("2026-03-05 18:14", "2026-03-05", 23), ("2026-03-05 18:15", "2026-03-06", 0)]),
        ("Pacific/Apia", [("2011-12-30 09:59", "2011-12-29", 23), ("2011-12-30 10:00", "2011-12-31", 0)]),  # there is no 30th
    ],
)
def test_day_and_hour_are_those_on_the_clock(new_worker: NewWorker, zone: str, clocks: list[tuple[str, str, int]]) -> None:
    worker = new_worker(time={"reporting_time_zone": zone})
    worker.feed(*(order(ordered_at, ordered_at) for ordered_at, _, _ in clocks))
    assert worker.rows("order_current", "order_id", "day", "hour") == clocks
    assert worker.rows("hourly_sales", "day", "hour") == sorted({(day, hour) for _, day, hour in clocks})


def test_the_total_of_a_day_adds_up_its_rows(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05", region="north"), order("o2", "2026-03-05", region="south", discount_cents=500))
    columns = ("orders", "average_order_cents", "items_per_order", "discount_rate", "margin")
    assert worker.rows("daily_sales_total", *columns) == [(2, 750.0, 1.0, 0.25, 1.0)]


def test_a_tombstone_of_an_id_on_two_days_covers_both(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05"), order("o1", "2026-03-06"), order("o2", "2026-03-06"))
    worker.feed(tombstone("orders", "o1", "2026-03-07"))
    assert worker.rows("daily_sales", "day", "orders") == [("2026-03-06", 1)]
