"""Customers, products and stock: dimensions that may come in any order, and are never sealed."""

from collections.abc import Sequence
from itertools import permutations

from tests.support.messages import Produced
from tests.support.worker import Worker, customer, product, tombstone


def test_the_last_reading_of_stock_is_the_last_by_time_then_by_level(worker: Worker) -> None:
    worker.feed(product("p1", "2026-03-05 15:00", stock_level=7), product("p1", "2026-03-05 09:00", stock_level=20))
    worker.feed(product("p1", "2026-03-05 15:00", stock_level=9), product("p1", "2026-03-05 15:00", stock_level=3))
    columns = ("readings", "stock_min", "stock_max", "stock_sum", "stock_last")
    assert worker.rows("daily_stock", *columns) == [(4, 3, 20, 39, 9)]


def test_a_reading_counts_once_though_its_message_comes_twice(worker: Worker) -> None:
    reading = product("p1", "2026-03-05", stock_level=7)
    worker.feed(reading, reading, product("p1", "2026-03-05", stock_level=7, name="other"))
    worker.feed(reading, product("p1", "2026-03-06"))
    assert worker.rows("daily_stock", "day", "readings", "stock_sum") == [("2026-03-05", 1, 7)]


def test_a_superseded_product_still_brings_its_reading(worker: Worker) -> None:
    worker.feed(product("p1", "2026-03-06", stock_level=5))
    worker.feed(product("p1", "2026-03-05", stock_level=9))
    assert worker.accounting("products") == {"read": 2, "accepted": 1, "superseded": 1}
    assert worker.rows("daily_stock", "day", "stock_last") == [("2026-03-05", 9), ("2026-03-06", 5)]
    assert worker.rows("product", "stock_level") == [(5,)]


def test_a_tombstone_clears_what_names_a_customer_in_whatever_order_they_come(worker: Worker) -> None:
    """Once all in one batch, once one after the other."""
    worker.feed(*(message for number, arrival in enumerate(permutations(range(3))) for message in _arrived(f"together {number}", arrival)))
    for place in range(3):
        worker.feed(*(_arrived(f"apart {number}", arrival)[place] for number, arrival in enumerate(permutations(range(3)))))
    assert worker.query("select distinct name, email, city, updated_at from customer") == [(None, None, "Bonn", "2026-03-05 12:00:00")]
    assert worker.query("select count(*) from customer") == [(12,)]


def _arrived(customer_id: str, arrival: Sequence[int]) -> list[Produced]:
    life = [
        customer(customer_id, "2026-03-04", name="A.", city="Ulm"),
        customer(customer_id, "2026-03-05", name="Ann", email="ann@example.com", city="Bonn"),
        tombstone("customers", customer_id, "2026-03-06"),
    ]
    return [life[place] for place in arrival]


def test_a_customer_known_again_after_the_tombstone_has_a_name_again(worker: Worker) -> None:
    worker.feed(customer("c1", "2026-03-05", name="Ann"), tombstone("customers", "c1", "2026-03-06"))
    worker.feed(customer("c1", "2026-03-07", name="Ann"))
    assert worker.rows("customer", "name") == [("Ann",)]


def test_a_tombstone_clears_the_name_of_a_product_and_nothing_else(worker: Worker) -> None:
    worker.feed(product("p1", "2026-03-05", name="shirt", category="shirts", stock_level=3))
    worker.feed(tombstone("products", "p1", "2026-03-06"))
    assert worker.rows("product", "name", "category", "stock_level") == [(None, "shirts", 3)]
    assert worker.rows("daily_stock", "stock_last") == [(3,)]


def test_dimensions_do_not_move_the_watermark(worker: Worker) -> None:
    worker.feed(customer("c1", "2026-03-05"), product("p1", "2026-03-05", stock_level=1))
    assert worker.pipeline.state.watermark.value is None
    assert worker.rows("day_state", "day", "is_open") == [("2026-03-05", True)]
