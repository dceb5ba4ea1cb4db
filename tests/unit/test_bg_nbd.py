"""BG/NBD and MBG/NBD: against published figures, against the mixture integrated by numbers, and where there is little to go by."""

import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import approx_fprime
from scipy.special import roots_genlaguerre, roots_jacobi

from tests.support.cdnow import sample
from worker.marts.models.bg_nbd import BgNbd, Histories, Model, fit_bg_nbd, grouped, log_likelihood
from worker.marts.models.likelihood import Status

Array = NDArray[np.float64]

SOME = BgNbd(Model.BG_NBD, 0.7, 5.0, 0.8, 2.4)
HISTORIES = Histories(*np.array([(0, 0, 30, 5), (0, 0, 2, 1), (1, 3, 20, 4), (2, 18, 20, 2), (9, 25, 26, 1)], dtype=np.float64).T)


def array(*values: float) -> Array:
    return np.array(values, dtype=np.float64)


# What was published


def test_cdnow_has_the_published_parameters() -> None:
    """Fader, Hardie, Lee 2005, table 2; digits beyond theirs by three other implementations."""
    cdnow = sample()
    fit = fit_bg_nbd(grouped(cdnow.x, cdnow.t_x, cdnow.age))
    assert fit.optimum is not None
    assert fit.optimum.parameters == pytest.approx([0.242595, 4.413602, 0.792922, 2.425907], abs=1.5e-6)
    assert fit.optimum.log_likelihood == pytest.approx(-9582.4292, abs=1e-4)


def test_cdnow_predicts_as_published() -> None:
    cdnow = sample()
    fitted = fit_bg_nbd(grouped(cdnow.x, cdnow.t_x, cdnow.age)).fitted
    assert fitted is not None
    assert fitted.expected_purchases(39, array(2), array(30.43), array(38.86)) == pytest.approx([1.226], abs=5e-4)
    assert fitted.expected_purchases(39, cdnow.x, cdnow.t_x, cdnow.age).sum() == pytest.approx(1_653.4, abs=0.05)
    assert cdnow.held_out.sum() == 1_882


def test_cdnow_with_a_first_chance_to_drop_out_has_the_parameters_of_another_implementation() -> None:
    """lifetimes 0.11.3, ModifiedBetaGeoFitter on its rounded summary: r .525, alpha 6.183, a .891, b 1.614."""
    cdnow = sample()
    fitted = fit_bg_nbd(grouped(cdnow.x, cdnow.t_x, cdnow.age), Model.MBG_NBD).fitted
    assert fitted is not None
    assert (fitted.r, fitted.alpha, fitted.a, fitted.b) == pytest.approx((0.525, 6.183, 0.891, 1.614), abs=1e-3)


# The mixture, integrated over rates and drop-outs


def integrated(model: BgNbd, x: float, t_x: float, age: float, t: float) -> tuple[float, float, float]:
    """(likelihood, P(alive), E[Y(t)]) by Gaussian quadrature over rate and probability of dropping out, from what they mean."""
    nodes, rate_weights = roots_genlaguerre(80, model.r - 1)
    rate, rate_weights = nodes[:, None] / model.alpha, rate_weights[:, None] / rate_weights.sum()
    nodes, p_weights = roots_jacobi(80, model.b - 1, model.a - 1)
    p, p_weights = (1 + nodes[None, :]) / 2, p_weights[None, :] / p_weights.sum()
    survived = (1 - p) ** (x + (model.model is Model.MBG_NBD))
    alive = survived * rate**x * np.exp(-rate * age)
    dropped = (
        np.where(survived == 1, 0, p * survived / (1 - p) * rate**x * np.exp(-rate * t_x)) if x or model.model is Model.MBG_NBD else 0 * p
    )
    weights = rate_weights * p_weights
    likelihood = (weights * (alive + dropped)).sum()
    bought = -np.expm1(-rate * p * t) / p
    return likelihood, (weights * alive).sum() / likelihood, (weights * alive * bought).sum() / likelihood


CASES = [(0, 0, 12), (0, 0, 40), (1, 3, 20), (1, 20, 20), (4, 9, 12), (12, 30, 33)]


