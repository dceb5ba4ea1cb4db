"""sales_trend, finance_month, category_share, region_share, top_customers, dim_date: small shops, figures to check by eye."""

from tests.sql.conftest import NewWorker
from tests.support.marts import Marts
from tests.support.worker import Worker, line, order, product, touch
from worker.marts.audits import Auditor


def test_a_trend_has_every_day_from_its_currencys_first_to_as_of(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-02"), order("o2", "2026-03-04"), order("o3", "2026-03-04", currency="EUR"), close="2026-03-05")
    marts = Marts(worker)
    marts.refresh("sales_trend")
    assert marts.rows("sales_trend", "currency", "day", "orders", "revenue") == [
        ("EUR", "2026-03-04", 1, 1000),
        ("EUR", "2026-03-05", 0, 0),
        ("USD", "2026-03-02", 1, 1000),
        ("USD", "2026-03-03", 0, 0),
        ("USD", "2026-03-04", 1, 1000),
        ("USD", "2026-03-05", 0, 0),
    ]


def test_the_moving_average_waits_for_seven_days_and_counts_those_without_sales(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-01"), order("o2", "2026-03-07", items=[line(unit_price_cents=6000)]), close="2026-03-08")
    marts = Marts(worker)
    marts.refresh("sales_trend")
    averages = marts.rows("sales_trend", "day", "moving_average")
    assert averages[5:] == [("2026-03-06", None), ("2026-03-07", 1000.0), ("2026-03-08", 6000 / 7)]


def test_growth_looks_at_the_same_day_number_clamped_to_the_months_end(worker: Worker) -> None:
    sold = {"2024-02-29": 100, "2025-02-28": 200, "2025-03-28": 300, "2025-03-31": 500, "2026-02-28": 400}
    worker.feed(*(order(f"o{day}", day, items=[line(unit_price_cents=cents)]) for day, cents in sold.items()), close="2026-03-31")
    marts = Marts(worker)
    marts.refresh("sales_trend")
    found = {day: (mom, yoy) for day, mom, yoy in marts.rows("sales_trend", "day", "mom", "yoy")}
    assert found["2025-02-28"] == (None, None)  # neither 28 January 2025 nor 28 February 2024 had sales
    assert found["2025-03-28"] == (0.5, None)
    assert found["2025-03-31"] == (1.5, None)  # against 28 February
    assert found["2026-02-28"] == (None, 1.0)
    assert found["2026-03-31"] == (-1.0, -1.0)


def test_a_day_that_lost_money_is_no_divisor(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05", status="REFUNDED", refunded_cents=3000), order("o2", "2026-04-05"), close="2026-04-05")
    marts = Marts(worker)
    marts.refresh("sales_trend", "finance_month", "region_share")
    assert marts.rows("sales_trend", "day", "revenue", "mom")[-1] == ("2026-04-05", 1000, None)
    assert marts.rows("finance_month", "month", "revenue", "margin") == [("2026-03-01", -2000, None), ("2026-04-01", 1000, 1.0)]


def test_a_month_says_what_was_booked_after_its_days_had_closed(worker: Worker) -> None:
    item = line(quantity=2, unit_price_cents=1000, discount_cents=100, unit_cost_cents=400)
    worker.feed(order("o1", "2026-03-05", items=[item], discount_cents=50, tax_cents=7, shipping_cents=9), close="2026-03-06")
    worker.feed(order("o2", "2026-03-06"), order("o3", "2026-03-06", currency="EUR"))
    worker.feed(order("o1", "2026-03-05", updated="2026-03-09", items=[item], status="REFUNDED", discount_cents=50, refunded_cents=300))
    marts = Marts(worker)
    marts.refresh("finance_month")
    columns = ("currency", "gross", "discounts", "refunds", "revenue", "tax", "cost", "profit", "margin", "changed_after_close")
    assert marts.rows("finance_month", *columns) == [
        ("EUR", 1000, 0, 0, 1000, 0, 0, 1000, 1.0, 1000),
        ("USD", 3000, 150, 300, 2550, 0, 800, 1750, 1750 / 2550, 700),
    ]


def test_a_month_whose_orders_were_all_cancelled_after_its_days_had_closed_still_says_what_was_taken_away(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05"), order("o2", "2026-03-05", currency="EUR"), close="2026-03-06")
    worker.feed(order("o1", "2026-03-05", updated="2026-03-09", status="CANCELLED"))
    worker.feed(order("o3", "2026-02-05", currency="GBP"))
    worker.feed(order("o3", "2026-02-05", updated="2026-03-09", currency="GBP", status="CANCELLED"))
    marts = Marts(worker)
    marts.refresh("finance_month")
    columns = ("currency", "month", "orders", "revenue", "profit", "margin", "changed_after_close")
    assert marts.rows("finance_month", *columns) == [
        ("EUR", "2026-03-01", 1, 1000, 1000, 1.0, 0),
        ("USD", "2026-03-01", 0, 0, 0, None, -1000),
    ]
    with worker.store.cursor() as connection:
        assert not [result for result in Auditor(marts.refresher).run(connection, "finance_month") if result.fails]


def test_a_month_is_complete_when_its_last_day_is_closed(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05"), close="2026-03-30")
    marts = Marts(worker)
    marts.refresh("finance_month")
    assert marts.rows("finance_month", "is_complete") == [(False,)]
    worker.close_day("2026-03-31")
    marts.refresh("finance_month")
    assert marts.rows("finance_month", "is_complete") == [(True,)]


def test_shares_are_of_the_last_thirty_days_in_the_reporting_currency(worker: Worker) -> None:
    def tea(cents: int, category: str | None = "Tea") -> list[dict[str, object]]:
        return [line(unit_price_cents=cents, category=category)]

    worker.feed(
        order("o1", "2026-03-01", items=tea(9000), region="north"),
        order("o2", "2026-03-02", items=tea(3000), region="north", discount_cents=1000),
        order("o3", "2026-03-31", items=tea(1000, None)),
        order("o4", "2026-03-31", items=tea(7000), currency="EUR", region="north"),
        close="2026-03-31",
    )
    marts = Marts(worker)
    marts.refresh("category_share", "region_share")
    assert marts.rows("category_share") == [("(none)", 1, 1000, 0.25), ("Tea", 1, 3000, 0.75)]
    assert marts.rows("region_share") == [("(none)", 1, 1, 1000, 1 / 3), ("north", 1, 1, 2000, 2 / 3)]


def test_the_best_customers_are_ranked_by_revenue_and_then_by_id(new_worker: NewWorker) -> None:
    worker = new_worker(marts={"products": {"top_count": 3}})
    spent = {"c4": 1000, "c2": 3000, "c1": 3000, "c3": 2000}
    worker.feed(*(order(f"o{who}", "2026-03-05", customer_id=who, items=[line(unit_price_cents=cents)]) for who, cents in spent.items()))
    worker.feed(order("old", "2025-12-05", customer_id="c9", items=[line(unit_price_cents=9000)]), touch("c8", "2026-03-05"))
    worker.close_day("2026-03-05")
    marts = Marts(worker)
    marts.refresh("top_customers")
    assert marts.rows("top_customers") == [(1, "c1", 1, 1, 3000), (2, "c2", 1, 1, 3000), (3, "c3", 1, 1, 2000)]


def test_the_calendar_knows_iso_weeks_and_the_seasons_of_the_setting(new_worker: NewWorker) -> None:
    seasons = "cold, cold, spring, spring, spring, summer, summer, summer, fall, fall, fall, "
    worker = new_worker(marts={"sales": {"seasons": seasons}})
    worker.feed(touch("c1", "2026-12-31"), close="2027-01-04")
    marts = Marts(worker)
    marts.refresh("dim_date")
    assert marts.rows("dim_date") == [
        ("2026-12-31", 4, 53, 2026, 12, 4, 2026, False, None),
        ("2027-01-01", 5, 53, 2026, 1, 1, 2027, False, "cold"),
        ("2027-01-02", 6, 53, 2026, 1, 1, 2027, True, "cold"),
        ("2027-01-03", 7, 53, 2026, 1, 1, 2027, True, "cold"),
        ("2027-01-04", 1, 1, 2027, 1, 1, 2027, False, "cold"),
    ]


def test_there_are_no_seasons_unless_they_are_named(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"), close="2026-03-05")
    marts = Marts(worker)
    marts.refresh("dim_date")
    assert marts.rows("dim_date", "day", "season") == [("2026-03-05", None)]


def test_the_calendar_begins_with_the_first_order_touchpoint_or_stock_that_was_accepted(new_worker: NewWorker) -> None:
    worker = new_worker(retention={"days": 5})
    worker.feed(touch("c1", "2026-03-01"), close="2026-03-20")
    marts = Marts(worker)
    marts.refresh("dim_date")
    assert marts.rows("dim_date", "day")[0] == ("2026-03-01",)
    worker.feed(touch("c1", "1999-03-01"), product("p1", "2026-02-27", stock_level=3))  # the first one expires
    marts.refresh("dim_date")
    assert marts.rows("dim_date", "day")[0] == ("2026-02-27",)
