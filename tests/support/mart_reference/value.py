"""customer_value: the heuristic, the three years' value, and what BG/NBD or MBG/NBD and Gamma-Gamma say with the parameters of a fit.

Readings: customers with a counted order in the reporting currency. Days since the first and the last order are counted to as_of. The
quartile is of value_3y, among those who have one. For the model, orders of a day are one purchase; x, t_x and T are in days since the
first; the mean value is over the repeat purchases; a month is a twelfth of 365 days. The fit is the last one that is not of a later day.
The interval is on log value, by derivatives that a step into the complex plane gives to all digits.
"""

import cmath
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tests.support.mart_reference.events import Facts, tiles
from tests.support.reference import Row

MONTHLY_RATE = 0.1 / 12
MONTH_DAYS = 365 / 12
QUANTILE_95 = 1.6448536269514722  # of the normal distribution
STEP = 1e-20
QUARTILES = ("Low Value", "Medium Value", "High Value", "Very High Value")


def customer_value(facts: Facts) -> list[Row]:
    rows = [_heuristic(facts, customer, orders) for customer, orders in facts.counted_by_customer.items()]
    quartiles = tiles({row["customer_id"]: row["value_3y"] for row in rows if row["value_3y"] is not None}, 4)
    last, purchases = facts.last_fit("value_model_fit"), histories(facts)
    (fit,) = (row for row in facts.given["value_model_fit"] if row["fit_id"] == last)
    for row in rows:
        customer = row["customer_id"]
        row["value_quartile"] = QUARTILES[quartiles[customer] - 1] if customer in quartiles else None
        row |= by_model(fit, purchases[customer])
    return rows


def _heuristic(facts: Facts, customer: str, orders: list[Row]) -> Row:
    first, last = min(row["day"] for row in orders), max(row["day"] for row in orders)
    since_first, since_last, between = (facts.as_of - first).days, (facts.as_of - last).days, (last - first).days
    average = sum(row["net_cents"] for row in orders) / len(orders)
    frequency = len(orders) * 30 / since_first if since_first else 0.0
    place = sum(since_last > limit for limit in (30, 90, 180, 365))
    multiplier, churn = (1.0, 0.8, 0.6, 0.4, 0.2)[place], (0.1, 0.2, 0.4, 0.7, 0.9)[place]
    monthly = frequency * average * multiplier
    lifetime = -math.log(churn) / math.log(1 + MONTHLY_RATE)
    return {
        "customer_id": customer,
        "avg_order_value": average,
        "monthly_frequency": frequency,
        "recency_multiplier": multiplier,
        "churn_probability": churn,
        "monthly_value": monthly,
        "lifetime_months": lifetime,
        "heuristic_value": monthly * _annuity(lifetime),
        "heuristic_value_12m": monthly * _annuity(min(lifetime, 12.0)),
        "confidence": "high" if churn < 0.3 else "medium" if churn < 0.6 else "low",
        "value_3y": average * len(orders) / between * 365 * 3 if between else None,
        "value_3y_status": "ok" if between else "single_day",
    }


def _annuity(months: float) -> float:
    return -math.expm1(-months * math.log1p(MONTHLY_RATE)) / MONTHLY_RATE


@dataclass(frozen=True)
class History:
    """Repeat purchases, days of the last one and of observation since the first, mean cents of a repeat purchase."""

    x: int
    t_x: float
    age: float
    mean_value: float | None


def histories(facts: Facts) -> dict[str, History]:
    found = {}
    for customer, orders in facts.counted_by_customer.items():
        by_day: dict[int, int] = defaultdict(int)
        for row in orders:
            by_day[row["day"].toordinal()] += row["net_cents"]
        days = sorted(by_day)
        repeats = [by_day[day] for day in days[1:]]
        average = sum(repeats) / len(repeats) if repeats else None
        found[customer] = History(len(repeats), days[-1] - days[0], facts.as_of.toordinal() - days[0], average)
    return found


Number: TypeAlias = complex  # a float, or one with a small imaginary part, to see what it is sensitive to


