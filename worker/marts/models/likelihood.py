"""Maximum likelihood over log parameters: what the value models share."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Objective = Callable[[Array], tuple[float, Array]]

# A parameter that runs so far from a start of natural scale (e^9 = 8,100 times) has no optimum in the data.
_BOUND = 9.0
_STEADY = 1e-6  # of the mean gradient, at an optimum
_STEP = 1e-5  # of the differences that give the Hessian from the gradient


class Status(StrEnum):
    """How a fit ended."""

    CONVERGED = "converged"
    NO_REPEATS = "no_repeats"  # nobody came back: the data say nothing of rates
    TOO_FEW_REPEATERS = "too_few_repeaters"
    NO_OPTIMUM = "no_optimum"  # the likelihood grows to the edge of what is sensible, or is flat
    INFINITE_MEAN = "infinite_mean"  # q <= 1: the mean of the mean values is infinite


@dataclass(frozen=True, slots=True)
class Optimum:
    """`parameters`: on the natural scale; `covariance`: of their logarithms; `log_likelihood`: the sum over customers."""

    parameters: Array
    covariance: Array
    log_likelihood: float


def maximum(mean_log_likelihood: Objective, customers: float, start: Array) -> Optimum | None:
    """The maximum over log parameters, from log parameters `start`; None where there is none within the bounds, or it is no peak.

    mean_log_likelihood: log parameters -> (mean over customers, its gradient).
    """
    from scipy.optimize import minimize  # .3 s to import, and most refreshes fit nothing

    def descent(log_parameters: Array) -> tuple[float, Array]:
        value, gradient = mean_log_likelihood(log_parameters)
        return -value, -gradient

    bounds = [(centre - _BOUND, centre + _BOUND) for centre in start]
    found = minimize(descent, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-13, "gtol": 1e-8, "maxiter": 500})
    best = np.asarray(found.x, dtype=np.float64)
    hessian = _hessian(descent, best) * customers
    is_inside = bool((np.abs(best - start) < _BOUND - 1e-3).all())
    is_steady = bool((np.abs(found.jac) < _STEADY).all())
    if not (is_inside and is_steady and np.isfinite(hessian).all() and np.linalg.eigvalsh(hessian)[0] > 0):
        return None
    return Optimum(np.exp(best), np.asarray(np.linalg.inv(hessian), dtype=np.float64), -float(found.fun) * customers)


def _hessian(objective: Objective, at: Array) -> Array:
    """By central differences of the gradient, made symmetric. Shape (k, k)."""
    steps = np.eye(len(at)) * _STEP
    rows = np.array([(objective(at + step)[1] - objective(at - step)[1]) / (2 * _STEP) for step in steps])
    return np.asarray((rows + rows.T) / 2, dtype=np.float64)
