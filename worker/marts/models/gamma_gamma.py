"""What an order is worth: the Gamma-Gamma model (Fader, Hardie 2013, "The Gamma-Gamma Model of Monetary Value").

A customer's order values are Gamma(p, nu), with nu of its own, Gamma(q, v) over customers, and do not depend on how often it buys.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln

from worker.marts.models.likelihood import Array, Objective, Optimum, Status, maximum


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """The model with its parameters; v is in the unit of money. q > 1."""

    p: float
    q: float
    v: float

    def expected_value(self, x: Array, mean_value: Array) -> Array:
        """E[M | x, mean value of x orders] (eq. 5); mean_value is not looked at where x = 0. Shape (n,)."""
        return self.p * (self.v + self._total(x, mean_value)) / (self.p * x + self.q - 1)

    def log_expected_value_gradient(self, x: Array, mean_value: Array) -> Array:
        """By log p, log q, log v. Shape (n, 3)."""
        divisor = self.p * x + self.q - 1
        by_v = self.v / (self.v + self._total(x, mean_value))
        return np.stack([1 - self.p * x / divisor, -self.q / divisor, by_v], axis=1)

    def _total(self, x: Array, mean_value: Array) -> Array:
        return np.where(x > 0, x * mean_value, 0.0)


@dataclass(frozen=True, slots=True)
class GammaGammaFit:
    """`fitted` and `optimum` (parameters p, q, v) are there where the status is converged, else None."""

    status: Status
    fitted: GammaGamma | None = None
    optimum: Optimum | None = None


def fit_gamma_gamma(x: Array, mean_value: Array, min_repeaters: int = 1) -> GammaGammaFit:
    """Maximum likelihood (eq. 1a) over customers with x > 0 and mean_value > 0; the others are left out. Shapes (n,).

    Never NaN: what can't be fitted has a status; so has q <= 1, for which a customer's expected value is infinite before its first repeat.
    """
    is_valued = (x > 0) & (mean_value > 0)
    repeaters = int(is_valued.sum())
    if repeaters == 0:
        return GammaGammaFit(Status.NO_REPEATS)
    if repeaters < min_repeaters:
        return GammaGammaFit(Status.TOO_FEW_REPEATERS)
    counts, values = x[is_valued], mean_value[is_valued]
    scale = float(np.exp(np.log(values).mean()))  # of money, so that the start is near for cents and for dollars
    optimum = maximum(_mean_log_likelihood(counts, values / scale), repeaters, np.log([1.0, 2.0, 1.0]))
    if optimum is None:
        return GammaGammaFit(Status.NO_OPTIMUM)
    p, q, v = (float(value) for value in optimum.parameters * [1, 1, scale])
    # A density over mean values, each in a unit that is `scale` times as large.
    log_likelihood = optimum.log_likelihood - repeaters * float(np.log(scale))
    scaled = Optimum(np.array([p, q, v]), optimum.covariance, log_likelihood)
    if q <= 1:
        return GammaGammaFit(Status.INFINITE_MEAN, None, scaled)
    return GammaGammaFit(Status.CONVERGED, GammaGamma(p, q, v), scaled)


def log_likelihood(log_parameters: Array, x: Array, mean_value: Array) -> tuple[float, Array]:
    """The sum over customers, all with x > 0 and mean_value > 0, and its gradient by the log parameters (3,)."""
    value, gradient = _mean_log_likelihood(x, mean_value)(log_parameters)
    return value * len(x), gradient * len(x)


def _mean_log_likelihood(x: Array, mean_value: Array) -> Objective:
    """The objective of `maximum`, with what depends on x alone computed once per distinct x."""
    counts, place = np.unique(x, return_inverse=True)
    share_of_count = np.bincount(place) / len(x)
    total = x * mean_value
    mean_log_value, mean_x_log_total = np.log(mean_value).mean(), (x * np.log(total)).mean()

    def objective(log_parameters: Array) -> tuple[float, Array]:
        p, q, v = np.exp(log_parameters)
        shape = p * counts
        log_sum = np.log(v + total)
        mean_log_sum, mean_x_log_sum = log_sum.mean(), (x * log_sum).mean()
        of_count = share_of_count @ (gammaln(shape + q) - gammaln(shape)) - gammaln(q)
        value = of_count + q * (np.log(v) - mean_log_sum) + p * (mean_x_log_total - mean_x_log_sum) - mean_log_value
        by_p = share_of_count @ (counts * (digamma(shape + q) - digamma(shape))) + mean_x_log_total - mean_x_log_sum
        by_q = share_of_count @ digamma(shape + q) - digamma(q) + np.log(v) - mean_log_sum
        by_v = q / v - ((p * x + q) / (v + total)).mean()
        return float(value), np.array([p * by_p, q * by_q, v * by_v])

    return objective
