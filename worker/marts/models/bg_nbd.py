"""How often customers come back, and whether they still do: BG/NBD and MBG/NBD.

While alive, a customer buys at a constant rate of its own, Gamma(r, alpha) over customers; after a purchase it drops out with a probability
of its own, Beta(a, b) over customers. In the BG/NBD (Fader, Hardie, Lee 2005, "Counting Your Customers the Easy Way") the first purchase is
none to drop out after; in the MBG/NBD (Batislam, Denizel, Filiztekin 2007) it is. That is the only difference: a customer with x repeat
purchases has survived x chances to drop out, or x + 1. All formulas are written by this number.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import count

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import digamma, expit, gammaln

from worker.marts.models.likelihood import Array, Objective, Optimum, Status, maximum

Places = NDArray[np.int64]

_CHUNK = 128  # customers whose series are summed at a time, so that their arrays stay in the cache
_BLOCK = 32  # terms of a series that are summed at a time
_EPSILON = 1e-16  # what the rest of a series may still bring, relative
_LARGE = 1e100


class Model(StrEnum):
    BG_NBD = "bg_nbd"
    MBG_NBD = "mbg_nbd"

    @property
    def first_chances(self) -> int:
        """Chances to drop out that the first purchase is."""
        return int(self is Model.MBG_NBD)


@dataclass(frozen=True, slots=True)
class Histories:
    """Customers by what the model needs of them, all of shape (n,).

    x: repeat purchases; t_x: time from the first purchase to the last; age: time from the first purchase to the end of observation,
    age >= t_x >= 0, and t_x = 0 where x = 0; weight: customers with that triple.
    """

    x: Array
    t_x: Array
    age: Array
    weight: Array

    @property
    def customers(self) -> float:
        return float(self.weight.sum())

    @property
    def repeaters(self) -> float:
        return float(self.weight[self.x > 0].sum())


def grouped(x: Array, t_x: Array, age: Array) -> Histories:
    """Customers, one per row, as their distinct triples."""
    (x, t_x, age), place = _distinct(x, t_x, age)
    return Histories(x, t_x, age, np.bincount(place).astype(np.float64))


def _distinct(*columns: Array) -> tuple[Array, Places]:
    """The distinct rows, in order, as columns of a shape (len(columns), k), and which of them each row is."""
    place = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        values, code = _encoded(column)
        place = _encoded(place * max(values, 1) + code)[1]
    first = np.zeros(place.max(initial=-1) + 1, dtype=np.int64)
    first[place[::-1]] = np.arange(len(place))[::-1]
    rows = np.stack([column[first] for column in columns])
    order = np.lexsort(rows[::-1])
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rows[:, order], rank[place]


def _encoded(column: Array | Places) -> tuple[int, Places]:
    """How many distinct values there are, and a number for each row's; by hashing, for sorting a million takes its time."""
    encoded = pa.array(column).dictionary_encode()
    return len(encoded.dictionary), encoded.indices.to_numpy().astype(np.int64)


@dataclass(frozen=True, slots=True)
class BgNbd:
    """The model with its parameters. alpha is in the unit of time of the histories."""

    model: Model
    r: float
    alpha: float
    a: float
    b: float

    def p_alive(self, x: Array, t_x: Array, age: Array) -> Array:
        """The probability that a customer has not dropped out. All of shape (n,)."""
        return np.asarray(expit(-self._log_odds_dropped(x, t_x, age)), dtype=np.float64)

    def expected_purchases(self, t: float, x: Array, t_x: Array, age: Array) -> Array:
        """E[Y(t) | x, t_x, age]: purchases expected in the time t that follows. Shape (n,)."""
        if_alive, _ = self.expected_if_alive(np.array([t]), np.ones((1, 1)), x, age)
        return self.p_alive(x, t_x, age) * if_alive[:, 0]

    def log_p_alive_gradient(self, x: Array, t_x: Array, age: Array) -> Array:
        """By log r, log alpha, log a, log b. Shape (n, 4)."""
        n, chances = self.r + x, x + self.model.first_chances
        since_last = np.log((self.alpha + age) / (self.alpha + t_x))
        rate = n * (1 / (self.alpha + age) - 1 / (self.alpha + t_x))
        last_chance = -1 / np.where(chances > 0, self.b + chances - 1, 1.0)
        by_parameter = np.stack([self.r * since_last, self.alpha * rate, np.ones_like(n), self.b * last_chance], axis=1)
        return np.asarray(-(1 - self.p_alive(x, t_x, age))[:, None] * by_parameter, dtype=np.float64)

    def expected_if_alive(self, times: Array, weights: Array, x: Array, age: Array) -> tuple[Array, Array]:
        """Purchases expected within each of `times` (k,) of customers who are alive, summed with weights (k, c); and their gradient.

        Returns shapes (n, c) and (n, c, 4), the latter by log r, log alpha, log a, log b. They depend on x and age alone: each pair is
        computed once.
        """
        (pair_age, pair_x), place = _distinct(age, x)
        value = np.empty((len(pair_x), weights.shape[1]))
        gradient = np.empty((len(pair_x), weights.shape[1], 4))
        for first in range(0, len(pair_x), _CHUNK):
            part = slice(first, first + _CHUNK)
            elapsed = self.alpha + pair_age[part]
            n, m = self.r + pair_x[part], self.b + pair_x[part] + self.model.first_chances
            expected, by_n, by_log_ratio, by_a, by_m = _expected(n, self.a, m, times / elapsed[:, None])
            by_log = (self.r * by_n, by_log_ratio * (-self.alpha / elapsed)[:, None], self.a * by_a, self.b * by_m)
            value[part] = expected @ weights
            gradient[part] = np.stack([part_of @ weights for part_of in by_log], axis=2)
        return value[place], gradient[place]

    def _log_odds_dropped(self, x: Array, t_x: Array, age: Array) -> Array:
        chances = x + self.model.first_chances
        has_chance = chances > 0
        last = np.log(self.a) - np.log(np.where(has_chance, self.b + chances - 1, 1.0))
        log_odds = last + (self.r + x) * np.log((self.alpha + age) / (self.alpha + t_x))
        return np.where(has_chance, log_odds, -np.inf)


