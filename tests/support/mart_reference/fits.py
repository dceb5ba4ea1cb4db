"""What is written once: fits of the models of value, clusters, snapshots of segments, the books of messages.

Each function takes the facts, the rows that were there and those that a refresh has added; it tells in sentences what is wrong with them.
A fit is not made a second time: that its parameters are a top of the likelihood, and its clusters are where KMeans comes to rest, can be
seen from the histories alone. But that of the holdout is, for its parameters are not kept: by plain search, without a gradient.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from tests.support.mart_reference.compare import mart_differences
from tests.support.mart_reference.events import Facts
from tests.support.mart_reference.segments import distance, due_month, features, members
from tests.support.mart_reference.value import BgNbd, History, histories
from tests.support.reference import Row

REFIT_SHARE = 0.1
CLUSTERS = 5
STEP = 0.05  # in log parameters, from a top of the likelihood
STARTS = ((0, 0, 0, 0), (-1, 3, -1, 1), (0, 2, -2, 0), (1, 5, 0, 2))  # in log r, alpha, a, b
FAR = 25.0  # in log parameters
FORETOLD = 1e-3  # relative: a top may be flat


def accounting_history(facts: Facts, before: list[Row], added: list[Row]) -> list[str]:
    """The books as they stand, once a day."""
    is_due = not _is_open(facts) and all(row["as_of"] < facts.as_of for row in before)
    names = ("origin", "stream", "read", "accepted", "duplicate", "superseded", "rejected", "expired")
    expected = [{"as_of": facts.as_of} | {name: row[name] for name in names} for row in facts.given["accounting"]] if is_due else []
    return mart_differences("accounting_history", ("as_of", "origin", "stream"), expected, added)


def segment_member(facts: Facts, before: list[Row], added: list[Row]) -> list[str]:
    """What a month's snapshot shows."""
    month = None if _is_open(facts) else due_month(facts, max((row["month"] for row in before), default=None))
    return mart_differences("segment_member", ("month", "customer_id"), [] if month is None else members(facts, month), added)


def _is_open(facts: Facts) -> bool:
    """Whether as_of is a day that has not closed: what then is seen may still change."""
    (closed_before,) = (row["closed_before"] for row in facts.given["progress"])
    return bool(facts.as_of >= closed_before)


def value_model_fit(facts: Facts, before: list[Row], added: list[Row]) -> list[str]:
    """When it is fitted, on whom, with which outcome; and that what converged is a top."""
    days = {customer: sorted({row["day"] for row in orders}) for customer, orders in facts.counted_by_customer.items()}
    amount, last = sum(map(len, days.values())), _last(facts, before)
    reason = _reason(amount, last["order_days"] if last else None)
    if not reason and last and last["model"] != facts.thresholds.value_model:
        reason = "changed"
    if not reason:
        return [f"value_model_fit: a fit without a reason: {row}" for row in added]
    of = histories(facts)
    known = [history for history in of.values() if history.age > 0]
    valued = [history for history in of.values() if history.mean_value is not None and history.mean_value > 0]
    begun = facts.as_of - timedelta(days=facts.thresholds.holdout_days)
    held = [each for each in days.values() if each[0] < begun]
    statuses = {
        "status": _unless_few(facts, sum(history.x > 0 for history in known)),
        "value_status": _unless_few(facts, len(valued)),
        "holdout_status": _unless_few(facts, sum(each[1:2] != [] and each[1] <= begun for each in held)),
    }
    row: Row = {"fit_id": max((row["fit_id"] for row in before), default=0) + 1, "as_of": facts.as_of, "reason": reason}
    row |= {"model": facts.thresholds.value_model, "customers": len(days), "order_days": amount, "valued_repeaters": len(valued)}
    row |= {"repeaters": sum(len(each) > 1 for each in days.values()), "frequency_value_correlation": _correlation(valued)}
    row |= {"holdout_days": facts.thresholds.holdout_days, "holdout_customers": len(held)}
    row |= {name: status for name, status in statuses.items() if status}
    if faults := mart_differences("value_model_fit", ("fit_id",), [row], added):
        return faults
    later = sum(day > begun for each in held for day in each)
    before_it = replace(facts, as_of=begun, orders=[row for row in facts.orders if row["day"] <= begun])
    seen = [history for history in histories(before_it).values() if history.age > 0]
    return _faults_of_tops(added[0], known, valued) + _holdout_faults(added[0], later, seen)


