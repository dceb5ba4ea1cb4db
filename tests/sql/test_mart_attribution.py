"""The attribution marts: windows small enough to check by eye, and PathData."""

from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tests.sql.conftest import NewWorker
from tests.support.marts import Marts
from tests.support.messages import Produced
from tests.support.path_data import path_data
from tests.support.worker import Worker, line, moment, order, touch
from worker.config import Settings
from worker.marts.definition import built_in

MODELS = ("first", "last", "last_non_direct", "linear", "time_decay", "u_shaped", "j_shaped", "w_shaped", "shapley")


@pytest.fixture
def marts(worker: Worker) -> Marts:
    return Marts(worker)


def click(at: str, channel: str = "email", customer_id: str | None = "c1", **fields: Any) -> Produced:
    return touch(customer_id, at, event_type="ad_click", channel=channel, **fields)


def bought(order_id: str, at: str, cents: int = 1000, **fields: Any) -> Produced:
    return order(order_id, at, items=[line(unit_price_cents=cents)], **fields)


def credits(marts: Marts, order_id: str = "o1") -> dict[str, list[int]]:
    """By model, the cents of each touch in order."""
    marts.refresh("attribution_touch")
    rows = marts.worker.query(
        "select model, credit_cents from attribution_touch where order_id = $order_id order by model, place", order_id=order_id
    )
    return {model: [cents for of, cents in rows if of == model] for model in MODELS}


def by_channel(marts: Marts, model: str, kind: str = "month") -> list[tuple[Any, ...]]:
    marts.refresh("attribution_channel")
    return marts.worker.query(
        "select period, channel, conversions, credit_cents, cost_cents, roas, cpa from attribution_channel "
        "where model = $model and period_kind = $kind order by period, channel",
        model=model,
        kind=kind,
    )


# The rule models


def test_a_single_touch_has_it_all(worker: Worker, marts: Marts) -> None:
    worker.feed(click("2026-03-01"), bought("o1", "2026-03-02"), close="2026-03-02")
    assert credits(marts) == {model: [1000] for model in MODELS}


def test_two_touches_share_as_the_ends_do(worker: Worker, marts: Marts) -> None:
    worker.feed(click("2026-03-01"), click("2026-03-08", "paid"), bought("o1", "2026-03-09"), close="2026-03-09")
    assert credits(marts) == {
        "first": [1000, 0],
        "last": [0, 1000],
        "last_non_direct": [0, 1000],
        "linear": [500, 500],
        "time_decay": [333, 667],  # a half life apart
        "u_shaped": [500, 500],
        "j_shaped": [250, 750],
        "w_shaped": [500, 500],
        "shapley": [500, 500],
    }


def test_two_touches_may_take_half_each_of_what_is_for_those_between(worker: Worker) -> None:
    marts = Marts(worker, parameters={"two_touch": "split_middle"})
    worker.feed(click("2026-03-01"), click("2026-03-08"), bought("o1", "2026-03-09"), close="2026-03-09")
    found = credits(marts)
    assert (found["u_shaped"], found["j_shaped"], found["w_shaped"]) == ([500, 500], [300, 700], [500, 500])


def test_three_touches(worker: Worker, marts: Marts) -> None:
    touches = (click("2026-03-01", "email"), click("2026-03-08", "paid"), click("2026-03-15", "email"))
    worker.feed(*touches, bought("o1", "2026-03-16"), close="2026-03-16")
    assert credits(marts) == {
        "first": [1000, 0, 0],
        "last": [0, 0, 1000],
        "last_non_direct": [0, 0, 1000],
        "linear": [334, 333, 333],
        "time_decay": [143, 286, 571],  # 1/7, 2/7, 4/7
        "u_shaped": [400, 200, 400],
        "j_shaped": [200, 200, 600],
        "w_shaped": [429, 143, 428],  # without a lead 3/7, 1/7, 3/7: the cents left go to .857, then to the earlier .571
        "shapley": [250, 500, 250],
    }