@pytest.mark.parametrize(("kind", "case"), list(product(Model, CASES)))
def test_the_formulas_are_the_integrals_they_stand_for(kind: Model, case: tuple[float, float, float]) -> None:
    model = BgNbd(kind, 1.3, 9.0, 1.6, 2.4)
    x, t_x, age = (array(value) for value in case)
    likelihood, p_alive, expected = integrated(model, *case, t=15)
    found, _ = log_likelihood(np.log([1.3, 9.0, 1.6, 2.4]), Histories(x, t_x, age, array(1)), kind)
    assert found == pytest.approx(np.log(likelihood), rel=1e-8)
    assert model.p_alive(x, t_x, age) == pytest.approx([p_alive], rel=1e-8)
    assert model.expected_purchases(15, x, t_x, age) == pytest.approx([expected], rel=1e-7)


@pytest.mark.parametrize("model", Model)
def test_the_gradient_of_the_likelihood_is_its_slope(model: Model) -> None:
    def value(parameters: Array) -> float:
        return log_likelihood(parameters, HISTORIES, model)[0]

    at = np.log([0.5, 6.0, 0.9, 1.7])
    slope = approx_fprime(at, value, 1e-7)
    assert log_likelihood(at, HISTORIES, model)[1] == pytest.approx(slope, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("model", Model)
def test_the_gradient_of_what_is_expected_is_its_slope(model: Model) -> None:
    def log_expected(parameters: Array) -> Array:
        r, alpha, a, b = (float(value) for value in np.exp(parameters))
        return np.log(BgNbd(model, r, alpha, a, b).expected_purchases(20, HISTORIES.x, HISTORIES.t_x, HISTORIES.age))

    at = np.log([0.5, 6.0, 0.9, 1.7])
    fitted = BgNbd(model, 0.5, 6.0, 0.9, 1.7)
    expected, gradient = fitted.expected_if_alive(array(20), np.ones((1, 1)), HISTORIES.x, HISTORIES.age)
    found = fitted.log_p_alive_gradient(HISTORIES.x, HISTORIES.t_x, HISTORIES.age) + gradient[:, 0] / expected
    assert found == pytest.approx(approx_fprime(at, log_expected, 1e-7), abs=1e-6)


# Extremes


def test_whoever_never_drops_out_buys_at_its_rate_even_thousands_of_times() -> None:
    model = BgNbd(Model.BG_NBD, 2.0, 10.0, 1e-9, 1e3)
    x = array(0, 10, 1_000, 5_000, 100_000)
    assert model.expected_purchases(30, x, np.full(5, 90.0), np.full(5, 90.0)) == pytest.approx((2 + x) * 30 / 100, rel=1e-6)


@pytest.mark.parametrize("a", [1.0, 1 + 1e-12, 1 - 1e-12])
def test_what_is_expected_is_smooth_where_the_published_formula_divides_by_zero(a: float) -> None:
    x, t_x, age = array(0, 3, 400), array(0, 20, 390), array(30, 30, 400)
    near = [BgNbd(Model.BG_NBD, 0.7, 5.0, a + shift, 0.5).expected_purchases(60, x, t_x, age) for shift in (-1e-3, 1e-3)]
    assert BgNbd(Model.BG_NBD, 0.7, 5.0, a, 0.5).expected_purchases(60, x, t_x, age) == pytest.approx((near[0] + near[1]) / 2, rel=1e-5)


PARAMETER = st.floats(-6, 6).map(lambda power: float(np.exp(power)))


@settings(max_examples=60)
@given(
    model=st.builds(BgNbd, st.sampled_from(Model), PARAMETER, PARAMETER, PARAMETER, PARAMETER),
    x=st.integers(0, 5_000),
    idle=st.floats(0, 1),
    age=st.integers(1, 5_000),
    t=st.floats(0.01, 400),
)
def test_no_input_gives_a_nan_or_what_can_not_be(model: BgNbd, x: int, idle: float, age: int, t: float) -> None:
    t_x = age * (1 - idle) if x else 0.0
    p_alive = model.p_alive(array(x), array(t_x), array(age))[0]
    expected = model.expected_purchases(t, array(x), array(t_x), array(age))[0]
    assert 0 <= p_alive <= 1
    assert 0 <= expected <= (model.r + x) * t / (model.alpha + age) * (1 + 1e-9)  # what one would buy who never dropped out


# Where there is little to go by


def test_nobody_who_came_back_is_a_status() -> None:
    assert fit_bg_nbd(grouped(np.zeros(50), np.zeros(50), np.full(50, 9.0))).status is Status.NO_REPEATS


def test_too_few_who_came_back_is_a_status() -> None:
    assert fit_bg_nbd(HISTORIES, min_repeaters=8).status is Status.TOO_FEW_REPEATERS


def test_no_customer_at_all_is_a_status() -> None:
    assert fit_bg_nbd(grouped(array(), array(), array())).status is Status.NO_REPEATS


def test_customers_of_whom_none_drops_out_have_no_optimum() -> None:
    """Everyone buys every day until the end: the rate has no spread, the drop-out no sign of life."""
    fit = fit_bg_nbd(grouped(np.full(50, 30.0), np.full(50, 30.0), np.full(50, 30.0)))
    assert (fit.status, fit.fitted, fit.optimum) == (Status.NO_OPTIMUM, None, None)


def test_equal_histories_are_grouped() -> None:
    found = grouped(array(1, 0, 1, 0, 1), array(3, 0, 3, 0, 4), array(9, 9, 9, 8, 9))
    assert sorted(zip(found.x, found.t_x, found.age, found.weight, strict=True)) == [(0, 0, 8, 1), (0, 0, 9, 1), (1, 3, 9, 2), (1, 4, 9, 1)]


def test_grouping_changes_nothing() -> None:
    x, t_x, age = array(0, 0, 1, 1, 5), array(0, 0, 2, 2, 9), array(9, 9, 9, 9, 12)
    one_by_one = log_likelihood(np.zeros(4), Histories(x, t_x, age, np.ones(5)), Model.BG_NBD)
    together = log_likelihood(np.zeros(4), grouped(x, t_x, age), Model.BG_NBD)
    assert one_by_one[0] == pytest.approx(together[0])
    assert one_by_one[1] == pytest.approx(together[1])


def test_the_unit_of_time_does_not_matter() -> None:
    cdnow = sample()
    weeks = fit_bg_nbd(grouped(cdnow.x, cdnow.t_x, cdnow.age)).optimum
    days = fit_bg_nbd(grouped(cdnow.x, cdnow.t_x * 7, cdnow.age * 7)).optimum
    assert weeks is not None
    assert days is not None
    assert days.parameters == pytest.approx(weeks.parameters * [1, 7, 1, 1], rel=1e-4)
    assert days.log_likelihood == pytest.approx(weeks.log_likelihood - cdnow.x.sum() * np.log(7))


# A million


def simulated(customers: int, model: BgNbd, seed: int) -> tuple[Array, Array, Array]:
    """Customers whose rates and drop-outs are drawn from the model, observed for up to 540 days."""
    random = np.random.default_rng(seed)
    rate, p = random.gamma(model.r, 1 / model.alpha, customers), random.beta(model.a, model.b, customers)
    age = random.uniform(1, 540, customers)
    x, t_x, now, alive = np.zeros(customers), np.zeros(customers), np.zeros(customers), np.arange(customers)
    while len(alive):
        now[alive] += random.exponential(1 / rate[alive])
        alive = alive[now[alive] <= age[alive]]
        x[alive] += 1
        t_x[alive] = now[alive]
        alive = alive[random.uniform(size=len(alive)) > p[alive]]
    return x, t_x, age


def test_a_million_customers_give_back_the_parameters_that_they_were_drawn_from() -> None:
    x, t_x, age = simulated(1_000_000, SOME, seed=1)
    t_x, age = np.floor(t_x), np.floor(age) + 1
    began = time.perf_counter()
    histories = grouped(x, t_x, age)
    fit = fit_bg_nbd(histories)
    print(f"1,000,000 customers, {len(histories.x):,} histories: fitted in {time.perf_counter() - began:.2f} s")
    assert fit.fitted is not None
    found = (fit.fitted.r, fit.fitted.alpha, fit.fitted.a, fit.fitted.b)
    assert found == pytest.approx((SOME.r, SOME.alpha, SOME.a, SOME.b), rel=0.1)
