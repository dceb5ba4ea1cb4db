"""value_model_fit, customer_value: a few customers, figures to check by eye; and CDNOW."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from tests.support.cdnow import purchases
from tests.support.mart_reference.fits import foretold
from tests.support.mart_reference.value import History
from tests.support.marts import Marts
from tests.support.messages import Produced
from tests.support.worker import Worker, line, order
from worker.marts.models.bg_nbd import BgNbd, Model
from worker.resources import sql_text

FEW = {"min_repeaters": 5}
FIRST = date(2026, 1, 1)


def bought(customer_id: str, at: str, cents: int, **fields: Any) -> Produced:
    return order(f"{customer_id} {at} {cents}", at, customer_id=customer_id, items=[line(unit_price_cents=cents, quantity=1)], **fields)


def shop(customers: int, seed: int = 4) -> list[Produced]:
    """Customers who come back at rates of their own, some of them not for long, over 200 days."""
    random = np.random.default_rng(seed)
    orders = []
    for number in range(customers):
        day, rate, drop_out, spends = random.uniform(0, 150), random.gamma(0.8, 1 / 12), random.beta(0.6, 1.8), random.gamma(4, 500)
        while day < 200:
            orders.append(bought(f"c{number:03}", str(FIRST + timedelta(days=int(day))), int(random.gamma(6, spends / 6)) + 1))
            day += 1 + random.exponential(1 / rate)
            if random.uniform() < drop_out:
                break
    return orders


def value(marts: Marts, customer_id: str, *columns: str) -> dict[str, Any]:
    rows = marts.rows("customer_value", "customer_id", *columns)
    (found,) = [row[1:] for row in rows if row[0] == customer_id]
    return dict(zip(columns, found, strict=True))


# The rules


def test_the_heuristic_by_hand(worker: Worker) -> None:
    worker.feed(bought("c1", "2026-01-10", 6_000), bought("c1", "2026-03-01", 4_000), close="2026-04-10")
    marts = Marts(worker)
    marts.refresh("customer_value")  # as of 2026-04-10: 90 days after the first order, 40 after the last
    found = value(
        marts, "c1", "avg_order_value", "monthly_frequency", "recency_multiplier", "churn_probability", "monthly_value", "confidence"
    )
    assert tuple(found.values()) == pytest.approx((5_000, 2 / 3, 0.8, 0.2, 5_000 * 2 / 3 * 0.8, "high"))
    months = -np.log(0.2) / np.log(1 + 0.1 / 12)
    lasting = value(marts, "c1", "lifetime_months", "heuristic_value", "heuristic_value_12m", "value_3y", "value_3y_status")
    annuity = [(1 - (1 + 0.1 / 12) ** -length) / (0.1 / 12) for length in (months, 12)]
    expected = (months, 2_666.6667 * annuity[0], 2_666.6667 * annuity[1], 10_000 / 50 * 365 * 3, "ok")
    assert tuple(lasting.values()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("last", "multiplier", "churn", "confidence"),
    [
        ("2026-03-11", 1.0, 0.1, "high"),  # 30 days before
        ("2026-03-10", 0.8, 0.2, "high"),
        ("2026-01-10", 0.8, 0.2, "high"),  # 90
        ("2026-01-09", 0.6, 0.4, "medium"),
        ("2025-10-12", 0.6, 0.4, "medium"),  # 180
        ("2025-10-11", 0.4, 0.7, "low"),
        ("2025-04-10", 0.4, 0.7, "low"),  # 365
        ("2025-04-09", 0.2, 0.9, "low"),
    ],
)
def test_the_classes_of_recency_hold_their_limits(worker: Worker, last: str, multiplier: float, churn: float, confidence: str) -> None:
    worker.feed(bought("c1", last, 1_000), close="2026-04-10")
    marts = Marts(worker)
    marts.refresh("customer_value")
    found = value(marts, "c1", "recency_multiplier", "churn_probability", "confidence", "value_3y", "value_3y_status", "value_quartile")
    assert tuple(found.values()) == (multiplier, churn, confidence, None, "single_day", None)


def test_quartiles_are_of_those_who_have_a_value_and_ties_take_the_lower(worker: Worker) -> None:
    spent = {"c1": 100, "c2": 200, "c3": 200, "c4": 300, "c5": 900}
    orders = [bought(name, at, cents // 2) for name, cents in spent.items() for at in ("2026-03-01", "2026-03-11")]
    worker.feed(*orders, bought("c6", "2026-03-01", 9_999), close="2026-04-10")
    marts = Marts(worker)
    marts.refresh("customer_value")
    quartiles = marts.rows("customer_value", "customer_id", "value_quartile")
    assert [name for _, name in quartiles] == ["Low Value", "Low Value", "Low Value", "High Value", "Very High Value", None]


# The model


def test_what_the_model_says_is_what_its_parameters_say(worker: Worker) -> None:
    worker.feed(*shop(120), close="2026-07-19")
    marts = Marts(worker, parameters=FEW)
    marts.refresh("customer_value")
    columns = ("status", "value_status", "r", "alpha", "a", "b", "p", "q", "v")
    (fit,) = marts.rows("value_model_fit", *columns)
    assert fit[:2] == ("converged", "converged")
    facts = marts.rows(
        "customer_facts", "customer_id", "first_order_day", "last_order_day", "order_days", "net_cents", "first_day_net_cents"
    )
    model, end = BgNbd(Model.BG_NBD, *fit[2:6]), date(2026, 7, 19)
    p, q, v = fit[6:]
    for customer_id, first, last, days, net, first_net in facts:
        first_day, last_day, x = date.fromisoformat(first), date.fromisoformat(last), days - 1
        history = [np.array([float(number)]) for number in (x, (last_day - first_day).days, (end - first_day).days)]
        found = value(marts, customer_id, "p_alive", "expected_orders", "expected_order_value", "model_value", "model_status", "fit_id")
        assert found["p_alive"] == pytest.approx(model.p_alive(*history)[0])
        assert found["expected_orders"] == pytest.approx(model.expected_purchases(365, *history)[0])
        assert found["expected_order_value"] == pytest.approx(p * (v + float(net - first_net)) / (p * x + q - 1))
        assert 0.9 < found["model_value"] / (found["expected_orders"] * found["expected_order_value"]) < 1
        assert (found["model_status"], found["fit_id"]) == ("ok", 1)


def test_too_few_customers_are_a_status_and_nulls(worker: Worker) -> None:
    worker.feed(bought("c1", "2026-03-01", 1_000), bought("c1", "2026-03-05", 1_000), close="2026-04-10")
    marts = Marts(worker)
    marts.refresh("customer_value")
    columns = ("p_alive", "expected_orders", "expected_order_value", "model_value", "model_value_low", "model_value_high", "model_status")
    assert marts.rows("customer_value", *columns) == [(*[None] * 6, "too_few_repeaters")]
    assert marts.rows("value_model_fit", "status", "value_status", "r", "p", "frequency_value_correlation", "holdout_status") == [
        ("too_few_repeaters", "too_few_repeaters", None, None, None, "no_repeats")
    ]


def test_nobody_who_came_back_is_a_status(worker: Worker) -> None:
    worker.feed(bought("c1", "2026-03-01", 1_000), bought("c1", "2026-03-01", 3_000), close="2026-04-10")
    marts = Marts(worker)
    marts.refresh("customer_value")
    assert marts.rows("customer_value", "model_status") == [("no_repeats",)]  # orders of one day are one purchase


def test_without_a_customer_there_is_a_fit_and_no_value(worker: Worker) -> None:
    worker.close_day("2026-04-10")
    marts = Marts(worker)
    marts.refresh("customer_value")
    assert marts.rows("customer_value", "customer_id") == []
    assert marts.rows("value_model_fit", "fit_id", "reason", "status", "customers") == [(1, "first", "no_repeats", 0)]


def test_a_first_order_on_as_of_and_repeats_of_no_value_are_statuses(worker: Worker) -> None:
    refunded = bought("d2", "2026-07-01", 5_000, status="REFUNDED", refunded_cents=9_000)
    worker.feed(*shop(120), bought("d1", "2026-07-19", 1_000), bought("d2", "2026-06-01", 5_000), refunded, close="2026-07-19")
    marts = Marts(worker, parameters=FEW)
    marts.refresh("customer_value")
    columns = ("model_status", "p_alive", "model_value")
    assert tuple(value(marts, "d1", *columns).values()) == ("first_day", None, None)
    status, p_alive, model_value = value(marts, "d2", *columns).values()
    assert (status, model_value) == ("value_not_positive", None)
    assert 0 < p_alive < 1


# When it is fitted


def fits(marts: Marts) -> list[tuple[Any, ...]]:
    return marts.rows("value_model_fit", "fit_id", "as_of", "reason")


def test_it_is_fitted_anew_when_enough_has_changed_or_on_request(worker: Worker) -> None:
    worker.feed(*(bought(f"c{number}", "2026-03-01", 1_000) for number in range(10)), close="2026-03-10")
    marts = Marts(worker)
    marts.refresh("customer_value")
    worker.feed(bought("c1", "2026-03-11", 1_000), close="2026-03-11")
    marts.refresh("customer_value", full=True)
    assert fits(marts) == [(1, "2026-03-10", "first")]  # 10 order days became 11
    marts.refresh("customer_value", refit=True)
    assert fits(marts)[1:] == [(2, "2026-03-11", "asked")]
    worker.feed(bought("c1", "2026-03-12", 1_000), bought("c2", "2026-03-12", 1_000), close="2026-03-12")
    marts.refresh("customer_value")
    assert fits(marts)[2:] == [(3, "2026-03-12", "changed")]


def test_an_earlier_day_reads_the_fits_of_its_time(worker: Worker) -> None:
    worker.feed(*(bought(f"c{number}", "2026-03-01", 1_000) for number in range(10)), close="2026-03-20")
    marts = Marts(worker)
    marts.refresh("customer_value")
    marts.refresh("customer_value", as_of="2026-03-10")
    assert fits(marts) == [(1, "2026-03-20", "first"), (2, "2026-03-10", "first")]
    assert {row[0] for row in marts.rows("customer_value", "fit_id")} == {2}
    marts.refresh("customer_value")
    assert {row[0] for row in marts.rows("customer_value", "fit_id")} == {1}
    assert worker.query(sql_text("demo/last_fit"))[0][0] == "2026-03-20"  # the demo shows the same one


def test_the_last_days_are_foretold_from_those_before(worker: Worker) -> None:
    worker.feed(*shop(120), close="2026-07-19")
    marts = Marts(worker, parameters=FEW)
    marts.refresh("value_model_fit")
    ((status, days, customers, expected, actual, error),) = marts.rows(
        "value_model_fit", "holdout_status", "holdout_days", "holdout_customers", "holdout_expected", "holdout_actual", "holdout_error"
    )
    assert (status, days) == ("converged", 90)
    cut = "2026-04-20"  # 90 days before
    before = [row for row in marts.rows("customer_day", "customer_id", "day", "orders") if row[1] < cut]
    known = {row[0] for row in before}
    later = [row for row in marts.rows("customer_day", "customer_id", "day") if row[1] > cut and row[0] in known]
    assert (customers, actual) == (len(known), len(later))
    assert error == pytest.approx(expected / actual - 1)
    assert abs(error) < 0.5
    begun, bought_on = date.fromisoformat(cut), dict[str, list[date]]()
    for customer_id, day, orders in sorted(marts.rows("customer_day", "customer_id", "day", "orders")):
        if orders and day <= cut and customer_id in known:
            bought_on.setdefault(customer_id, []).append(date.fromisoformat(day))
    seen = [History(len(on) - 1, (on[-1] - on[0]).days, (begun - on[0]).days, None) for on in bought_on.values()]
    assert expected == pytest.approx(next(foretold(seen, 90, is_modified=False)), rel=1e-4)


def test_cdnow_through_the_whole_worker_has_the_published_parameters(worker: Worker) -> None:
    """Fader, Hardie, Lee 2005; Fader, Hardie 2013. Their weeks are 7 of our days, their dollars 100 of our cents."""
    sold = enumerate(purchases())
    items = ((f"o{number}", each, line(unit_price_cents=each.cents, quantity=1)) for number, each in sold)
    worker.feed(*(order(name, str(each.day), customer_id=each.customer_id, items=[item]) for name, each, item in items), close="1998-06-30")
    marts = Marts(worker)
    marts.refresh("customer_value", as_of="1997-09-30")
    columns = ("customers", "repeaters", "r", "alpha", "a", "b", "p", "q", "v")
    ((customers, repeaters, r, alpha, a, b, p, q, v),) = marts.rows("value_model_fit", *columns)
    assert (customers, repeaters) == (2_357, 946)
    assert (r, alpha / 7, a, b) == pytest.approx((0.242595, 4.413602, 0.792922, 2.425907), abs=1.5e-6)
    assert (p, q, v / 100) == pytest.approx((6.25, 3.74, 15.44), abs=0.005)