def test_four_touches_with_a_lead(worker: Worker, marts: Marts) -> None:
    touches = (click("2026-03-01", "a"), click("2026-03-02", "b"), click("2026-03-04", "a"), click("2026-03-05", "c"))
    cart_adds = (touch("c1", "2026-03-03", event_type="cart_add"), touch("c1", "2026-03-06", event_type="cart_add"))
    worker.feed(*touches, *cart_adds, bought("o1", "2026-03-07"), close="2026-03-07")
    found = credits(marts)
    assert found["w_shaped"] == [300, 300, 100, 300]
    assert found["u_shaped"] == [400, 100, 100, 400]
    assert found["j_shaped"] == [200, 100, 100, 600]
    assert found["linear"] == [250, 250, 250, 250]
    assert found["shapley"] == [167, 333, 167, 333]  # a third for each channel


def test_roles_on_one_touch_add_up_and_what_has_no_touch_is_spread_in_proportion(worker: Worker, marts: Marts) -> None:
    """The first touch is the lead too: 6/9 and 3/9 of two, 60, 10 and 30 of three."""
    cart_add = touch("c1", "2026-03-01 13:00", event_type="cart_add")
    worker.feed(click("2026-03-01"), cart_add, click("2026-03-03"), bought("o1", "2026-03-04"), close="2026-03-04")
    assert credits(marts)["w_shaped"] == [667, 333]
    worker.feed(click("2026-03-02"))
    assert credits(marts)["w_shaped"] == [600, 100, 300]


def test_last_non_direct_passes_over_direct_touches_unless_there_are_no_others(worker: Worker, marts: Marts) -> None:
    mixed = (click("2026-03-01", "paid"), click("2026-03-02", "email"), click("2026-03-03", "direct"), bought("o1", "2026-03-04"))
    direct = (click("2026-03-01", "direct", "c2"), click("2026-03-02", "direct", "c2"), bought("o2", "2026-03-04", customer_id="c2"))
    worker.feed(*mixed, *direct, close="2026-03-04")
    assert credits(marts, "o1")["last_non_direct"] == [0, 1000, 0]
    assert credits(marts, "o2")["last_non_direct"] == [0, 1000]


def test_remainders_that_are_equal_go_by_order_of_touch(worker: Worker, marts: Marts) -> None:
    """Two half lives before: 1/6, 1/6, 4/6 of 2 cents leave a third each, though 4/3 - 1 is not 1/3 in doubles."""
    worker.feed(click("2026-03-01"), click("2026-03-01"), click("2026-03-15"), bought("o1", "2026-03-16", 2), close="2026-03-16")
    assert credits(marts)["time_decay"] == [1, 0, 1]


def test_a_refund_changes_what_is_shared_out_and_below_zero_the_sign_is_restored(worker: Worker, marts: Marts) -> None:
    touches = (click("2026-03-01"), click("2026-03-02"), click("2026-03-03"))
    worker.feed(*touches, bought("o1", "2026-03-04"), close="2026-03-04")
    credits(marts)
    worker.feed(bought("o1", "2026-03-04", updated="2026-03-05", status="REFUNDED", refunded_cents=1100))
    found = credits(marts)
    assert (found["linear"], found["first"], found["u_shaped"]) == ([-34, -33, -33], [-100, 0, 0], [-40, -20, -40])


# Touches and windows


def test_a_window_holds_the_last_720_hours_and_the_moment_of_the_order(worker: Worker, marts: Marts) -> None:
    at_bounds = ("2026-03-01 12:00", "2026-03-01 12:00:00.000001", "2026-03-31 12:00", "2026-03-31 12:00:00.000001")
    worker.feed(*(click(at) for at in at_bounds), bought("o1", "2026-03-31 12:00"), close="2026-03-31")
    marts.refresh("attribution_touch")
    seen = worker.query("select occurred_at from attribution_credit order by place")
    assert [at for (at,) in seen] == ["2026-03-01 12:00:00.000001", "2026-03-31 12:00:00"]


def test_touches_are_clicks_and_the_first_page_view_of_a_session(worker: Worker, marts: Marts) -> None:
    views = [touch("c1", f"2026-03-01 0{hour}:00", channel=f"view {hour}") for hour in (1, 2)]
    others = [
        touch("c1", "2026-03-01 03:00", event_type=kind, channel=kind)
        for kind in ("product_view", "impression", "email_open", "email_click")
    ]
    next_day = touch("c1", "2026-03-02 01:00", channel="view of the next day")
    worker.feed(*views, *others, next_day, bought("o1", "2026-03-02"), close="2026-03-02")
    marts.refresh("attribution_touch")
    assert worker.query("select channel from attribution_credit order by place") == [
        ("view 1",),
        ("email_click",),
        ("view of the next day",),
    ]


