"""customer_facts, customer_overview, customer_features: a few customers, figures to check by eye."""

from typing import Any

import pytest

from tests.sql.conftest import NewWorker
from tests.support.marts import Marts
from tests.support.worker import Worker, customer, line, moment, order, tombstone, touch


@pytest.fixture
def marts(worker: Worker) -> Marts:
    return Marts(worker)


def overview(marts: Marts, *columns: str) -> list[tuple[Any, ...]]:
    """customer_id and those columns."""
    marts.refresh("customer_overview")
    return marts.rows("customer_overview", "customer_id", *columns)


def test_sums_of_sources_do_not_multiply_each_other(worker: Worker, marts: Marts) -> None:
    """Two orders of two lines, three sessions, four e-mails: each is counted once."""
    lines = [line(product_id="p1", quantity=2, category="tea"), line(product_id="p2", category="mugs")]
    worker.feed(
        order("o1", "2026-03-01", customer_id="ann", items=lines),
        order("o2", "2026-03-11", customer_id="ann", items=lines),
        *(touch("ann", f"2026-03-0{number}", session_id=f"s{number}", event_type="product_view") for number in (1, 2, 3)),
        *(
            touch("ann", "2026-03-01", session_id="s1", event_type=kind)
            for kind in ("email_sent", "email_sent", "email_open", "email_click")
        ),
        close="2026-03-20",
    )
    columns = ("order_count", "total_spend", "avg_order_value", "items", "categories", "website_visits", "product_views", "email_open_rate")
    assert overview(marts, *columns) == [("ann", 2, 6000, 3000.0, 6, 2, 3, 3, 0.5)]
    assert overview(marts, "lifetime_days", "purchase_frequency_days", "days_since_last_order") == [("ann", 10, 10.0, 9)]


def test_a_customer_is_known_by_the_topic_by_touches_or_by_orders(worker: Worker, marts: Marts) -> None:
    worker.feed(
        customer("ann", "2026-03-01", name="Ann", city="Bergen", signed_up_at=moment("2026-03-03")),
        touch("bob", "2026-03-05"),
        order("o1", "2026-02-01", customer_id="eve", city="Oslo", country="NO"),
        order("o2", "2026-03-05", customer_id="eve", city=None, country="SE", currency="EUR"),
        order("o3", "2026-03-21", customer_id="not yet there"),
        close="2026-03-20",
    )
    assert overview(marts, "name", "city", "country", "customer_age_days", "is_new", "order_count", "orders_other_currency") == [
        ("ann", "Ann", "Bergen", None, 17, True, 0, 0),
        ("bob", None, None, None, 15, True, 0, 0),
        ("eve", None, None, "SE", 47, False, 1, 1),
    ]
    worker.feed(tombstone("customers", "ann", "2026-03-21 12:00"))
    assert overview(marts, "name", "city")[0] == ("ann", None, "Bergen")


def test_windows_end_with_the_last_closed_day(worker: Worker, marts: Marts) -> None:
    days = ("2026-01-01", "2026-01-02", "2026-03-02", "2026-03-03", "2026-04-01")
    worker.feed(*(order(f"o{day}", day, customer_id="ann") for day in days), close="2026-04-01")
    assert overview(marts, "order_count", "order_count_90d", "order_count_30d", "total_spend_30d") == [("ann", 5, 4, 2, 2000)]
    worker.close_day("2026-04-02")
    assert overview(marts, "order_count", "order_count_90d", "order_count_30d") == [("ann", 5, 3, 1)]


def test_days_that_pass_change_who_did_nothing(worker: Worker, marts: Marts) -> None:
    worker.feed(
        customer("ann", "2026-03-01", signed_up_at=moment("2026-03-22")),
        touch("bob", "2026-02-20"),
        order("o1", "2026-03-01", customer_id="eve"),
        close="2026-03-20",
    )
    columns = ("customer_age_days", "is_new", "days_since_last_order", "recency_segment", "churn_probability")
    assert overview(marts, *columns) == [
        ("ann", None, True, None, "(none)", None),
        ("bob", 28, True, None, "(none)", None),
        ("eve", 19, True, 19, "Recent", 0.1),
    ]
    worker.close_day("2026-04-01")
    assert overview(marts, *columns) == [
        ("ann", 10, True, None, "(none)", None),
        ("bob", 40, False, None, "(none)", None),
        ("eve", 31, False, 31, "Moderate", 0.2),
    ]


def test_a_cart_is_abandoned_once_a_day_has_passed_without_an_order(worker: Worker, marts: Marts) -> None:
    worker.feed(
        *(touch(name, "2026-03-05 10:00", session_id=name, event_type="cart_add") for name in ("ann", "bob", "eve", "joe")),
        touch("eve", "2026-03-05 11:00", session_id="eve", event_type="purchase"),
        touch("joe", "2026-03-06 20:00", session_id="again", event_type="cart_add"),
        order("o1", "2026-03-06 10:00", customer_id="bob", currency="EUR"),
        order("o2", "2026-03-06 10:01", customer_id="joe"),
        close="2026-03-06",
    )
    columns = ("abandoned_cart_count", "pending_cart_count", "abandoned_cart_count_30d")
    assert overview(marts, *columns) == [("ann", 1, 0, 1), ("bob", 0, 0, 0), ("eve", 0, 0, 0), ("joe", 1, 1, 1)]
    worker.feed(order("o3", "2026-03-05 10:30", customer_id="ann"), close="2026-03-07")
    assert overview(marts, *columns) == [("ann", 0, 0, 0), ("bob", 0, 0, 0), ("eve", 0, 0, 0), ("joe", 2, 0, 2)]


