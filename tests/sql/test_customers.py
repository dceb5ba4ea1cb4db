"""daily_users and customer_first: who was new on which day, however late it is learned."""

from tests.support.worker import Worker, order, tombstone, touch


def users(worker: Worker) -> list[tuple[object, ...]]:
    return worker.rows("daily_users", "day", "active_customers", "buyers", "new_customers", "new_buyers")


def test_a_late_first_touch_moves_new_customers_to_its_day(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"), close="2026-03-07")
    worker.feed(touch("c1", "2026-03-01"))
    assert worker.rows("daily_users", "day", "new_customers") == [("2026-03-01", 1), ("2026-03-05", 0)]
    assert worker.ledger("2026-03-05").late_new == 0
    assert worker.revision("2026-03-05") == 2


def test_a_lost_first_order_moves_new_buyers_to_the_next_order(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-01"), order("o2", "2026-03-05"), order("o3", "2026-03-09"))
    worker.feed(order("o1", "2026-03-01", updated="2026-03-10", status="CANCELLED"))
    assert users(worker) == [("2026-03-05", 1, 1, 1, 1), ("2026-03-09", 1, 1, 0, 0)]
    assert worker.rows("customer_first") == [("c1", "2026-03-05", None, "2026-03-05")]


def test_a_lost_first_order_leaves_the_visitor(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-01"), order("o1", "2026-03-01"))
    worker.feed(tombstone("orders", "o1", "2026-03-02"))
    assert users(worker) == [("2026-03-01", 1, 0, 1, 0)]
    assert worker.rows("customer_first") == [("c1", "2026-03-01", "2026-03-01", None)]


def test_two_lost_orders_and_an_earlier_one_in_one_batch(worker: Worker) -> None:
    worker.feed(order("o2", "2026-03-05"), order("o3", "2026-03-09"))
    worker.feed(
        order("o2", "2026-03-05", updated="2026-03-10", status="CANCELLED"),
        order("o3", "2026-03-09", updated="2026-03-10", status="CANCELLED"),
        order("o1", "2026-03-07"),
    )
    assert users(worker) == [("2026-03-07", 1, 1, 1, 1)]


def test_an_order_of_another_currency_makes_a_buyer(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-01", currency="EUR"))
    assert users(worker) == [("2026-03-01", 1, 1, 1, 1)]
    worker.feed(order("o1", "2026-03-01", updated="2026-03-02", currency="USD"))
    assert users(worker) == [("2026-03-01", 1, 1, 1, 1)]


def test_touchpoints_without_a_customer_make_nobody_active(worker: Worker) -> None:
    worker.feed(touch(None, "2026-03-01"))
    assert users(worker) == []
    assert worker.rows("customer_first") == []


def test_customers_are_told_apart_by_their_exact_text(worker: Worker) -> None:
    ids = [
        "c1",
        "C1",
        "c1 ",
        "é",
        "e\u0301",
        "550e8400-e29b-41d4-a716-446655440000",
        "550E8400-E29B-41D4-A716-446655440000",
        "nul\0",
        "nul",
    ]
    worker.feed(*(touch(customer_id, "2026-03-01") for customer_id in ids))
    assert users(worker) == [("2026-03-01", len(ids), 0, len(ids), 0)]


def test_running_totals_sum_what_was_new(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-01"), order("o1", "2026-03-03"), order("o2", "2026-03-03", customer_id="c2"))
    columns = ("day", "running_customers", "running_buyers")
    assert worker.rows("daily_users_running", *columns) == [("2026-03-01", 1, 0), ("2026-03-03", 2, 2)]
    worker.feed(touch("c2", "2026-02-27"))
    assert worker.rows("daily_users_running", *columns) == [("2026-02-27", 1, 0), ("2026-03-01", 2, 0), ("2026-03-03", 2, 2)]
