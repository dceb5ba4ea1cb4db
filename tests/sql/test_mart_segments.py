"""customer_segment, segment_snapshot, segment_summary, segment_migration: a few customers, segments to check by eye."""

from contextlib import closing
from datetime import date, timedelta
from typing import Any

import pytest

from tests.sql.conftest import NewWorker
from tests.support.marts import Marts
from tests.support.messages import Produced
from tests.support.worker import Worker, customer, line, order, touch
from worker.marts.audits import Auditor

AS_OF = date(2026, 7, 1)


def bought(customer_id: str, at: str, cents: int = 1_000, **fields: Any) -> Produced:
    return order(f"{customer_id} {at}", at, customer_id=customer_id, items=[line(unit_price_cents=cents, quantity=1)], **fields)


def ago(days: int) -> str:
    return str(AS_OF - timedelta(days=days))


def segments(worker: Worker, *columns: str, **parameters: Any) -> list[tuple[Any, ...]]:
    marts = Marts(worker, parameters=parameters)
    marts.refresh("customer_segment")
    return marts.rows("customer_segment", "customer_id", *columns)


# RFM


def test_quintiles_by_hand(worker: Worker) -> None:
    """Five customers, one a fifth; the last score of ties is that of the first among them."""
    orders = {
        "c1": [(40, 100)],
        "c2": [(30, 100), (90, 300)],
        "c3": [(20, 300)],
        "c4": [(10, 500), (11, 500)],
        "c5": [(5, 50), (6, 50), (7, 50)],
    }
    worker.feed(*(bought(name, ago(days), cents) for name, each in orders.items() for days, cents in each), close=str(AS_OF))
    assert segments(worker, "r_score", "f_score", "m_score", "rfm_score", "rfm_segment") == [
        ("c1", 1, 1, 1, 111, "Lost Customers"),
        ("c2", 2, 3, 4, 234, "At Risk"),  # 2 orders: rank 3 with c4; 400 cents: rank 4
        ("c3", 3, 1, 3, 313, "Need Attention"),  # 300 cents: rank 3
        ("c4", 4, 3, 5, 435, "Loyal Customers"),
        ("c5", 5, 5, 2, 552, "Frequent Buyers"),  # 150 cents: rank 2
    ]


def test_whoever_ordered_before_the_window_has_no_score(worker: Worker) -> None:
    worker.feed(bought("c1", ago(365)), bought("c2", ago(364)), touch("c3", ago(1)), customer("c4", ago(1)), close=str(AS_OF))
    assert segments(worker, "rfm_score", "rfm_segment", "recency_segment") == [
        ("c1", None, "(none)", "Lapsed"),
        ("c2", 111, "Lost Customers", "Lapsed"),
        ("c3", None, "(none)", "(none)"),
        ("c4", None, "(none)", "(none)"),
    ]


# Limits


@pytest.mark.parametrize(("days", "segment"), [(0, "Recent"), (30, "Recent"), (31, "Moderate"), (90, "Moderate"), (91, "Lapsed")])
def test_recency_has_limits(worker: Worker, days: int, segment: str) -> None:
    worker.feed(bought("c1", ago(days)), close=str(AS_OF))
    assert segments(worker, "recency_segment") == [("c1", segment)]


def test_frequency_has_limits(worker: Worker) -> None:
    counts = {"c1": 1, "c2": 2, "c3": 3, "c4": 4, "c5": 9, "c6": 10}
    worker.feed(*(bought(name, ago(number)) for name, count in counts.items() for number in range(count)), close=str(AS_OF))
    assert [name for _, name in segments(worker, "frequency_segment")] == ["One-time", "Low", "Low", "Medium", "Medium", "High"]


@pytest.mark.parametrize(("currency", "unit"), [("USD", 100), ("JPY", 1), ("KWD", 1_000)])
def test_spend_has_limits_in_major_units(new_worker: NewWorker, currency: str, unit: int) -> None:
    worker = new_worker(reporting_currency=currency)
    spends = {"c1": 500 * unit - 1, "c2": 500 * unit, "c3": 1_000 * unit - 1, "c4": 1_000 * unit}
    worker.feed(*(bought(name, ago(1), cents, currency=currency) for name, cents in spends.items()), close=str(AS_OF))
    assert segments(worker, "monetary_segment", "value_tier") == [
        ("c1", "Low", "low_value"),
        ("c2", "Medium", "medium_value"),
        ("c3", "Medium", "medium_value"),
        ("c4", "High", "high_value"),
    ]


