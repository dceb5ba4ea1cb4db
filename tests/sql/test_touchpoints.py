"""Touchpoints: duplicates, sessions, and the tables that only grow."""

from typing import Any
from uuid import UUID

from tests.support.messages import Produced
from tests.support.worker import Worker, touch

UUID_A, UUID_B = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"


def test_the_same_touchpoint_twice_is_one_whether_in_one_batch_or_later(worker: Worker) -> None:
    once = touch("c1", "2026-03-05")
    worker.feed(once, once)
    worker.feed(once)
    assert worker.accounting("touchpoints") == {"read": 3, "accepted": 1, "duplicate": 2}
    assert worker.rows("hourly_traffic", "touchpoints") == [(1,)]


def test_of_two_touchpoints_with_one_id_and_day_the_first_stays_and_the_other_is_counted(worker: Worker) -> None:
    worker.feed(
        touch("c1", "2026-03-05 08:00", event_id="e1", channel="email"), touch("c1", "2026-03-05 08:00", event_id="e1", channel="paid")
    )
    worker.feed(touch("c2", "2026-03-05 09:00", event_id="e1", channel="organic"))
    assert worker.accounting("touchpoints") == {"read": 3, "accepted": 1, "duplicate": 2, "conflicting_duplicates": 2}
    assert worker.rows("daily_channel", "channel", "touchpoints") == [("email", 1)]


