"""product_performance, inventory_status, top_products: small shops, figures to check by eye."""

from typing import Any

from tests.sql.conftest import NewWorker
from tests.support.marts import Marts
from tests.support.messages import Produced
from tests.support.worker import Worker, line, order, product, tombstone, touch


def sold(order_id: str, at: str, product_id: str, cents: int, quantity: int = 1, **fields: Any) -> Produced:
    """An order of one line; `fields` are the line's."""
    return order(order_id, at, items=[line(product_id=product_id, unit_price_cents=cents, quantity=quantity, **fields)])


def performance(worker: Worker, *columns: str) -> list[tuple[Any, ...]]:
    marts = Marts(worker)
    marts.refresh("product_performance")
    return marts.rows("product_performance", "product_id", "month", *columns)


def test_a_months_sales_are_measured_against_the_month_before(worker: Worker) -> None:
    worker.feed(
        sold("o1", "2026-02-05", "p1", 1000, 4, unit_cost_cents=400),
        sold("o2", "2026-03-05", "p1", 1000, 3, unit_cost_cents=400, discount_cents=600),
        sold("o3", "2026-03-06", "p1", 1000, 3, unit_cost_cents=400),
        sold("o4", "2026-05-05", "p1", 1000),
        sold("o5", "2026-06-05", "p1", 1000),
        close="2026-06-29",
    )
    assert performance(worker, "orders", "units_sold", "revenue", "profit", "margin", "revenue_growth", "units_growth", "is_complete") == [
        ("p1", "2026-02-01", 1, 4, 4000, 2400, 0.6, None, None, True),
        ("p1", "2026-03-01", 2, 6, 5400, 3000, 3000 / 5400, 0.35, 0.5, True),
        ("p1", "2026-05-01", 1, 1, 1000, 1000, 1.0, None, None, True),  # April has no row
        ("p1", "2026-06-01", 1, 1, 1000, 1000, 1.0, None, None, False),  # June has not ended
    ]


def test_stock_is_carried_over_days_and_months_without_a_reading(worker: Worker) -> None:
    worker.feed(
        product("p1", "2026-01-30", stock_level=50),
        product("p1", "2026-01-31 09:00", stock_level=90),
        product("p1", "2026-01-31 18:00", stock_level=40),
        product("p1", "2026-03-11", stock_level=10),
        *(sold(f"o{month}", f"2026-{month}-05", "p1", 100) for month in ("01", "03", "04")),
        close="2026-04-10",
    )
    assert performance(worker, "stock_average", "stock_minimum", "stock_maximum", "days_of_inventory") == [
        ("p1", "2026-01-01", 45.0, 40, 90, 45.0 * 31),  # two days: 50, 40
        ("p1", "2026-03-01", (10 * 40 + 21 * 10) / 31, 10, 40, 10 * 40.0 + 21 * 10),  # over the gap of February
        ("p1", "2026-04-01", 10.0, 10, 10, 100.0),  # ten days, one piece
    ]


def test_a_month_without_a_reading_before_it_has_no_stock(worker: Worker) -> None:
    worker.feed(sold("o1", "2026-03-05", "p1", 100), product("p1", "2026-04-20", stock_level=7), touch(None, "2026-04-20", product_id="p1"))
    worker.close_day("2026-04-30")
    assert performance(worker, "stock_average", "stock_minimum", "days_of_inventory") == [
        ("p1", "2026-03-01", None, None, None),
        ("p1", "2026-04-01", 7.0, 7, None),  # nothing was sold
    ]


def test_views_and_reviews_are_counted_and_only_scores_have_a_mean(worker: Worker) -> None:
    def touched(event_type: str, **fields: Any) -> Produced:
        return touch(None, "2026-03-05", product_id="p1", event_type=event_type, **fields)

    worker.feed(*(touched("product_view") for _ in range(4)), touched("review"))
    worker.feed(touched("review", review_score=5), touched("review", review_score=2), sold("o1", "2026-03-05", "p1", 100))
    worker.feed(touch(None, "2026-03-06", product_id="p2", event_type="review"), close="2026-03-06")
    assert performance(worker, "reviews", "mean_score", "views", "view_to_purchase") == [
        ("p1", "2026-03-01", 3, 3.5, 4, 0.25),
        ("p2", "2026-03-01", 1, None, 0, None),
    ]


