"""What an order is worth: against published figures, against the mixture integrated by numbers, and where there is little to go by."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.stats import gamma

from tests.support.cdnow import sample
from worker.marts.models.gamma_gamma import GammaGamma, fit_gamma_gamma, log_likelihood
from worker.marts.models.likelihood import Status

Array = NDArray[np.float64]

X, MEAN_VALUE = np.array([1.0, 2, 2, 7]), np.array([12.0, 30, 31, 9])


def array(*values: float) -> Array:
    return np.array(values, dtype=np.float64)


def test_cdnow_has_the_published_parameters() -> None:
    """Fader, Hardie 2013: 946 customers with a repeat purchase."""
    cdnow = sample()
    assert (cdnow.x > 0).sum() == 946
    fitted = fit_gamma_gamma(cdnow.x, cdnow.mean_value).fitted
    assert fitted is not None
    assert (fitted.p, fitted.q, fitted.v) == pytest.approx((6.25, 3.74, 15.44), abs=0.005)


def test_the_formulas_are_the_integrals_they_stand_for() -> None:
    """A mean of x values from Gamma(p, nu) is Gamma(p x, nu x); nu is Gamma(q, v)."""
    p, q, v, x, mean_value = 3.0, 2.5, 14.0, 4, 21.0

    def density(nu: float) -> float:
        return float(gamma.pdf(mean_value, p * x, scale=1 / (nu * x)) * gamma.pdf(nu, q, scale=1 / v))

    likelihood = quad(density, 0, np.inf)[0]
    expected = quad(lambda nu: density(nu) * p / nu, 0, np.inf)[0] / likelihood
    assert log_likelihood(np.log([p, q, v]), array(x), array(mean_value))[0] == pytest.approx(np.log(likelihood))
    assert GammaGamma(p, q, v).expected_value(array(x), array(mean_value)) == pytest.approx([expected])


def test_without_a_repeat_the_expected_value_is_the_mean_over_customers() -> None:
    assert GammaGamma(3.0, 2.5, 14.0).expected_value(array(0), array(np.nan)) == pytest.approx([3 * 14 / 1.5])


def test_the_gradients_are_slopes() -> None:
    at = np.log([3.0, 2.5, 14.0])

    def value(parameters: Array) -> float:
        return log_likelihood(parameters, X, MEAN_VALUE)[0]

    def log_expected(parameters: Array) -> Array:
        p, q, v = (float(value) for value in np.exp(parameters))
        return np.log(GammaGamma(p, q, v).expected_value(X, MEAN_VALUE))

    assert log_likelihood(at, X, MEAN_VALUE)[1] == pytest.approx(approx_fprime(at, value, 1e-7), abs=1e-5)
    found = GammaGamma(3.0, 2.5, 14.0).log_expected_value_gradient(X, MEAN_VALUE)
    assert found == pytest.approx(approx_fprime(at, log_expected, 1e-7), abs=1e-6)


def test_the_unit_of_money_does_not_matter() -> None:
    cdnow = sample()
    dollars, cents = (fit_gamma_gamma(cdnow.x, cdnow.mean_value * unit).optimum for unit in (1, 100))
    assert dollars is not None
    assert cents is not None
    assert cents.parameters == pytest.approx(dollars.parameters * [1, 1, 100], rel=1e-4)
    assert cents.log_likelihood == pytest.approx(dollars.log_likelihood - 946 * np.log(100))


def test_values_that_are_not_positive_are_left_out() -> None:
    cdnow = sample()
    x, mean_value = np.append(cdnow.x, [3, 2]), np.append(cdnow.mean_value, [-5, 0])
    assert fit_gamma_gamma(x, mean_value).fitted == fit_gamma_gamma(cdnow.x, cdnow.mean_value).fitted


def test_nobody_with_a_repeat_of_value_is_a_status() -> None:
    assert fit_gamma_gamma(array(0, 0, 2), array(9, 9, -1)).status is Status.NO_REPEATS


def test_too_few_is_a_status() -> None:
    assert fit_gamma_gamma(X, MEAN_VALUE, min_repeaters=5).status is Status.TOO_FEW_REPEATERS


def test_customers_who_all_spend_the_same_have_no_optimum() -> None:
    assert fit_gamma_gamma(np.full(40, 3.0), np.full(40, 10.0)).status is Status.NO_OPTIMUM


def test_a_mean_that_is_infinite_is_a_status() -> None:
    """Values that spread over many orders of magnitude: q below 1."""
    random = np.random.default_rng(3)
    x = random.integers(1, 6, 4_000).astype(np.float64)
    values = random.gamma(5 * x, 1 / x) / random.gamma(0.6, 1, 4_000)
    fit = fit_gamma_gamma(x, values)
    assert (fit.status, fit.fitted) == (Status.INFINITE_MEAN, None)
    assert fit.optimum is not None
    assert fit.optimum.parameters[1] == pytest.approx(0.6, rel=0.1)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5_000), st.floats(-1e15, 1e15)), max_size=20))
def test_no_input_gives_a_nan(customers: list[tuple[int, float]]) -> None:
    x, mean_value = np.array(customers, dtype=np.float64).reshape(-1, 2).T
    fit = fit_gamma_gamma(x, mean_value)
    assert (fit.fitted is not None) == (fit.status is Status.CONVERGED)
    if fit.optimum is not None:
        assert np.isfinite(fit.optimum.parameters).all()
        assert np.isfinite(fit.optimum.covariance).all()
