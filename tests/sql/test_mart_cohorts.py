"""cohort_retention, cohort_summary: a few customers, cells to check by eye."""

from typing import Any

import pytest

from tests.sql.conftest import NewWorker
from tests.support.marts import Marts
from tests.support.messages import Produced
from tests.support.worker import Worker, customer, line, moment, order, product, touch
from worker.marts.definition import built_in, parse

USER_COHORT = """\
-- user_cohort: by the first product bought.
-- grain: (cohort_name, customer_id)   reads: customer_first, counted_order
/*
unit = "customer"
[columns]
customer_id = { about = "the customer" }
cohort_name = { about = "the first product" }
cohort_date = { about = "the day of the first order" }
*/
select f.customer_id, min_by(o.items[1].product_id, o.ordered_at) as cohort_name, f.first_order_day as cohort_date
from customer_first as f join counted_order as o on o.customer_id = f.customer_id
group by f.customer_id, f.first_order_day
"""


# What changes it is no event of the customer, so its unit is whole.
SEASON_COHORT = """\
-- user_cohort: by what the season's product is called today.
-- grain: (cohort_name, customer_id)   reads: customer_first, product
/*
[columns]
customer_id = { about = "the customer" }
cohort_name = { about = "the product" }
cohort_date = { about = "the day of the first order" }
*/
select f.customer_id, p.name as cohort_name, f.first_order_day as cohort_date
from customer_first as f cross join product as p where p.product_id = 'season'
"""


def bought(order_id: str, customer_id: str, day: str, cents: int = 1000, **fields: Any) -> Produced:
    return order(order_id, day, customer_id=customer_id, items=[line(unit_price_cents=cents)], **fields)


def cells(marts: Marts, *columns: str, kind: str = "first_order", period: str = "month") -> list[tuple[Any, ...]]:
    """Of one kind and kind of period: cohort_start, period_number and those columns."""
    marts.refresh("cohort_summary")
    return marts.worker.query(
        f"select cohort_start, period_number, {', '.join(columns)} from cohort_retention "
        "where cohort_kind = $kind and period_kind = $period order by cohort_name, cohort_start, period_number",
        kind=kind,
        period=period,
    )


@pytest.fixture
def marts(worker: Worker) -> Marts:
    return Marts(worker)


def test_a_cohort_comes_back_month_by_month(worker: Worker, marts: Marts) -> None:
    worker.feed(
        bought("o1", "ann", "2026-01-05", 1000),
        bought("o2", "ann", "2026-01-20", 500),
        bought("o3", "ann", "2026-03-31", 900),
        bought("o4", "bob", "2026-01-31", 2000),
        bought("o5", "bob", "2026-03-01", 2600),
        bought("o6", "eve", "2026-02-01", 100),
        close="2026-03-31",
    )
    assert cells(marts, "cohort_size", "active_customers", "retention", "unbounded_customers", "orders", "net_cents", "is_complete") == [
        ("2026-01-01", 0, 2, 2, 1.0, 2, 3, 3500, True),
        ("2026-01-01", 1, 2, 0, 0.0, 2, 0, 0, True),
        ("2026-01-01", 2, 2, 2, 1.0, 2, 2, 3500, True),
        ("2026-02-01", 0, 1, 1, 1.0, 1, 1, 100, True),
        ("2026-02-01", 1, 1, 0, 0.0, 0, 0, 0, True),
    ]
    assert cells(marts, "cumulative_net_cents", "net_revenue_retention", "gross_revenue_retention")[:3] == [
        ("2026-01-01", 0, 3500, 1.0, 1.0),
        ("2026-01-01", 1, 3500, 0.0, 0.0),
        ("2026-01-01", 2, 7000, 1.0, 2900 / 3500),  # what Bob spends more does not make up for Ann
    ]


@pytest.mark.parametrize("period", ["week", "month", "quarter"])
def test_what_is_given_back_is_no_less_kept_than_nothing(worker: Worker, marts: Marts, period: str) -> None:
    """In the period after, Ann's order is refunded beyond its price: what Bob spends is kept all the same."""
    worker.feed(
        bought("o1", "ann", "2026-03-30", 1000),
        bought("o2", "bob", "2026-03-30", 1000),
        bought("o3", "ann", "2026-04-06", 100, refunded_cents=400, status="REFUNDED"),
        bought("o4", "bob", "2026-04-06", 700),
        close="2026-06-30",
    )
    assert cells(marts, "net_cents", "gross_revenue_retention", period=period)[1][2:] == (400, 700 / 2000)