def test_names_are_the_topics_and_categories_the_latest_orders_where_the_topic_has_none(worker: Worker) -> None:
    worker.feed(
        sold("o1", "2026-03-05 08:00", "p1", 100, category="Tea", subcategory="Green"),
        sold("o2", "2026-03-05 09:00", "p1", 100, category="Tea", subcategory="Black"),
        sold("o3", "2026-03-06", "p1", 100),
        sold("o4", "2026-03-05", "p2", 100, category="Tea", subcategory="Green"),
        sold("o5", "2026-03-05", "p3", 100),
        product("p1", "2026-03-01", name="Assam", subcategory="Loose"),
        product("p2", "2026-03-01", name="Cup", category="Kitchen"),
    )
    worker.feed(tombstone("products", "p2", "2026-03-07"), close="2026-03-07")
    assert performance(worker, "name", "category", "subcategory") == [
        ("p1", "2026-03-01", "Assam", "Tea", "Black"),
        ("p2", "2026-03-01", None, "Kitchen", None),
        ("p3", "2026-03-01", None, None, None),
    ]


def test_ranks_end_in_the_key_and_count_within_month_and_category(worker: Worker) -> None:
    worker.feed(
        sold("o1", "2026-03-05", "p1", 500, category="Tea"),
        sold("o2", "2026-03-05", "p3", 900, category="Tea"),
        sold("o3", "2026-03-05", "p2", 500),
        sold("o4", "2026-04-05", "p2", 500),
        close="2026-04-05",
    )
    assert performance(worker, "rank_in_category", "rank_overall") == [
        ("p1", "2026-03-01", 2, 2),
        ("p2", "2026-03-01", 1, 3),
        ("p2", "2026-04-01", 1, 1),
        ("p3", "2026-03-01", 1, 1),
    ]


def test_what_sold_in_another_currency_is_left_out(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05", currency="EUR"), order("o2", "2026-03-05", items=[line(product_id="p2")]), close="2026-03-05")
    assert performance(worker, "revenue") == [("p2", "2026-03-01", 1000)]


def test_stock_lasts_at_the_rate_of_the_last_thirty_days(worker: Worker) -> None:
    worker.feed(
        sold("o1", "2026-03-01", "p1", 100, 50),
        sold("o2", "2026-03-02", "p1", 100, 4),
        sold("o3", "2026-03-31", "p1", 100, 2),
        product("p1", "2026-03-20", name="Assam", stock_level=30),
        product("p2", "2026-03-20", stock_level=5),
        product("p1", "2026-04-02", name="Assam", stock_level=99),
        close="2026-03-31",
    )
    marts = Marts(worker)
    marts.refresh("inventory_status")
    assert marts.rows("inventory_status") == [
        ("p1", "Assam", None, 30, "2026-03-20", 6, 150.0),
        ("p2", None, None, 5, "2026-03-20", 0, None),
    ]


def test_the_best_products_are_those_of_the_last_ninety_days(new_worker: NewWorker) -> None:
    worker = new_worker(marts={"products": {"top_count": 2}})
    worker.feed(sold("o1", "2026-01-01", "p9", 9000), *(sold(f"o{name}", "2026-03-31", name, 100) for name in ("p3", "p2")))
    worker.feed(sold("o2", "2026-01-02", "p1", 500, 2, unit_cost_cents=100), close="2026-04-01")
    marts = Marts(worker)
    marts.refresh("top_products")
    assert marts.rows("top_products", "rank", "product_id", "orders", "units", "revenue", "profit") == [
        (1, "p1", 1, 2, 1000, 800),
        (2, "p2", 1, 1, 100, 100),
    ]


def test_categories_and_scores_of_sealed_days_are_kept(new_worker: NewWorker) -> None:
    worker = new_worker(retention={"days": 5}, marts={"products": {"top_days": 30}})
    worker.feed(sold("o1", "2026-03-05", "p1", 100, category="Tea"))
    worker.feed(touch(None, "2026-03-05", product_id="p1", event_type="review", review_score=4), close="2026-03-06")
    before = performance(worker, "category", "mean_score", "revenue")
    worker.close_day("2026-03-20")
    assert worker.rows("order_current", "order_id", "day")[0][0] != "o1"
    assert performance(worker, "category", "mean_score", "revenue") == before == [("p1", "2026-03-01", "Tea", 4.0, 100)]