@dataclass(frozen=True, slots=True)
class BgNbdFit:
    """`fitted` and `optimum` (parameters r, alpha, a, b) are there where the status is converged, else None."""

    status: Status
    fitted: BgNbd | None = None
    optimum: Optimum | None = None


def fit_bg_nbd(histories: Histories, model: Model = Model.BG_NBD, min_repeaters: int = 1) -> BgNbdFit:
    """Maximum likelihood (Fader, Hardie, Lee 2005, eq. 6; Batislam et al. 2007, eq. 7). Never NaN: what can't be fitted has a status."""
    if histories.repeaters == 0:
        return BgNbdFit(Status.NO_REPEATS)
    if histories.repeaters < min_repeaters:
        return BgNbdFit(Status.TOO_FEW_REPEATERS)
    scale = float(np.average(histories.age, weights=histories.weight))  # of time, so that the start is near for days and for weeks
    scaled = Histories(histories.x, histories.t_x / scale, histories.age / scale, histories.weight)
    optimum = maximum(_mean_log_likelihood(scaled, model), histories.customers, np.zeros(4))
    if optimum is None:
        return BgNbdFit(Status.NO_OPTIMUM)
    r, alpha, a, b = (float(value) for value in optimum.parameters * [1, scale, 1, 1])
    # A density over x purchase times, each in a unit that is `scale` times as long.
    log_likelihood = optimum.log_likelihood - float(histories.weight @ histories.x) * float(np.log(scale))
    return BgNbdFit(Status.CONVERGED, BgNbd(model, r, alpha, a, b), Optimum(np.array([r, alpha, a, b]), optimum.covariance, log_likelihood))


def log_likelihood(log_parameters: Array, histories: Histories, model: Model) -> tuple[float, Array]:
    """The sum over customers, and its gradient by the log parameters (4,)."""
    value, gradient = _mean_log_likelihood(histories, model)(log_parameters)
    return value * histories.customers, gradient * histories.customers


def _mean_log_likelihood(histories: Histories, model: Model) -> Objective:
    """The objective of `maximum`, with what depends on x alone computed once per distinct x."""
    share = histories.weight / histories.customers
    (counts, count_at), (last_times, last_at), (ages, age_at) = (
        np.unique(column, return_inverse=True) for column in (histories.x, histories.t_x, histories.age)
    )
    share_of_count, share_of_age = np.bincount(count_at, weights=share), np.bincount(age_at, weights=share)
    share_x_of_age = np.bincount(age_at, weights=share * histories.x)
    chances = counts + model.first_chances
    has_chance = chances > 0

    def objective(log_parameters: Array) -> tuple[float, Array]:
        r, alpha, a, b = np.exp(log_parameters)
        n = r + counts
        last_chance = np.where(has_chance, b + chances - 1, 1.0)
        log_age, log_last = np.log(alpha + ages), np.log(alpha + last_times)
        since_last = log_age[age_at] - log_last[last_at]
        log_odds = np.where(has_chance, np.log(a / last_chance), -np.inf)[count_at] + n[count_at] * since_last
        small = np.exp(-np.abs(log_odds))
        dropped = share * np.where(log_odds > 0, 1.0, small) / (1 + small)  # the probability of it, given the history

        of_count = gammaln(n) - gammaln(r) + gammaln(b + chances) - gammaln(b) - gammaln(a + b + chances) + gammaln(a + b)
        n_of_age = r * share_of_age + share_x_of_age
        value = share_of_count @ of_count + r * np.log(alpha) - n_of_age @ log_age + share @ (np.maximum(log_odds, 0) + np.log1p(small))

        dropped_of_count = np.bincount(count_at, weights=dropped)
        lost = digamma(a + b) - digamma(a + b + chances)
        by_r = share_of_count @ (digamma(n) - digamma(r)) + np.log(alpha) - share_of_age @ log_age + dropped @ since_last
        rate_since_last = (1 / (alpha + ages))[age_at] - (1 / (alpha + last_times))[last_at]
        by_alpha = r / alpha - n_of_age @ (1 / (alpha + ages)) + dropped @ (n[count_at] * rate_since_last)
        by_a = share_of_count @ lost + dropped_of_count.sum() / a
        by_b = share_of_count @ (digamma(b + chances) - digamma(b) + lost) - dropped_of_count @ (1 / last_chance)
        return float(value), np.array([r * by_r, alpha * by_alpha, a * by_a, b * by_b])

    return objective