@pytest.mark.parametrize(
    ("order_days", "stage"),
    [
        ([30], "New"),
        ([31], "Active"),
        ([60], "Active"),
        ([61], "At Risk"),
        ([180], "At Risk"),
        ([181], "Churned"),
        ([211, 30], "Reactivated"),
        ([210, 30], "Active"),  # a gap of 180 days is none over 180
        ([400, 31, 2], "Active"),  # it came back 31 days ago
        ([400, 30, 2], "Reactivated"),
        ([900, 500, 20], "Reactivated"),
    ],
)
def test_stages_of_life(worker: Worker, order_days: list[int], stage: str) -> None:
    worker.feed(*(bought("c1", ago(days)) for days in order_days), close=str(AS_OF))
    assert segments(worker, "lifecycle_stage") == [("c1", stage)]


# Clusters


def shop() -> list[Produced]:
    """Two sorts of ten customers: once, long ago, for little; ten times, lately, for much."""
    once = [bought(f"a{number}", ago(300 + number), 100 + number) for number in range(10)]
    often = [bought(f"b{number}", ago(day), 5_000 + number) for number in range(10) for day in range(10)]
    return [*once, *often]


def test_clusters_are_numbered_by_what_is_spent_and_are_the_same_each_time(worker: Worker) -> None:
    worker.feed(*shop(), touch("c", ago(1)), close=str(AS_OF))
    marts = Marts(worker, parameters={"cluster_count": 2})
    marts.refresh("customer_segment")
    columns = ("customer_id", "cluster", "cluster_label")
    found = marts.rows("customer_segment", *columns)
    assert [(name[0], cluster) for name, cluster, _ in found] == [("a", 1)] * 10 + [("b", 2)] * 10 + [("c", None)]
    assert found[-1] == ("c", None, "(none)")
    marts.refresh("customer_segment", refit=True, full=True)
    assert marts.rows("customer_segment", *columns) == found
    first, again = (
        [row[1:] for row in marts.rows("segment_cluster_fit", "fit_id", "cluster", "label", "centre") if row[0] == fit] for fit in (1, 2)
    )
    assert first == again
    assert [cluster for cluster, *_ in first] == [1, 2]


def test_clusters_stay_until_enough_has_changed(worker: Worker) -> None:
    worker.feed(*shop(), close=str(AS_OF))
    marts = Marts(worker, parameters={"cluster_count": 2})
    marts.refresh("customer_segment")
    worker.feed(bought("d", "2026-07-02", 6_000), close="2026-07-02")
    marts.refresh("customer_segment", full=True)
    assert {row[0] for row in marts.rows("segment_cluster_fit", "fit_id")} == {1}
    assert marts.rows("customer_segment", "customer_id", "cluster")[-1] == ("d", 1)


def test_fewer_customers_than_clusters_have_none(worker: Worker) -> None:
    worker.feed(*(bought(f"c{number}", ago(number)) for number in range(4)), close=str(AS_OF))
    assert {row[1:] for row in segments(worker, "cluster", "cluster_label")} == {(None, "(none)")}


# Snapshots

ALL = ("segment_snapshot", "segment_summary", "segment_migration")


def snapshots(marts: Marts, kind: str) -> list[tuple[Any, ...]]:
    return [row[:3] for row in marts.rows("segment_snapshot", "month", "customer_id", "segment", "kind") if row[3] == kind]


def test_a_snapshot_is_written_when_a_month_has_closed_and_never_again(worker: Worker) -> None:
    worker.feed(bought("c1", "2026-01-10"), close="2026-01-30")
    marts = Marts(worker)
    marts.refresh(*ALL)
    assert snapshots(marts, "recency") == []
    worker.close_day("2026-01-31")
    marts.refresh(*ALL)
    assert snapshots(marts, "recency") == [("2026-01-01", "c1", "Recent")]
    worker.feed(bought("c2", "2026-01-05"), close="2026-02-03")
    marts.refresh(*ALL, full=True)
    assert snapshots(marts, "recency") == [("2026-01-01", "c1", "Recent")]


def test_a_first_snapshot_may_be_a_little_late_and_says_so(worker: Worker) -> None:
    worker.feed(bought("c1", "2026-01-10"), close="2026-02-07")
    marts = Marts(worker)
    marts.refresh(*ALL)
    assert marts.rows("segment_member", "month", "as_of") == [("2026-01-01", "2026-02-07")]
    worker.close_day("2026-03-08")
    marts.refresh(*ALL)
    assert len(marts.rows("segment_member", "month")) == 1  # 8 days are too late


def test_a_provisional_refresh_writes_no_snapshot(worker: Worker) -> None:
    worker.feed(bought("c1", "2026-01-10"), close="2026-01-30")
    marts = Marts(worker)
    assert marts.refresh(*ALL, as_of="2026-01-31")["segment_member"].is_provisional
    assert marts.rows("segment_member") == []
    worker.close_day("2026-01-31")
    marts.refresh(*ALL)
    assert snapshots(marts, "recency") == [("2026-01-01", "c1", "Recent")]