def test_an_order_at_the_moment_a_session_begins_keeps_its_cart(worker: Worker, marts: Marts) -> None:
    """And so does one 24 hours after its end to the microsecond, but not one before it began."""
    worker.feed(
        *(touch(name, "2026-03-05 10:00", session_id=name, event_type="cart_add") for name in ("ann", "bob", "eve")),
        order("o1", "2026-03-05 10:00", customer_id="ann"),
        order("o2", "2026-03-05 09:59", customer_id="bob"),
        order("o3", "2026-03-06 10:00", customer_id="eve"),
        close="2026-03-07",
    )
    assert overview(marts, "abandoned_cart_count") == [("ann", 0), ("bob", 1), ("eve", 0)]


def test_carts_of_the_last_thirty_days_begin_with_the_first_of_these(worker: Worker, marts: Marts) -> None:
    days = ("2026-03-01", "2026-03-02", "2026-04-30", "2026-05-01")
    worker.feed(*(touch("ann", day, session_id=f"s{day}", event_type="cart_add") for day in days), close="2026-05-30")
    assert overview(marts, "abandoned_cart_count", "abandoned_cart_count_90d", "abandoned_cart_count_30d") == [("ann", 4, 3, 1)]


def test_a_session_goes_over_to_who_was_identified_last(worker: Worker, marts: Marts) -> None:
    worker.feed(touch("ann", "2026-03-05 10:00", session_id="s", event_type="cart_add"), close="2026-03-08")
    assert overview(marts, "website_visits", "abandoned_cart_count") == [("ann", 1, 1)]
    worker.feed(touch("bob", "2026-03-05 11:00", session_id="s"))
    assert overview(marts, "website_visits", "abandoned_cart_count") == [("ann", 0, 0), ("bob", 1, 1)]


def test_categories_are_preferred_by_units(worker: Worker, marts: Marts) -> None:
    bought = [("tea", 1), ("mugs", 3), (None, 9), ("tea", 2), ("cake", 2)]
    lines = [line(product_id=f"p{number}", category=category, quantity=units) for number, (category, units) in enumerate(bought)]
    worker.feed(order("o1", "2026-03-05", customer_id="ann", items=lines), close="2026-03-06")
    assert overview(marts, "categories", "preferred_category", "second_category") == [("ann", 3, "mugs", "tea")]


def test_facts_of_orders_are_of_the_days_with_one(worker: Worker, marts: Marts) -> None:
    days = ("2025-01-05", "2025-01-05", "2025-09-01", "2025-09-03")
    worker.feed(*(order(f"o{number}", day, customer_id="ann") for number, day in enumerate(days)), close="2025-09-10")
    marts.refresh("customer_facts")
    assert marts.rows("customer_facts", "orders", "order_days", "first_day_orders", "first_day_net_cents", "comeback_day") == [
        (4, 3, 2, 2000, "2025-09-01")
    ]
    worker.feed(order("late", "2025-05-01", customer_id="ann"))
    marts.refresh("customer_facts")
    assert marts.rows("customer_facts", "order_days", "comeback_day") == [(4, None)]


def test_days_are_those_of_the_reporting_time_zone(new_worker: NewWorker) -> None:
    """In Tokyo the 6th of March ends at 15:00 UTC: the cart of the 5th, 16:00, is still pending."""
    worker = new_worker(time={"reporting_time_zone": "Asia/Tokyo"})
    worker.feed(
        touch("ann", "2026-03-05 14:00", event_type="cart_add"),
        touch("bob", "2026-03-05 16:00", event_type="cart_add"),
        customer("ann", "2026-03-05", signed_up_at=moment("2026-03-01 20:00")),
        close="2026-03-06",
    )
    columns = ("abandoned_cart_count", "pending_cart_count", "customer_age_days")
    assert overview(Marts(worker), *columns) == [("ann", 1, 0, 4), ("bob", 0, 1, 0)]


def test_segments_and_values_stand_beside_the_facts(worker: Worker, marts: Marts) -> None:
    worker.feed(
        *(order(f"o{day}", f"2026-03-{day}", customer_id="ann") for day in ("05", "15")), touch("bob", "2026-03-05"), close="2026-03-16"
    )
    assert overview(marts, "lifecycle_stage", "frequency_segment", "churn_probability", "value_3y") == [
        ("ann", "New", "Low", 0.1, 2000 / 10 * 365 * 3),
        ("bob", "(none)", "(none)", None, None),
    ]


def test_features_are_the_numbers_of_the_overview(worker: Worker, marts: Marts) -> None:
    worker.feed(order("o1", "2026-03-05", customer_id="ann"), close="2026-03-06")
    marts.refresh("customer_features")
    numbers = {"INTEGER", "BIGINT", "DOUBLE", "DECIMAL(38,0)"}
    kinds = {name: kind for name, kind, *_ in worker.query("describe customer_overview")}
    expected = ["customer_id", *(name for name, kind in kinds.items() if kind in numbers)]
    assert [name for name, *_ in worker.query("describe customer_features")] == expected