def segment_cluster_fit(facts: Facts, before: list[Row], added: list[Row]) -> list[str]:
    """When it is fitted; that each customer is nearest to its own cluster's mean; numbers by mean money; labels by quartiles."""
    last = _last(facts, before)
    reason = _reason(len(facts.counted), last["orders"] if last else None)
    at = [features(facts, orders) for orders in facts.counted_by_customer.values()]
    if not reason or len(set(at)) < CLUSTERS:
        return [f"segment_cluster_fit: a fit without a reason: {row}" for row in added]
    found = [min(added, key=lambda row: distance(of, row))["cluster"] for of in at] if added else []
    common: Row = {"fit_id": max((row["fit_id"] for row in before), default=0) + 1, "as_of": facts.as_of, "reason": reason}
    expected: list[Row] = []
    for number in range(1, CLUSTERS + 1):
        in_it = [of for of, cluster in zip(at, found, strict=True) if cluster == number]
        if not in_it:
            return [f"segment_cluster_fit: no customer is nearest to cluster {number}: {added}"]
        row = common | {"cluster": number, "orders": len(facts.counted), "members": len(in_it), "label": _label(_means(in_it), at)}
        expected.append(row | {"_centre": _means(in_it), "_mean": _means(at), "_deviation": _deviations(at)})
    faults = mart_differences("segment_cluster_fit", ("cluster",), expected, added)
    in_order = sorted(added, key=lambda row: row["cluster"])
    for row, of in zip(in_order, expected, strict=True):
        faults += [
            f"segment_cluster_fit {row['cluster']}: {name} expected {of['_' + name]}, is {row[name]}"
            for name in ("centre", "mean", "deviation")
            if not all(math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-9) for x, y in zip(of["_" + name], row[name], strict=True))
        ]
    money = [row["centre"][2] for row in in_order]
    return faults + ([] if money == sorted(money) else [f"segment_cluster_fit: not numbered by mean money: {money}"])


def _last(facts: Facts, fits: list[Row]) -> Row | None:
    known = [row for row in fits if row["as_of"] <= facts.as_of]
    return max(known, key=lambda row: (row["as_of"], row["fit_id"]), default=None)


def _reason(amount: int, last_amount: int | None) -> str:
    if last_amount is None:
        return "first"
    return "changed" if abs(amount - last_amount) > REFIT_SHARE * last_amount else ""


# Fits of the models of value


def _unless_few(facts: Facts, repeaters: int) -> str:
    """The status that needs no fit."""
    return "no_repeats" if not repeaters else "too_few_repeaters" if repeaters < facts.thresholds.min_repeaters else ""


def _correlation(valued: list[History]) -> float | None:
    x, value = [history.x for history in valued], [history.mean_value or 0.0 for history in valued]
    return statistics.correlation(x, value) if len(set(x)) > 1 and len(set(value)) > 1 else None


def _faults_of_tops(fit: Row, known: list[History], valued: list[History]) -> list[str]:
    """Where it converged: the likelihood is what it says, and greater than at a step to any side."""
    models: tuple[tuple[str, str, Sequence[str], Callable[[Sequence[float]], float]], ...] = (
        ("status", "log_likelihood", ("r", "alpha", "a", "b"), lambda at: _purchases(at, fit["model"] == "mbg_nbd", known)),
        ("value_status", "value_log_likelihood", ("p", "q", "v"), lambda at: _values(at, valued)),
    )
    faults = []
    for status, name, parameters, likelihood in models:
        if fit[status] != "converged":
            faults += [f"value_model_fit: {each} of no fit" for each in (*parameters, name) if fit[each] is not None]
            continue
        logs = [math.log(fit[each]) for each in parameters]
        top = likelihood(logs)
        if not math.isclose(top, fit[name], rel_tol=1e-9, abs_tol=1e-6):
            faults.append(f"value_model_fit: {name} expected {top}, is {fit[name]}")
        for place, each in enumerate(parameters):
            for step in (STEP, -STEP):
                beside = [value + step * (at == place) for at, value in enumerate(logs)]
                if likelihood(beside) > top + 1e-9 * abs(top):
                    faults.append(f"value_model_fit: {name} grows with {each} by {step}")
    return faults