def lived(worker: Worker) -> Marts:
    """c1 buys in January and February, c2 in January alone, c3 in July before and again in February, c4 from February."""
    marts = Marts(worker)
    worker.feed(bought("c1", "2026-01-10", 300), bought("c2", "2026-01-20", 500), bought("c3", "2025-07-01", 700), close="2026-01-31")
    marts.refresh(*ALL)
    worker.feed(bought("c1", "2026-02-10", 100), bought("c3", "2026-02-20", 900), bought("c4", "2026-02-27", 400), close="2026-02-28")
    marts.refresh(*ALL)
    return marts


def test_migration_counts_who_went_where(worker: Worker) -> None:
    rows = lived(worker).rows("segment_migration", "kind", "month", "from_segment", "to_segment", "customers")
    assert [row[1:] for row in rows if row[0] == "recency"] == [
        ("2026-02-01", "(new)", "Recent", 1),
        ("2026-02-01", "Lapsed", "Recent", 1),
        ("2026-02-01", "Recent", "Moderate", 1),
        ("2026-02-01", "Recent", "Recent", 1),
    ]


def test_summary_tells_who_stayed_and_who_came_back(worker: Worker) -> None:
    columns = ("kind", "month", "segment", "customers", "revenue", "previous_members", "retention", "reactivation")
    rows = lived(worker).rows("segment_summary", *columns)
    assert [row[1:] for row in rows if row[0] == "lifecycle"] == [
        ("2026-01-01", "Churned", 1, 0, None, None, None),
        ("2026-01-01", "New", 2, 800, None, None, None),
        ("2026-02-01", "Active", 2, 100, 0, None, None),  # c1, c2
        ("2026-02-01", "New", 1, 400, 2, 0.5, None),  # of c1 and c2, who were new then, c1 ordered
        ("2026-02-01", "Reactivated", 1, 900, 0, None, None),
    ]
    recency = [row[1:] for row in rows if row[0] == "recency" and row[1] == "2026-02-01"]
    assert recency == [("2026-02-01", "Moderate", 1, 0, 0, None, None), ("2026-02-01", "Recent", 3, 1_400, 2, 0.5, None)]


def test_as_of_an_earlier_day_later_snapshots_are_not_there(worker: Worker) -> None:
    marts = lived(worker)
    marts.refresh(*ALL, as_of="2026-02-27")
    assert {month for (month,) in marts.rows("segment_summary", "month")} == {"2026-01-01"}
    assert marts.rows("segment_migration", "month") == []
    with closing(worker.store.cursor()) as connection:
        found = Auditor(marts.refresher).run(connection, "segment_summary")
    assert [result.audit for result in found if result.fails] == []


def test_summary_describes_the_members_of_the_snapshot(worker: Worker) -> None:
    columns = (
        "kind",
        "month",
        "segment",
        "orders",
        "avg_order_value",
        "mean_spend",
        "mean_orders",
        "mean_recency_days",
        "mean_model_value",
    )
    rows = lived(worker).rows("segment_summary", *columns)
    assert [row[3:] for row in rows if row[:3] == ("lifecycle", "2026-02-01", "Active")] == [(3, 300.0, 450.0, 1.5, (18 + 39) / 2, None)]


def test_a_late_order_changes_who_stayed_and_not_the_snapshot(worker: Worker) -> None:
    marts = lived(worker)
    before = snapshots(marts, "lifecycle")
    worker.feed(bought("c2", "2026-02-15", 200), close="2026-03-05")
    marts.refresh(*ALL)
    assert snapshots(marts, "lifecycle") == before
    rows = marts.rows("segment_summary", "kind", "month", "segment", "retention", "revenue")
    assert ("lifecycle", "2026-02-01", "New", 1.0, 400) in rows
    assert ("lifecycle", "2026-02-01", "Active", None, 300) in rows


def test_the_dormant_who_came_back_are_counted(worker: Worker) -> None:
    """Of three who had not ordered for over 180 days before February, one did in it; one of them is a day short of that."""
    marts = Marts(worker)
    worker.feed(*(bought(name, "2025-07-01") for name in ("c1", "c2", "c3")), bought("c4", "2025-08-05"), close="2026-01-31")
    marts.refresh(*ALL)
    worker.feed(bought("c1", "2026-02-10"), bought("c4", "2026-02-10"), bought("c5", "2026-02-10"), close="2026-02-28")
    worker.feed(bought("c6", "2026-02-11"))
    marts.refresh(*ALL)
    rows = marts.rows("segment_summary", "kind", "month", "segment", "previous_members", "retention", "reactivation")
    assert [row[3:] for row in rows if row[:3] == ("recency", "2026-02-01", "Lapsed")] == [(4, 0.5, 1 / 3)]