def test_an_earlier_order_that_comes_late_moves_its_customer_to_another_cohort(worker: Worker, marts: Marts) -> None:
    worker.feed(bought("o1", "ann", "2026-03-05"), bought("o2", "bob", "2026-03-06"), close="2026-03-20")
    assert cells(marts, "cohort_size", "active_customers") == [("2026-03-01", 0, 2, 2)]
    worker.feed(bought("o0", "ann", "2026-02-28"))
    assert cells(marts, "cohort_size", "active_customers") == [("2026-02-01", 0, 1, 1), ("2026-02-01", 1, 1, 1), ("2026-03-01", 0, 1, 1)]


def test_a_customer_whose_only_order_is_cancelled_leaves_the_cohort(worker: Worker, marts: Marts) -> None:
    worker.feed(bought("o1", "ann", "2026-03-05"), bought("o2", "bob", "2026-03-06"), close="2026-03-20")
    assert cells(marts, "cohort_size") == [("2026-03-01", 0, 2)]
    worker.feed(bought("o1", "ann", "2026-03-05", status="CANCELLED", updated="2026-03-21"))
    assert cells(marts, "cohort_size") == [("2026-03-01", 0, 1)]


def test_a_period_is_complete_once_its_last_day_is_closed(worker: Worker, marts: Marts) -> None:
    worker.feed(bought("o1", "ann", "2026-03-24"), close="2026-03-29")  # 29 March is a Sunday
    assert cells(marts, "is_complete", period="week") == [("2026-03-23", 0, True)]
    assert cells(marts, "is_complete") == [("2026-03-01", 0, False)]
    worker.close_day("2026-03-31")
    assert cells(marts, "is_complete", period="week") == [("2026-03-23", 0, True), ("2026-03-23", 1, False)]
    assert cells(marts, "is_complete") == [("2026-03-01", 0, True)]
    assert cells(marts, "is_complete", period="quarter") == [("2026-01-01", 0, True)]


def test_what_was_before_a_cohorts_date_does_not_count(worker: Worker, marts: Marts) -> None:
    worker.feed(
        bought("o1", "ann", "2026-03-02", 700),
        bought("o2", "ann", "2026-03-20", 100),
        bought("o3", "ann", "2026-04-02", 300),
        customer("ann", "2026-03-10", signed_up_at=moment("2026-03-10")),
        close="2026-04-30",
    )
    assert cells(marts, "active_customers", "orders", "net_cents", "net_revenue_retention", kind="sign_up") == [
        ("2026-03-01", 0, 1, 1, 100, 1.0),
        ("2026-03-01", 1, 1, 1, 300, 3.0),
    ]


def test_a_sign_up_is_of_its_day_in_the_reporting_time_zone(new_worker: NewWorker) -> None:
    worker = new_worker(time={"reporting_time_zone": "Asia/Tokyo"})
    worker.feed(
        bought("o1", "ann", "2026-03-02"), customer("ann", "2026-03-10", signed_up_at=moment("2026-02-28 23:00")), close="2026-03-10"
    )
    assert cells(Marts(worker), "cohort_size", kind="sign_up") == [("2026-03-01", 0, 1)]


def test_a_corrected_sign_up_moves_its_customer(worker: Worker, marts: Marts) -> None:
    worker.feed(bought("o1", "ann", "2026-03-02"), customer("ann", "2026-03-10", signed_up_at=moment("2026-03-01")), close="2026-03-12")
    assert cells(marts, "cohort_size", kind="sign_up") == [("2026-03-01", 0, 1)]
    worker.feed(customer("ann", "2026-03-14", signed_up_at=moment("2026-02-11")))
    assert cells(marts, "cohort_size", kind="sign_up") == [("2026-02-01", 0, 1), ("2026-02-01", 1, 1)]


def test_a_sign_up_ahead_becomes_a_member_on_its_day(worker: Worker, marts: Marts) -> None:
    worker.feed(touch("bob", "2026-03-05"), customer("ann", "2026-03-05", signed_up_at=moment("2026-03-07")), close="2026-03-06")
    assert cells(marts, "cohort_size", kind="sign_up") == []
    worker.close_day("2026-03-07")
    assert cells(marts, "cohort_size", "active_customers", kind="sign_up") == [("2026-03-01", 0, 1, 0)]


def test_rolling_weeks_begin_with_the_customers_own_day(worker: Worker, marts: Marts) -> None:
    """Ann's weeks begin on a Friday: her second order is in her first week, though the calendar's next. Bob's second has not ended."""
    worker.feed(
        bought("o1", "ann", "2026-03-06"),
        bought("o2", "ann", "2026-03-12"),
        bought("o3", "bob", "2026-03-08"),
        bought("o4", "bob", "2026-03-16"),
        close="2026-03-20",
    )
    assert cells(marts, "active_customers", "rolling_size", "rolling_active", "rolling_retention", period="week") == [
        ("2026-03-02", 0, 2, 2, 2, 1.0),
        ("2026-03-02", 1, 1, 1, 0, 0.0),
        ("2026-03-02", 2, 1, 0, 0, None),
    ]


