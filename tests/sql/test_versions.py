"""Versions of an order, in any order of arrival: which one stands, and what the others are counted as."""

from itertools import permutations

from tests.support.worker import Worker, order, tombstone

DAY = "2026-03-05"


def stands(worker: Worker) -> list[tuple[object, ...]]:
    return worker.rows("order_current", "customer_id", "status", "counted")


def test_of_versions_in_any_order_of_arrival_the_newest_stands(worker: Worker) -> None:
    versions = [("2026-03-05", "c1"), ("2026-03-06", "c2"), ("2026-03-07", "c3")]
    lives = [
        [order(f"o{number}", DAY, updated=updated, customer_id=customer) for updated, customer in arrival]
        for number, arrival in enumerate(permutations(versions))
    ]
    worker.feed(*(message for life in lives for message in life[:2]))
    worker.feed(*(life[2] for life in lives))
    assert worker.query("select distinct customer_id from order_current") == [("c3",)]
    # as if one by one: 123 accepts three, 132, 213 and 231 two, 312 and 321 one
    assert worker.accounting("orders") == {"read": 18, "accepted": 11, "superseded": 7}


def test_at_an_equal_moment_the_greater_offset_stands(worker: Worker) -> None:
    worker.feed(order("o1", DAY, customer_id="c1"), order("o1", DAY, customer_id="c2"))
    worker.feed(order("o1", DAY, customer_id="c3"))
    assert stands(worker) == [("c3", "COMPLETED", True)]
    assert worker.accounting("orders") == {"read": 3, "accepted": 3}


def test_at_an_equal_moment_and_offset_the_greater_partition_stands(worker_of_two_partitions: Worker) -> None:
    worker = worker_of_two_partitions
    worker.feed(order("o1", DAY, customer_id="of 1", partition=1))
    worker.feed(order("o1", DAY, customer_id="of 0", partition=0))
    assert stands(worker) == [("of 1", "COMPLETED", True)]
    assert worker.accounting("orders") == {"read": 2, "accepted": 1, "superseded": 1}


def test_the_same_version_again_is_a_duplicate_and_its_offset_is_kept(worker: Worker) -> None:
    worker.feed(order("o1", DAY), order("o1", DAY))
    worker.feed(order("o1", DAY))
    assert worker.accounting("orders") == {"read": 3, "accepted": 1, "duplicate": 2}
    assert worker.rows("order_current", '"offset"') == [(2,)]
    assert worker.rows("day_offset", "first_offset", "last_offset", "rows") == [(0, 2, 1)]  # a rebuild must read that far


def test_an_old_version_again_is_superseded(worker: Worker) -> None:
    old = order("o1", DAY)
    worker.feed(old, order("o1", DAY, updated="2026-03-06", status="CANCELLED"), old)
    assert stands(worker) == [("c1", "CANCELLED", False)]
    assert worker.accounting("orders") == {"read": 3, "accepted": 2, "superseded": 1}


def test_an_order_that_was_placed_before_it_is_completed_counts_once(worker: Worker) -> None:
    worker.feed(order("o1", DAY, status="PLACED"), order("o1", DAY, updated="2026-03-06"), order("o1", DAY, updated="2026-03-06 13:00"))
    assert worker.rows("daily_sales", "orders") == [(1,)]


def test_a_tombstone_uncounts_its_order_whichever_comes_first(worker: Worker) -> None:
    worker.feed(order("before", DAY), tombstone("orders", "after", "2026-03-06"))
    worker.feed(tombstone("orders", "before", "2026-03-06"), order("after", DAY))
    worker.feed(order("together", DAY), tombstone("orders", "together", "2026-03-06"))
    assert worker.query("select order_id, counted from order_current order by all") == [
        ("after", False),
        ("before", False),
        ("together", False),
    ]
    assert worker.rows("daily_sales") == []
    assert worker.accounting("orders") == {"read": 6, "accepted": 6}


def test_a_version_greater_than_the_tombstone_counts_again(worker: Worker) -> None:
    worker.feed(order("o1", DAY), tombstone("orders", "o1", "2026-03-06"))
    worker.feed(order("o1", DAY, updated="2026-03-05 18:00"))
    assert stands(worker) == [("c1", "COMPLETED", False)]
    worker.feed(order("o1", DAY, updated="2026-03-07"))
    assert stands(worker) == [("c1", "COMPLETED", True)]


def test_at_an_equal_moment_offsets_decide_between_tombstone_and_version(worker: Worker) -> None:
    at = "2026-03-05 12:00:00"
    worker.feed(tombstone("orders", "o1", at), order("o1", DAY), order("o2", DAY), tombstone("orders", "o2", at))
    assert worker.query("select order_id, counted from order_current order by all") == [("o1", True), ("o2", False)]


def test_the_greatest_tombstone_is_kept_and_the_others_are_accounted_for(worker: Worker) -> None:
    worker.feed(tombstone("orders", "o1", "2026-03-06"), tombstone("orders", "o1", "2026-03-05"), tombstone("orders", "o1", "2026-03-06"))
    assert worker.rows("order_tombstone", "order_id", "updated_at", '"offset"') == [("o1", "2026-03-06 12:00:00", 2)]
    assert worker.accounting("orders") == {"read": 3, "accepted": 1, "superseded": 1, "duplicate": 1}


def test_a_tombstone_moves_neither_watermark_nor_day_offset(worker: Worker) -> None:
    worker.feed(order("o1", DAY))
    watermark = worker.pipeline.state.watermark
    worker.feed(tombstone("orders", "o1", "2026-03-20"))
    assert worker.pipeline.state.watermark == watermark
    assert worker.rows("day_offset", "day", "last_offset") == [(DAY, 0)]


def test_ids_differ_by_one_byte(worker: Worker) -> None:
    worker.feed(order("o1", DAY), order("O1", DAY), order("o1 ", DAY), order("é", DAY), order("e\u0301", DAY))
    worker.feed(tombstone("orders", "é", "2026-03-06"))
    assert worker.rows("daily_sales", "orders") == [(4,)]
