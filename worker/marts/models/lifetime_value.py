"""What customers will be worth: expected purchases, discounted month by month, times the expected value of one."""

from dataclasses import dataclass

import numpy as np

from worker.marts.models.bg_nbd import BgNbd
from worker.marts.models.gamma_gamma import GammaGamma
from worker.marts.models.likelihood import Array

_TWO_SIDED_90 = 1.6448536269514722  # of the normal distribution


@dataclass(frozen=True, slots=True)
class Horizon:
    """`months` of a length `month` in the unit of time of the model; `monthly_rate`: what a month's money loses until the month before."""

    months: int
    month: float
    monthly_rate: float


@dataclass(frozen=True, slots=True)
class Purchases:
    """What the purchases of the horizon are expected to be, all of shape (n,) but the gradient.

    discounted: each counted as what a month's end is worth today; log_gradient: of it, by the model's four log parameters, (n, 4).
    """

    p_alive: Array
    expected: Array
    discounted: Array
    log_gradient: Array


@dataclass(frozen=True, slots=True)
class Value:
    """In the unit of money, all of shape (n,). low, high: a 90 % interval."""

    value: Array
    low: Array
    high: Array


def expected_purchases(model: BgNbd, horizon: Horizon, x: Array, t_x: Array, age: Array) -> Purchases:
    """Of customers of shape (n,)."""
    month = np.arange(1, horizon.months + 1, dtype=np.float64)
    discount = (1 + horizon.monthly_rate) ** -month
    in_all = (month == horizon.months).astype(np.float64)
    # What comes within month i is E[Y(i)] - E[Y(i - 1)], so E[Y(i)] counts with what the discount falls by.
    weights = np.stack([in_all, discount - np.append(discount[1:], 0.0)], axis=1)
    if_alive, gradient = model.expected_if_alive(month * horizon.month, weights, x, age)
    p_alive = model.p_alive(x, t_x, age)
    log_gradient = model.log_p_alive_gradient(x, t_x, age) + gradient[:, 1] / if_alive[:, 1, None]
    return Purchases(p_alive, p_alive * if_alive[:, 0], p_alive * if_alive[:, 1], log_gradient)


def lifetime_value(
    purchases: Purchases, covariance: Array, values: GammaGamma, values_covariance: Array, x: Array, mean_value: Array
) -> Value:
    """The discounted value, with an interval by the delta method on its logarithm, so that no end of it is negative.

    The covariances, (4, 4) and (3, 3), are those of the log parameters; the two models are fitted apart. What the interval holds is the
    parameters' uncertainty alone, not what a customer will do by chance.
    """
    value = purchases.discounted * values.expected_value(x, mean_value)
    value_gradient = values.log_expected_value_gradient(x, mean_value)
    variance = _quadratic(purchases.log_gradient, covariance) + _quadratic(value_gradient, values_covariance)
    spread = np.exp(_TWO_SIDED_90 * np.sqrt(variance))
    return Value(value, value / spread, value * spread)


def _quadratic(rows: Array, matrix: Array) -> Array:
    return np.asarray(np.einsum("ij,jk,ik->i", rows, matrix, rows), dtype=np.float64)