def test_an_anonymous_touch_is_its_sessions_customers(worker: Worker, marts: Marts) -> None:
    landing = click("2026-03-01 08:00", "paid", None, session_id="s1")
    stranger = click("2026-03-01 08:00", "organic", None, session_id="s2")
    worker.feed(landing, stranger, bought("o1", "2026-03-02"), close="2026-03-02")
    assert credits(marts)["first"] == []
    worker.feed(touch("c1", "2026-03-01 09:00", event_type="product_view", session_id="s1"))
    assert credits(marts)["first"] == [1000]


def test_a_later_page_view_stays_no_touch_when_only_its_own_customer_changes(worker: Worker, marts: Marts) -> None:
    """The session is another's, and so is its first page_view, which is anonymous."""
    views = [touch(customer, f"2026-03-01 0{hour}:00", session_id="shared") for hour, customer in enumerate((None, "c1", "c2"))]
    worker.feed(*views, bought("o1", "2026-03-02"), close="2026-03-02")
    marts.refresh("attribution_touch")
    worker.feed(bought("o2", "2026-03-03"), close="2026-03-03")
    marts.refresh("attribution_touch")
    assert worker.rows("attribution_event", "customer_id", "occurred_at") == [("c2", "2026-03-01 00:00:00")]


def test_windows_may_overlap(worker: Worker, marts: Marts) -> None:
    worker.feed(click("2026-03-01"), bought("o1", "2026-03-02"), click("2026-03-03"), bought("o2", "2026-03-04", 500), close="2026-03-04")
    assert credits(marts, "o1")["first"] == [1000]
    assert credits(marts, "o2")["first"] == [500, 0]


def test_a_late_touch_re_attributes_the_conversions_it_concerns_and_no_others(worker: Worker, marts: Marts) -> None:
    worker.feed(click("2026-03-01"), bought("o1", "2026-03-02"), bought("o2", "2026-04-05"), close="2026-04-05")
    before = {order_id: credits(marts, order_id) for order_id in ("o1", "o2")}
    assert before["o2"]["last"] == []
    worker.feed(click("2026-03-10", "paid"))
    assert credits(marts, "o1") == before["o1"]
    assert credits(marts, "o2") == {model: [1000] for model in MODELS}


def test_an_order_that_goes_over_to_another_customer_takes_its_touches(worker: Worker, marts: Marts) -> None:
    worker.feed(
        click("2026-03-01"),
        click("2026-03-01", "paid", "c2"),
        click("2026-03-02", "paid", "c2"),
        bought("o1", "2026-03-03"),
        close="2026-03-03",
    )
    assert credits(marts)["linear"] == [1000]
    worker.feed(bought("o1", "2026-03-03", updated="2026-03-04", customer_id="c2"))
    assert credits(marts)["linear"] == [500, 500]


def test_a_conversion_keeps_its_touches_when_their_days_are_sealed(new_worker: NewWorker) -> None:
    worker = new_worker(retention={"days": 5})
    marts = Marts(worker)
    worker.feed(click("2026-03-01"), click("2026-03-04", "paid"), bought("o1", "2026-03-05"), close="2026-03-05")
    before = credits(marts)
    worker.feed(click("2026-03-08", customer_id="c2"), close="2026-03-08")
    assert worker.query("select min(day) from touchpoint") == [("2026-03-04",)]
    assert credits(marts) == before
    worker.feed(bought("o1", "2026-03-05", updated="2026-03-09", refunded_cents=500))
    assert credits(marts)["linear"] == [250, 250]
    worker.feed(click("2026-03-15", customer_id="c2"), close="2026-03-15")
    assert worker.query("select count(*) from order_current where counted") == [(0,)]
    assert credits(marts)["linear"] == [250, 250]
    assert by_channel(marts, "linear")[:2] == [
        ("2026-03-01", "email", 0.5, 250, 0, None, 0.0),
        ("2026-03-01", "paid", 0.5, 250, 0, None, 0.0),
    ]


