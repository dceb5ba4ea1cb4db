"""daily_category and daily_product_sales: lines of counted orders."""

from tests.support.worker import Worker, line, order


def test_an_order_counts_once_in_a_category_of_which_it_has_two_lines(worker: Worker) -> None:
    shirts = [line(product_id="p1", category="shirts"), line(product_id="p2", category="shirts", quantity=3), line(product_id="p3")]
    worker.feed(order("o1", "2026-03-05", items=shirts))
    assert worker.rows("daily_category", "category", "subcategory", "orders", "units", "gross_cents") == [
        ("(none)", "(none)", 1, 1, 1000),
        ("shirts", "(none)", 1, 4, 4000),
    ]


def test_a_product_twice_in_an_order_is_one_order(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05", items=[line(), line(discount_cents=300, unit_cost_cents=200)]), order("o2", "2026-03-05"))
    columns = ("product_id", "orders", "units", "gross_cents", "sales_cents", "cost_cents")
    assert worker.rows("daily_product_sales", *columns) == [("p1", 2, 3, 3000, 2700, 200)]


def test_order_discounts_and_refunds_are_not_spread_over_items(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05", discount_cents=100, refunded_cents=500))
    assert worker.rows("daily_product_sales", "sales_cents") == [(1000,)]


def test_a_line_that_changes_its_category_leaves_the_old_one(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05", items=[line(category="shirts"), line(category="shoes")]))
    worker.feed(
        order("o1", "2026-03-05", updated="2026-03-06", items=[line(category="shoes", subcategory="boots"), line(category="shoes")])
    )
    assert worker.rows("daily_category", "category", "subcategory", "orders") == [("shoes", "(none)", 1), ("shoes", "boots", 1)]


def test_a_line_without_pieces_still_makes_its_order_count(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05", items=[line(quantity=0)]))
    assert worker.rows("daily_product_sales", "orders", "units", "sales_cents") == [(1, 0, 0)]


def test_an_order_that_loses_its_lines_leaves_the_items_and_stays_in_sales(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05"))
    worker.feed(order("o1", "2026-03-05", updated="2026-03-06", items=[]))
    assert worker.rows("daily_product_sales") == []
    assert worker.rows("daily_category") == []
    assert worker.rows("order_item") == []
    assert worker.rows("daily_sales", "orders", "units") == [(1, 0)]


def test_lines_are_numbered_from_one_in_their_order(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-05", items=[line(product_id="p2"), line(product_id="p1")]))
    assert worker.rows("order_item", "order_id", "line", "product_id") == [("o1", 1, "p2"), ("o1", 2, "p1")]
