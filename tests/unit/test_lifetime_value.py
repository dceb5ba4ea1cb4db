"""The discounted value of customers and its interval."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.cdnow import published_summary
from worker.marts.models.bg_nbd import BgNbd, Model, fit_bg_nbd, grouped
from worker.marts.models.gamma_gamma import GammaGamma, fit_gamma_gamma
from worker.marts.models.lifetime_value import Horizon, expected_purchases, lifetime_value

Array = NDArray[np.float64]

MODEL, VALUES = BgNbd(Model.BG_NBD, 0.7, 25.0, 0.8, 2.4), GammaGamma(6.0, 4.0, 15.0)
X, T_X, AGE, MEAN_VALUE = np.array([[0, 0, 200, 0], [1, 20, 200, 35], [9, 150, 160, 22]], dtype=np.float64).T


def value(model: BgNbd, values: GammaGamma, horizon: Horizon) -> Array:
    purchases = expected_purchases(model, horizon, X, T_X, AGE)
    return lifetime_value(purchases, np.eye(4), values, np.eye(3), X, MEAN_VALUE).value


def test_customer_1_of_cdnow_has_the_published_value() -> None:
    """12 months of 4.345 weeks, 1 % a month: 36.2785 dollars, from the rounded summary."""
    cdnow = published_summary()
    fit, values = fit_bg_nbd(grouped(cdnow.x, cdnow.t_x, cdnow.age)), fit_gamma_gamma(cdnow.x, cdnow.mean_value)
    assert fit.fitted is not None
    assert values.fitted is not None
    purchases = expected_purchases(fit.fitted, Horizon(12, 4.345, 0.01), cdnow.x, cdnow.t_x, cdnow.age)
    found = lifetime_value(purchases, np.zeros((4, 4)), values.fitted, np.zeros((3, 3)), cdnow.x, cdnow.mean_value)
    assert found.value[0] == pytest.approx(36.2785, abs=1e-4)
    assert found.low[0] == found.value[0] == found.high[0]


def test_each_months_purchases_are_discounted_at_its_end() -> None:
    by_hand = np.zeros(3)
    for month in range(1, 13):
        within = [MODEL.expected_purchases(30.0 * end, X, T_X, AGE) if end else 0 for end in (month, month - 1)]
        by_hand += (within[0] - within[1]) / 1.02**month
    by_hand *= VALUES.expected_value(X, MEAN_VALUE)
    assert value(MODEL, VALUES, Horizon(12, 30.0, 0.02)) == pytest.approx(by_hand)


def test_without_discount_it_is_what_is_expected_times_its_value() -> None:
    purchases = expected_purchases(MODEL, Horizon(12, 30.0, 0.0), X, T_X, AGE)
    assert purchases.discounted == pytest.approx(purchases.expected)
    assert purchases.expected == pytest.approx(MODEL.expected_purchases(360.0, X, T_X, AGE))
    assert purchases.p_alive == pytest.approx(MODEL.p_alive(X, T_X, AGE))


def test_the_interval_is_that_of_the_parameters() -> None:
    """Against parameters drawn from their distribution: 90 % of the values lie within."""
    random = np.random.default_rng(5)
    spread = np.array([0.02, 0.03, 0.05, 0.06, 0.03, 0.02, 0.04])  # of the log parameters, without correlation
    at = np.log([MODEL.r, MODEL.alpha, MODEL.a, MODEL.b, VALUES.p, VALUES.q, VALUES.v])
    horizon = Horizon(12, 365 / 12, 0.1 / 12)
    draws = []
    for parameters in np.exp(random.normal(at, spread, (400, 7))):
        r, alpha, a, b, p, q, v = (float(parameter) for parameter in parameters)
        draws.append(value(BgNbd(Model.BG_NBD, r, alpha, a, b), GammaGamma(p, q, v), horizon))
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    purchases = expected_purchases(MODEL, horizon, X, T_X, AGE)
    found = lifetime_value(purchases, np.diag(spread[:4] ** 2), VALUES, np.diag(spread[4:] ** 2), X, MEAN_VALUE)
    assert found.low == pytest.approx(low, rel=0.03)
    assert found.high == pytest.approx(high, rel=0.03)