def _expected(n: Array, a: float, m: Array, ratio: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Purchases expected of customers who are alive, with rate Gamma(n, .) and drop-out Beta(a, m), in `ratio` = t / (alpha + age).

    The published form, with a Gaussian hypergeometric function, cancels or overflows at thousands of purchases, at a = 1 and at
    a + b = 1. Here: a customer who never dropped out would make J purchases, negative binomial, and makes the i-th with the probability
    that it survives the i before, R_i = (m)_i / (a + m)_i. So E[Y] = E[S_J], S_j = R_0 + .. + R_{j-1}: positive terms all, summed until
    the rest is beyond the last digit, the binomial's terms relative to the first.

    n, m: (c,), ratio: (c, k). Returns E[Y] and its derivatives by n, log ratio, a and m, each (c, k).
    """
    z = ratio / (1 + ratio)
    powers = z[:, :, None] ** np.arange(1, _BLOCK + 1)
    term = np.ones_like(z)  # P(J = j) over P(J = 0)
    sums = np.tile([1.0, 0, 0, 0, 0, 0], (*z.shape, 1))  # of the terms: alone, and times what stands in `of_j`
    survives = np.ones_like(n)
    survives_by_a, survives_by_m, made, made_by_a, made_by_m, term_by_n = np.zeros((6, len(n)))
    for first in count(0, _BLOCK):
        j = np.arange(first, first + _BLOCK)
        shape, survivors = m[:, None] + j, a + m[:, None] + j
        r = _running(np.multiply, survives, shape / survivors)  # R_j; then the derivatives of its logarithm by a and m
        r_by_a = _running(np.add, survives_by_a, -1 / survivors)
        r_by_m = _running(np.add, survives_by_m, a / (shape * survivors))
        s = _running(np.add, made, r[:, :-1])  # S_j, and its derivatives
        s_by_a = _running(np.add, made_by_a, (r * r_by_a)[:, :-1])
        s_by_m = _running(np.add, made_by_m, (r * r_by_m)[:, :-1])
        p_by_n = _running(np.add, term_by_n, 1 / (n[:, None] + j))  # of the logarithm of P(J = j)
        terms = term[:, :, None] * powers * np.multiply.accumulate((n[:, None] + j) / (j + 1), axis=1)[:, None, :]
        of_j = np.stack([np.ones_like(s), s, s * p_by_n, s * np.append(j, first + _BLOCK), s_by_a, s_by_m], axis=2)
        sums += terms @ of_j[:, 1:]
        term = terms[:, :, -1]
        survives, survives_by_a, survives_by_m, made, made_by_a, made_by_m, term_by_n = (
            column[:, -1] for column in (r, r_by_a, r_by_m, s, s_by_a, s_by_m, p_by_n)
        )
        falls = z * ((n + first + _BLOCK) / (first + _BLOCK + 1))[:, None]  # by what the next term is less
        if (falls < 1).all() and (term * made[:, None] <= _EPSILON * (1 - falls) * sums[:, :, 1]).all():
            break
        shrink = np.where(term > _LARGE, 1 / _LARGE, 1.0)
        term, sums = term * shrink, sums * shrink[:, :, None]
    expected, with_by_n, with_j, by_a, by_m = np.moveaxis(sums[:, :, 1:] / sums[:, :, :1], 2, 0)
    by_n = with_by_n - expected * np.log1p(ratio)
    by_log_ratio = (with_j - expected * n[:, None] * ratio) / (1 + ratio)
    return expected, by_n, by_log_ratio, by_a, by_m


def _running(operation: np.ufunc, start: Array, steps: Array) -> Array:
    """From `start` (c,), by `steps` (c, k). Shape (c, k + 1)."""
    return np.asarray(operation.accumulate(np.concatenate([start[:, None], steps], axis=1), axis=1), dtype=np.float64)