def test_one_id_on_two_days_is_two_touchpoints(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05", event_id="e1"), touch("c1", "2026-03-06", event_id="e1"))
    assert worker.accounting("touchpoints") == {"read": 2, "accepted": 2}


def test_an_id_is_its_text_though_uuids_are_stored_as_such(worker: Worker) -> None:
    alike = (
        UUID_A.upper(),
        UUID_A.replace("-", ""),
        f"{{{UUID_A}}}",
        f"urn:uuid:{UUID_A}",
        f" {UUID_A}",
        UUID_B,
        "e1",
        str(UUID(UUID_A).int),
    )
    ids = (UUID_A, *alike)
    worker.feed(*(touch("c1", "2026-03-05", event_id=event_id) for event_id in ids))
    worker.feed(*(touch("c2", "2026-03-05", event_id=event_id) for event_id in reversed(ids)))
    assert worker.rows("touchpoint", "event_id") == sorted((event_id,) for event_id in ids)
    assert worker.accounting("touchpoints") == {"read": 18, "accepted": 9, "duplicate": 9, "conflicting_duplicates": 9}


def test_a_late_earlier_touchpoint_becomes_the_entry_of_its_session(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05 12:00", session_id="s1", channel="paid", event_type="purchase"), touch("c2", "2026-03-05"))
    worker.feed(touch("c1", "2026-03-05 11:00", session_id="s1", channel="organic"))
    columns = ("entry_channel", "sessions", "with_page_view", "with_purchase")
    assert worker.rows("daily_sessions", *columns) == [("email", 1, 1, 0), ("organic", 1, 1, 1)]
    assert worker.query("select entry_channel, started_at, ended_at, touchpoints from session_day where session_id = 's1'") == [
        ("organic", "2026-03-05 11:00:00", "2026-03-05 12:00:00", 2)
    ]


def test_a_touchpoint_within_the_session_changes_no_entry(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05 12:00", session_id="s1", channel="paid"), touch("c1", "2026-03-05 13:00", session_id="s1"))
    worker.feed(touch("c1", "2026-03-05 12:30", session_id="s1", channel="organic"))
    assert worker.rows("daily_sessions", "entry_channel", "sessions") == [("paid", 1)]


def test_touchpoints_of_one_moment_are_ordered_bytewise_by_their_ids(worker: Worker) -> None:
    """The lesser id is the session's entry, the greater one its last; within one batch, and where the lesser comes later."""
    pairs = [("B", "a"), ("a", "b"), ("e", "é"), ("z", "é"), ("é", "😀"), ("\uffff", "😀"), (UUID_A, "e1"), ("0", UUID_B), (UUID_A, UUID_B)]
    lesser: list[dict[str, Any]] = [{"session_id": f"{n}", "event_id": pair[0], "channel": "first"} for n, pair in enumerate(pairs)]
    greater: list[dict[str, Any]] = [{"session_id": f"{n}", "event_id": pair[1], "channel": "second"} for n, pair in enumerate(pairs)]
    worker.feed(*(touch("c2", f"2026-03-{10 + n}", **fields) for n, fields in enumerate(greater)))
    worker.feed(*(touch("c1", f"2026-03-{10 + n}", **fields) for n, fields in enumerate(lesser)))
    worker.feed(*(message for n, pair in enumerate(zip(greater, lesser, strict=True)) for message in _both(f"2026-04-{10 + n}", *pair)))
    assert worker.query("select distinct entry_channel, customer_id from session_day") == [("first", "c2")]
    assert worker.query("select count(*) from session_day") == [(2 * len(pairs),)]


def _both(day: str, greater: dict[str, Any], lesser: dict[str, Any]) -> list[Produced]:
    return [touch("c2", day, **greater), touch("c1", day, **lesser)]


def test_a_session_is_of_its_last_identified_customer(worker: Worker) -> None:
    worker.feed(touch(None, "2026-03-05 08:00", session_id="s1"))
    assert worker.rows("session_day", "customer_id") == [(None,)]
    worker.feed(touch("c1", "2026-03-05 09:00", session_id="s1"), touch(None, "2026-03-05 10:00", session_id="s1"))
    assert worker.rows("session_day", "customer_id") == [("c1",)]
    worker.feed(touch("c2", "2026-03-05 08:30", session_id="s1"))
    assert worker.rows("session_day", "customer_id") == [("c1",)]


def test_a_session_that_crosses_midnight_is_two_rows(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05 23:59", session_id="s1"), touch("c1", "2026-03-06 00:00", session_id="s1"))
    assert worker.rows("daily_sessions", "day", "sessions") == [("2026-03-05", 1), ("2026-03-06", 1)]


def test_a_customer_counts_once_a_day_and_channel_in_reach(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05", cost_cents=5), touch("c1", "2026-03-05"), touch(None, "2026-03-05", cost_cents=7))
    worker.feed(touch("c1", "2026-03-05"), touch("c2", "2026-03-05"), touch("c1", "2026-03-05", channel="paid"))
    assert worker.rows("daily_reach", "channel", "touchpoints", "customers", "cost_cents") == [("email", 5, 2, 12), ("paid", 1, 1, 0)]


def test_channels_count_impressions_and_clicks_by_campaign(worker: Worker) -> None:
    kinds = ("impression", "ad_click", "email_click", "email_open", "page_view")
    worker.feed(
        *(touch("c1", "2026-03-05", event_type=kind, campaign="spring") for kind in kinds), touch("c1", "2026-03-05", campaign="(none)")
    )
    worker.feed(touch("c1", "2026-03-05", cost_cents=3))
    columns = ("campaign", "touchpoints", "impressions", "clicks", "cost_cents")
    assert worker.rows("daily_channel", *columns) == [("(none)", 2, 0, 0, 3), ("spring", 5, 1, 2, 0)]


def test_a_review_score_counts_only_on_reviews(worker: Worker) -> None:
    worker.feed(
        touch("c1", "2026-03-05", product_id="p1", event_type="review", review_score=4),
        touch("c1", "2026-03-05", product_id="p1", event_type="review"),
        touch("c1", "2026-03-05", product_id="p1", event_type="product_view", review_score=5),
        touch("c1", "2026-03-05", product_id="p2"),
        touch("c1", "2026-03-05"),
    )
    columns = ("product_id", "views", "cart_adds", "reviews", "review_score_sum")
    assert worker.rows("daily_product_activity", *columns) == [("p1", 1, 0, 2, 4), ("p2", 0, 0, 0, 0)]


def test_traffic_is_counted_by_hour_and_kind(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05 08:59"), touch("c1", "2026-03-05 09:00"), touch(None, "2026-03-05 09:59", event_type="anything"))
    assert worker.rows("hourly_traffic", "hour", "event_type", "touchpoints") == [
        (8, "page_view", 1),
        (9, "anything", 1),
        (9, "page_view", 1),
    ]