@dataclass(frozen=True)
class BgNbd:
    """BG/NBD (Fader, Hardie, Lee 2005), or MBG/NBD (Batislam et al. 2007), which has b + 1 for b and drops out at x = 0 too."""

    r: Number
    alpha: Number
    a: Number
    b: Number
    is_modified: bool = False

    def p_alive(self, of: History) -> float:
        return (1 / (1 + self._dropped(of))).real

    def expected(self, of: History, t: float) -> Number:
        """Purchases in the next t days: equation 10."""
        at, b, r = self.alpha + of.age, self._b(), self.r + of.x
        growth = (at / (at + t)) ** r
        series = hyp2f1(r, b + of.x, self.a + b + of.x - 1, t / (at + t))
        return (self.a + b + of.x - 1) / (self.a - 1) * (1 - growth * series) / (1 + self._dropped(of))

    def _b(self) -> Number:
        return self.b + 1 if self.is_modified else self.b

    def _dropped(self, of: History) -> Number:
        if not of.x and not self.is_modified:
            return 0.0
        return self.a / (self._b() + of.x - 1) * ((self.alpha + of.age) / (self.alpha + of.t_x)) ** (self.r + of.x)


def expected_value(p: Number, q: Number, v: Number, of: History) -> Number:
    """Gamma-Gamma: the mean value of a purchase to come, in the unit of v."""
    return p * (v + of.x * (of.mean_value or 0.0)) / (p * of.x + q - 1)


def discounted(
    expected: Callable[[float], Number], value: Number, months: int = 12, days: float = MONTH_DAYS, rate: float = MONTHLY_RATE
) -> Number:
    """What the next months bring, each month's purchases discounted at its end."""
    seen = [expected(days * month) for month in range(months + 1)]
    return sum((seen[month] - seen[month - 1]) * value / (1 + rate) ** month for month in range(1, months + 1))


def hyp2f1(a: Number, b: Number, c: Number, z: Number) -> Number:
    """The power series, for 0 <= z < 1."""
    term = total = 1.0 + 0j
    for n in range(1_000_000):
        term *= (a + n) * (b + n) / ((c + n) * (n + 1)) * z
        total += term
        if abs(term) < 1e-17 * abs(total):
            return total
    raise AssertionError(f"2F1({a}, {b}; {c}; {z}) does not converge")


PREDICTIONS = ("p_alive", "expected_orders", "expected_order_value", "model_value", "model_value_low", "model_value_high")


def by_model(fit: Row, of: History) -> Row:
    """The columns of the model; what can't be computed is null, and model_status says why."""
    row: Row = dict.fromkeys(PREDICTIONS) | {"fit_id": fit["fit_id"]}
    if fit["status"] != "converged":
        return row | {"model_status": fit["status"]}
    if not of.age:
        return row | {"model_status": "first_day"}
    logs = [math.log(fit[name]) for name in ("r", "alpha", "a", "b")]
    model = _model(fit, logs)
    row |= {"p_alive": model.p_alive(of), "expected_orders": model.expected(of, 12 * MONTH_DAYS).real}
    if fit["value_status"] != "converged":
        return row | {"model_status": f"value_{fit['value_status']}"}
    if of.mean_value is not None and of.mean_value <= 0:
        return row | {"model_status": "value_not_positive"}
    logs += [math.log(fit[name]) for name in ("p", "q", "v")]
    value = _model_value(fit, of, logs).real
    spread = QUANTILE_95 * math.sqrt(_variance_of_log(fit, of, logs))
    return row | {
        "expected_order_value": expected_value(fit["p"], fit["q"], fit["v"], of).real,
        "model_value": value,
        "model_value_low": value * math.exp(-spread),
        "model_value_high": value * math.exp(spread),
        "model_status": "ok",
    }


def _model(fit: Row, logs: Sequence[Number]) -> BgNbd:
    r, alpha, a, b = (cmath.exp(value) for value in logs[:4])
    return BgNbd(r, alpha, a, b, is_modified=fit["model"] == "mbg_nbd")


def _model_value(fit: Row, of: History, logs: Sequence[Number]) -> Number:
    model = _model(fit, logs)
    p, q, v = (cmath.exp(value) for value in logs[4:])
    return discounted(lambda days: model.expected(of, days), expected_value(p, q, v, of))


def _variance_of_log(fit: Row, of: History, logs: Sequence[float]) -> float:
    slopes = []
    for place in range(len(logs)):
        moved: list[Number] = [value + (STEP * 1j if place == at else 0) for at, value in enumerate(logs)]
        slopes.append(cmath.log(_model_value(fit, of, moved)).imag / STEP)
    return _quadratic(slopes[:4], fit["covariance"]) + _quadratic(slopes[4:], fit["value_covariance"])


def _quadratic(slopes: Sequence[float], covariance: Sequence[float]) -> float:
    size = len(slopes)
    return sum(slopes[i] * slopes[j] * covariance[i * size + j] for i in range(size) for j in range(size))
