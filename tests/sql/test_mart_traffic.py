"""traffic_anomaly, traffic_season, funnel: small figures to check by eye."""

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.sql.conftest import NewWorker
from tests.support.marts import Marts
from tests.support.messages import Produced
from tests.support.worker import Worker, line, order, touch
from worker.marts.definition import built_in


def day(number: int) -> str:
    """Days from 1 March 2026, which is number 0."""
    return (date(2026, 3, 1) + timedelta(number)).isoformat()


def anomalies(worker: Worker, metric: str, *columns: str) -> list[tuple[Any, ...]]:
    marts = Marts(worker)
    marts.refresh("traffic_anomaly")
    return [row[1:] for row in marts.rows("traffic_anomaly", "metric", "day", *columns) if row[0] == metric]


def test_every_metric_has_every_day_from_the_first_of_any(worker: Worker) -> None:
    worker.feed(order("o1", "2026-03-02"), order("o2", "2026-03-01", currency="EUR"), touch("c1", "2026-03-04", event_type="ad_click"))
    worker.close_day("2026-03-05")
    expected = {
        "net_cents": [1000, 0, 0, 0],
        "orders": [1, 0, 0, 0],
        "page_views": [0, 0, 0, 0],
        "sessions": [0, 0, 1, 0],
        "touchpoints": [0, 0, 1, 0],
    }
    assert {metric: [value for _, value in anomalies(worker, metric, "value")] for metric in expected} == expected
    assert [at for at, *_ in anomalies(worker, "orders")] == ["2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"]


def test_a_spike_is_measured_by_the_thirty_days_before_it_alone(worker: Worker) -> None:
    # Thirty days of 1000 and 3000 by turns, then 12000: mean 2000, squares 1000^2, so the deviation is 1000 * sqrt(30 / 29).
    sums = [1000, 3000] * 15 + [12_000, 2000]
    worker.feed(*(order(f"o{number}", day(number), items=[line(unit_price_cents=cents)]) for number, cents in enumerate(sums)))
    worker.close_day(day(31))
    rows = anomalies(worker, "net_cents", "value", "mean", "deviation", "z", "median", "mad", "robust_z", "is_anomaly")
    deviation = 1000 * (30 / 29) ** 0.5
    assert rows[29] == (day(29), 3000, None, None, None, None, None, None, False)
    assert rows[30][:3] == (day(30), 12_000, 2000.0)
    assert rows[30][3:5] == pytest.approx((deviation, 10_000 / deviation))
    assert rows[30][5:] == (2000.0, 1000.0, 10_000 / 1482.6, True)
    assert rows[31][2] == (15 * 3000 + 14 * 1000 + 12_000) / 30


def test_figures_that_never_change_have_no_z(worker: Worker) -> None:
    worker.feed(*(order(f"o{number}", day(number)) for number in range(30)), close=day(30))
    assert anomalies(worker, "orders", "value", "mean", "deviation", "z", "mad", "robust_z", "is_anomaly")[30] == (
        *(day(30), 0, 1.0, 0.0),
        *(None, 0.0, None, False),
    )


def test_a_year_ago_and_the_seven_days_average(worker: Worker) -> None:
    worker.feed(*(order(f"o{number}", at) for number, at in enumerate(["2024-02-29", "2025-02-28", "2025-02-28"])), close="2025-03-01")
    rows = {at: row for at, *row in anomalies(worker, "orders", "moving_average", "yoy")}
    assert [rows[at][0] for at in ("2024-03-05", "2024-03-06", "2024-03-07")] == [None, 1 / 7, 0.0]
    assert rows["2025-02-28"] == [2 / 7, None]  # 28 February 2024 is not there
    assert rows["2025-03-01"] == [2 / 7, None]  # 1 March 2024 had no order
    worker.feed(order("o9", "2024-02-28"))
    assert ("2025-02-28", 1.0) in anomalies(worker, "orders", "yoy")


def season(worker: Worker, metric: str, **parameters: int) -> dict[tuple[int, int], tuple[Any, ...]]:
    """(weekday, hour) -> days, mean, median; all zeros left out."""
    marts = Marts(worker, parameters=parameters)
    marts.refresh("traffic_season")
    rows = marts.rows("traffic_season", "metric", "weekday", "hour", "days", "mean", "median")
    assert len(rows) % (5 * 24) == 0
    return {(weekday, hour): tuple(figures) for name, weekday, hour, *figures in rows if name == metric and figures[1]}