# Channels, campaigns, paths


def test_credit_stands_at_the_conversion_and_cost_at_its_day(worker: Worker, marts: Marts) -> None:
    worker.feed(
        click("2026-02-27", "paid", cost_cents=200),
        click("2026-03-01", "email"),
        bought("o1", "2026-03-02", 1000),
        bought("o2", "2026-03-03", 300, customer_id="c2"),
        bought("o3", "2026-03-03", 900, currency="EUR"),
        bought("o4", "2026-03-03", 900, status="PLACED"),
        close="2026-03-03",
    )
    months = [
        ("2026-02-01", "paid", 0.0, 0, 200, 0.0, None),
        ("2026-03-01", "(unattributed)", 1.0, 300, 0, None, 0.0),
        ("2026-03-01", "email", 0.5, 500, 0, None, 0.0),
        ("2026-03-01", "paid", 0.5, 500, 0, None, 0.0),
    ]
    assert by_channel(marts, "linear") == months
    assert by_channel(marts, "markov") == months  # both are needed
    assert [row[:4] for row in by_channel(marts, "last", "day")] == [
        ("2026-02-27", "paid", 0.0, 0),
        ("2026-03-02", "email", 1.0, 1000),
        ("2026-03-03", "(unattributed)", 1.0, 300),
    ]
    assert by_channel(marts, "markov", "day") == []


def test_campaigns_are_told_apart_within_a_channel(worker: Worker, marts: Marts) -> None:
    touches = (click("2026-03-01", campaign="spring", cost_cents=100), click("2026-03-02", campaign=None))
    worker.feed(*touches, bought("o1", "2026-03-03"), close="2026-03-03")
    marts.refresh("attribution_campaign")
    found = worker.query(
        "select model, channel, campaign, conversions, credit_cents, cost_cents, roas, cpa from attribution_campaign "
        "where period_kind = 'month' and model in ('linear', 'markov') order by all"
    )
    assert found == [
        (model, "email", campaign, 0.5, 500, *rest)
        for model in ("linear", "markov")
        for campaign, rest in (("(none)", (0, None, 0.0)), ("spring", (100, 5.0, 200.0)))
    ]


@pytest.fixture
def three_journeys(worker: Worker) -> Worker:
    """c1: C1 > C2 > C3 and an order; c2: C1; c3: C2 > C3. On 1 April all windows have passed."""
    worker.feed(
        *(click(f"2026-03-0{day}", f"C{day}", "c1") for day in (1, 2, 3)),
        bought("o1", "2026-03-04", customer_id="c1"),
        click("2026-03-01", "C1", "c2"),
        *(click(f"2026-03-0{day}", f"C{day}", "c3") for day in (2, 3)),
        close="2026-04-02",
    )
    return worker


def effects(marts: Marts) -> list[tuple[Any, ...]]:
    marts.refresh("attribution_markov")
    found = marts.worker.query(
        "select month, channel, probability, removal_effect, share, conversions, credit_cents from attribution_markov "
        "where states = 'channel' order by all"
    )
    return [tuple(round(value, 12) if isinstance(value, float) else value for value in row) for row in found]


def test_removal_effects_of_three_journeys(three_journeys: Worker) -> None:
    third = round(1 / 3, 12)
    assert effects(Marts(three_journeys)) == [
        ("2026-03-01", "C1", third, 0.5, 0.2, 0.2, 200),
        ("2026-03-01", "C2", third, 1.0, 0.4, 0.4, 400),
        ("2026-03-01", "C3", third, 1.0, 0.4, 0.4, 400),
    ]


def test_a_late_order_turns_a_null_journey_into_a_converting_one(three_journeys: Worker) -> None:
    marts = Marts(three_journeys)
    effects(marts)
    three_journeys.feed(bought("o2", "2026-03-05", 100, customer_id="c3"))
    assert [row[2:4] for row in effects(marts)] == [(round(2 / 3, 12), 0.5), (round(2 / 3, 12), 1.0), (round(2 / 3, 12), 1.0)]