def test_touchpoints_keep_the_kinds_active_that_count_them(worker: Worker) -> None:
    worker.feed(touch("ann", "2026-01-05"), touch("ann", "2026-02-05"), bought("o1", "ann", "2026-01-08"), close="2026-02-28")
    marts = Marts(worker, parameters={"touch_cohorts": ["first_touch"]})
    assert cells(marts, "active_customers", kind="first_touch") == [("2026-01-01", 0, 1), ("2026-01-01", 1, 1)]
    assert cells(marts, "active_customers", kind="first_order") == [("2026-01-01", 0, 1), ("2026-01-01", 1, 0)]


def test_an_order_in_another_currency_is_activity_without_money(worker: Worker, marts: Marts) -> None:
    worker.feed(bought("o1", "ann", "2026-01-05", currency="EUR"), bought("o2", "ann", "2026-02-05", 300), close="2026-02-28")
    assert cells(marts, "active_customers", "orders", "net_cents", "net_revenue_retention") == [
        ("2026-01-01", 0, 1, 1, 0, None),
        ("2026-01-01", 1, 1, 1, 300, None),
    ]


def test_retention_is_pooled_over_complete_cells(worker: Worker, marts: Marts) -> None:
    worker.feed(
        *(bought(f"o{name}", name, "2026-01-05") for name in ("a", "b", "c")),
        bought("o1", "a", "2026-02-05"),
        bought("o2", "d", "2026-02-05"),
        bought("o3", "d", "2026-03-05"),
        close="2026-03-15",
    )
    marts.refresh("cohort_summary")
    assert worker.query(
        "select period_number, cohorts, cohort_size, active_customers, retention from cohort_summary "
        "where cohort_kind = 'first_order' and period_kind = 'month' order by period_number"
    ) == [(0, 2, 4, 4, 1.0), (1, 1, 3, 1, 1 / 3)]  # February's first month after has not ended


def test_cohorts_of_ones_own(worker: Worker) -> None:
    worker.feed(
        order("o1", "2026-03-05", customer_id="ann", items=[line(product_id="tea")]),
        order("o2", "2026-03-05", customer_id="bob", items=[line(product_id="mug")]),
        close="2026-03-20",
    )
    marts = Marts(worker, *{**built_in(), "user_cohort": parse("user_cohort", USER_COHORT)}.values())
    assert cells(marts, "cohort_name", "cohort_size", kind="user") == [("2026-03-01", 0, "mug", 1), ("2026-03-01", 0, "tea", 1)]
    worker.feed(order("o0", "2026-03-01", customer_id="ann", items=[line(product_id="mug")]))
    assert cells(marts, "cohort_name", "cohort_size", kind="user") == [("2026-03-01", 0, "mug", 2)]


def test_cohorts_of_ones_own_that_hang_on_other_things(worker: Worker) -> None:
    worker.feed(bought("o1", "ann", "2026-03-05"), product("season", "2026-03-01", name="spring"), close="2026-03-20")
    marts = Marts(worker, *{**built_in(), "user_cohort": parse("user_cohort", SEASON_COHORT)}.values())
    assert cells(marts, "cohort_name", kind="user") == [("2026-03-01", 0, "spring")]
    worker.feed(product("season", "2026-03-21 12:00", name="summer"))
    assert cells(marts, "cohort_name", kind="user") == [("2026-03-01", 0, "summer")]


def test_the_past_of_sealed_days_stays(new_worker: NewWorker) -> None:
    worker = new_worker(retention={"days": 40})
    marts = Marts(worker)
    worker.feed(bought("o1", "ann", "2026-01-05", 400), close="2026-01-31")
    assert cells(marts, "net_cents") == [("2026-01-01", 0, 400)]
    worker.feed(bought("o2", "ann", "2026-04-05", 300), close="2026-04-30")
    worker.feed(bought("o3", "bob", "2026-05-01"))
    assert worker.query("select count(*) from order_current where day < '2026-02-01'") == [(0,)]
    assert cells(marts, "net_cents", "gross_revenue_retention")[:4] == [
        ("2026-01-01", 0, 400, 1.0),
        ("2026-01-01", 1, 0, 0.0),
        ("2026-01-01", 2, 0, 0.0),
        ("2026-01-01", 3, 300, 0.75),
    ]