def test_an_hour_without_events_counts_as_none(worker: Worker) -> None:
    # 2, 9 and 16 March 2026 are Mondays.
    worker.feed(touch("c1", "2026-03-02 08:10"), touch("c1", "2026-03-02 08:20"), touch("c1", "2026-03-02 09:30"))
    worker.feed(touch("c1", "2026-03-09 08:30"), order("o1", "2026-03-09 23:59"), close="2026-03-16")
    assert season(worker, "touchpoints") == {(1, 8): (3, 1.0, 1.0), (1, 9): (3, 1 / 3, 0.0)}
    assert season(worker, "sessions") == {(1, 8): (3, 2 / 3, 1.0)}  # in the hour in which it began
    assert season(worker, "orders") == {(1, 23): (3, 1 / 3, 0.0)}
    assert season(worker, "page_views", traffic_season_days=8) == {(1, 8): (2, 0.5, 0.5)}  # 9 and 16 March


def test_hours_are_those_of_the_reporting_time_zone(new_worker: NewWorker) -> None:
    worker = new_worker(time={"reporting_time_zone": "Asia/Kolkata"})
    worker.feed(touch("c1", "2026-03-01 19:00"), close="2026-03-02")  # 00:30 on Monday
    assert season(worker, "sessions") == season(worker, "touchpoints") == {(1, 0): (1, 1.0, 1.0)}


def stages(session: str, *at: tuple[str, str], channel: str = "email") -> list[Produced]:
    """A session's events: (what, time of 5 March)."""
    return [touch("c1", f"2026-03-05 {time}", event_type=what, session_id=session, channel=channel) for what, time in at]


def test_a_funnel_counts_sessions_by_stage_and_times_its_steps(worker: Worker) -> None:
    a = [
        ("page_view", "08:00:00"),
        ("product_view", "08:00:30"),
        ("cart_add", "08:01:00"),
        ("checkout_start", "08:02:00"),
        ("purchase", "08:02:00"),
    ]
    b = [("page_view", "09:00:00"), ("product_view", "09:00:10"), ("product_view", "09:05:00"), ("page_view", "09:06:00")]
    c = [("cart_add", "10:00:00"), ("product_view", "10:00:01"), ("impression", "10:00:02")]
    worker.feed(*stages("a", *a), *stages("b", *b), *stages("c", *c), *stages("d", ("impression", "11:00"), channel="display"))
    worker.close_day("2026-03-05")
    marts = Marts(worker)
    marts.refresh("funnel")
    assert marts.rows("funnel") == [
        ("2026-03-05", "display", 1, 0, 0, 0, 0, 0, 0.0, None, None, None, None),
        ("2026-03-05", "email", 3, 2, 3, 2, 1, 1, 1 / 3, 20.0, 30.0, 60.0, 0.0),
    ]


def test_a_late_event_changes_its_days_funnel_alone(worker: Worker) -> None:
    first, second = [("page_view", "08:00:00"), ("purchase", "08:10:00")], [("checkout_start", "08:09:00")]
    worker.feed(*stages("a", *first), touch("c2", "2026-03-06"), close="2026-03-07")
    marts = Marts(worker)
    marts.refresh("funnel", "hourly_sessions")
    worker.feed(*stages("a", *second))
    runs = marts.refresh("funnel", "hourly_sessions")
    assert {name: (run.reason, run.rows_written) for name, run in runs.items()} == {"funnel": ("", 1), "hourly_sessions": ("", 1)}
    assert marts.rows("funnel", "day", "with_checkout_start", "seconds_to_purchase") == [("2026-03-05", 1, 60.0), ("2026-03-06", 0, None)]


def test_steps_are_those_of_neighbouring_stages() -> None:
    """The funnel's columns follow one another as its stages do."""
    columns = built_in()["funnel"].columns
    names = [column.removeprefix("with_") for column in columns if column.startswith("with_")]
    assert [f"seconds_to_{there}" for _, there in pairwise(names)] == [column for column in columns if column.startswith("seconds_to_")]