def test_a_journey_is_null_once_its_window_has_passed(worker: Worker, marts: Marts) -> None:
    worker.feed(click("2026-03-01 12:00"), bought("o1", "2026-03-01 13:00"), click("2026-03-02 00:00", "paid", "c2"), close="2026-03-30")
    paths = "select month, path, conversions, value_cents, nulls, mean_touches, mean_hours from attribution_path order by all"
    marts.refresh("attribution_path")
    assert worker.query(paths) == [("2026-03-01", "email", 1, 1000, 0, 1.0, 1.0)]
    worker.close_day("2026-03-31")  # its end is 720 hours after 2 March begins
    marts.refresh("attribution_path")
    assert worker.query(paths) == [("2026-03-01", "email", 1, 1000, 0, 1.0, 1.0), ("2026-03-01", "paid", 0, 0, 1, 1.0, None)]


def test_a_null_journey_ends_at_a_converting_touch_and_at_a_long_gap(worker: Worker, marts: Marts) -> None:
    worker.feed(
        click("2026-01-01", "a"),
        click("2026-01-02", "b"),
        click("2026-02-02", "c"),  # 31 days later
        click("2026-03-01", "d"),
        bought("o1", "2026-03-15"),  # its window begins on 13 February
        click("2026-03-16", "e"),
        close="2026-05-01",
    )
    marts.refresh("attribution_path")
    assert worker.rows("attribution_path", "month", "path", "conversions", "nulls") == [
        ("2026-01-01", "a > b", 0, 1),
        ("2026-02-01", "c", 0, 1),
        ("2026-03-01", "d", 1, 0),
        ("2026-03-01", "e", 0, 1),
    ]


# PathData


def test_rule_models_of_path_data_as_published() -> None:
    """Each path with conversions is one order that is worth its number of conversions, so credits are conversions."""
    converting = [(f"o{number:05}", path.channels, path.conversions) for number, path in enumerate(path_data()) if path.conversions]
    assert sum(conversions for _, _, conversions in converting) == 19_785
    at = moment("2026-03-31").replace(tzinfo=None)
    orders = [
        {"day": at.date(), "order_id": order_id, "customer_id": order_id, "ordered_at": at, "net_cents": n} for order_id, _, n in converting
    ]
    touches = [
        _touch(order_id, at - timedelta(seconds=len(channels) - place), channel)
        for order_id, channels, _ in converting
        for place, channel in enumerate(channels)
    ]
    mart = built_in()["attribution_credit"]
    settings = Settings().marts.parameters()
    with duckdb.connect() as connection:
        connection.register("counted_order", pa.Table.from_pylist(orders))
        connection.register("attribution_event", pa.Table.from_pylist(touches))
        connection.execute(f"create table attribution_credit as {mart.select}", {name: settings[name] for name in mart.parameters})
        sums = "sum(credit_first), sum(credit_last), sum(weight_linear * net_cents), sum(weight_shapley * net_cents)"
        (alpha,) = connection.execute(f"select {sums} from attribution_credit where channel = 'alpha'").fetchall()
    assert alpha == (6308, 8447, pytest.approx(7574.7186, abs=5e-5), pytest.approx(7627.9440, abs=5e-5))


def _touch(order_id: str, at: datetime, channel: str) -> dict[str, Any]:
    event = {"day": at.date(), "event_id": f"{order_id} {at}", "customer_id": order_id, "occurred_at": at}
    return event | {"channel": channel, "campaign": "(none)", "is_touch": True, "is_cart_add": False}


def test_by_markov_a_conversion_counts_once_whatever_its_channel_is_called(worker: Worker) -> None:
    """A producer may call a channel as those are called that had no touch."""
    marts = Marts(worker)
    without_touch = order("o2", "2026-03-03", customer_id="nobody")
    worker.feed(click("2026-03-01", "(unattributed)"), bought("o1", "2026-03-02"), without_touch, close="2026-05-02")
    marts.refresh("attribution_channel")
    query = "select sum(conversions), count(*) from {} where model = 'markov' and period_kind = 'month'"
    found = {table: worker.query(query.format(table)) for table in ("attribution_campaign", "attribution_channel")}
    assert found == {"attribution_campaign": [(2.0, 2)], "attribution_channel": [(2.0, 1)]}