def _purchases(logs: Sequence[float], is_modified: bool, histories: Iterable[History]) -> float:
    """BG/NBD: Fader, Hardie, Lee 2005, equation 6; MBG/NBD: Batislam et al. 2007, with a chance more to drop out."""
    r, alpha, a, b = (math.exp(value) for value in logs)
    total = 0.0
    for of in histories:
        chances = of.x + is_modified
        rate = math.lgamma(r + of.x) - math.lgamma(r) + r * math.log(alpha)
        alive = math.exp(_log_beta(a, b + chances) - _log_beta(a, b)) * (alpha + of.age) ** -(r + of.x)
        dropped = math.exp(_log_beta(a + 1, b + chances - 1) - _log_beta(a, b)) * (alpha + of.t_x) ** -(r + of.x) if chances else 0.0
        total += rate + math.log(alive + dropped)
    return total


def _values(logs: Sequence[float], histories: Iterable[History]) -> float:
    """Gamma-Gamma: Fader, Hardie 2013, equation 1a."""
    p, q, v = (math.exp(value) for value in logs)
    total = 0.0
    for of in histories:
        mean, shape = of.mean_value or 0.0, p * of.x
        total += math.lgamma(shape + q) - math.lgamma(shape) - math.lgamma(q) + q * math.log(v) + (shape - 1) * math.log(mean)
        total += shape * math.log(of.x) - (shape + q) * math.log(v + of.x * mean)
    return total


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _holdout_faults(fit: Row, later: int, seen: Sequence[History]) -> list[str]:
    """`later`: order days in the holdout; `seen`: the histories before it."""
    if fit["holdout_status"] != "converged":
        return [f"value_model_fit: {name} of no fit" for name in ("holdout_expected", "holdout_actual") if fit[name] is not None]
    error = fit["holdout_expected"] / later - 1 if later else None
    expected = {"fit_id": fit["fit_id"], "holdout_actual": later, "holdout_error": error}
    faults = mart_differences("value_model_fit", ("fit_id",), [expected], [fit])
    tops = list(foretold(seen, fit["holdout_days"], is_modified=fit["model"] == "mbg_nbd"))
    if not any(math.isclose(each, fit["holdout_expected"], rel_tol=FORETOLD) for each in tops):
        faults.append(f"value_model_fit: holdout_expected is {fit['holdout_expected']}, the tops of the likelihood foretell {tops}")
    return faults


def foretold(seen: Sequence[History], days: int, *, is_modified: bool) -> Iterator[float]:
    """Order days in the next `days` by the parameters at the tops of the likelihood, which may be several: each start leads to one."""

    def depth(logs: NDArray[np.float64]) -> float:
        return math.inf if np.abs(logs).max() > FAR else -_purchases(logs.tolist(), is_modified, seen)

    for start in STARTS:
        found = minimize(
            depth,
            np.array(start, np.float64),
            method="Nelder-Mead",
            options={"xatol": 1e-6, "fatol": 1e-9, "maxfev": 4_000, "adaptive": True},
        )
        r, alpha, a, b = map(math.exp, found.x)
        model = BgNbd(r, alpha, a, b, is_modified)
        yield sum(model.expected(history, days).real for history in seen)


# Clusters


def _means(rows: Sequence[tuple[float, ...]]) -> list[float]:
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def _deviations(rows: Sequence[tuple[float, ...]]) -> list[float]:
    return [statistics.pstdev(column) or 1.0 for column in zip(*rows, strict=True)]


def _label(centre: Sequence[float], of: Sequence[tuple[float, ...]]) -> str:
    """By the customers' quartiles."""
    (recency, frequency, money), columns = centre[:3], list(zip(*of, strict=True))[:3]
    (first_recency, _, third_recency), (_, _, third_frequency), (_, _, third_money) = (
        statistics.quantiles(column, n=4, method="inclusive") for column in columns
    )
    if frequency > third_frequency:
        return "VIP" if money > third_money else "Frequent"
    return "Active" if recency < first_recency else "Dormant" if recency > third_recency else "Regular"


WRITTEN_ONCE: Mapping[str, Callable[[Facts, list[Row], list[Row]], list[str]]] = {
    "accounting_history": accounting_history,
    "segment_member": segment_member,
    "value_model_fit": value_model_fit,
    "segment_cluster_fit": segment_cluster_fit,
}
