"""customer_value: the heuristic, the three years' value, and the BG/NBD and Gamma-Gamma predictions of given parameters.

Readings: customers with a counted order in the reporting currency. Days since the first and the last order are counted to as_of. The
quartile is of value_3y, among those who have one. For the model, orders of a day are one purchase; x, t_x and T are in days since the
first; the mean value is over the repeat purchases; a month is a twelfth of 365 days.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.support.mart_reference.events import Facts, tiles
from tests.support.reference import Row

MONTHLY_RATE = 0.1 / 12
QUARTILES = ("Low Value", "Medium Value", "High Value", "Very High Value")


def customer_value(facts: Facts) -> list[Row]:
    """All but the columns of the model."""
    rows = [_heuristic(facts, customer, orders) for customer, orders in facts.counted_by_customer.items()]
    quartiles = tiles({row["customer_id"]: row["value_3y"] for row in rows if row["value_3y"] is not None}, 4)
    return [row | {"value_quartile": QUARTILES[quartiles[c] - 1] if (c := row["customer_id"]) in quartiles else None} for row in rows]


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


@dataclass(frozen=True)
class BgNbd:
    """Fader, Hardie, Lee 2005."""

    r: float
    alpha: float
    a: float
    b: float

    def p_alive(self, of: History) -> float:
        return 1 / (1 + self._dropped(of))

    def expected(self, of: History, t: float) -> float:
        """Purchases in the next t days: equation 10."""
        at = self.alpha + of.age
        growth = math.pow(at / (at + t), self.r + of.x)
        series = hyp2f1(self.r + of.x, self.b + of.x, self.a + self.b + of.x - 1, t / (at + t))
        return (self.a + self.b + of.x - 1) / (self.a - 1) * (1 - growth * series) / (1 + self._dropped(of))

    def _dropped(self, of: History) -> float:
        if not of.x:
            return 0.0
        return self.a / (self.b + of.x - 1) * math.pow((self.alpha + of.age) / (self.alpha + of.t_x), self.r + of.x)

    def log_likelihood(self, histories: Sequence[History]) -> float:
        return sum(self._log_likelihood(of) for of in histories)

    def _log_likelihood(self, of: History) -> float:
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        g = math.lgamma
        front = g(r + of.x) - g(r) + r * math.log(alpha) + g(a + b) - g(b) + g(b + of.x) - g(a + b + of.x)
        alive = -(r + of.x) * math.log(alpha + of.age)
        if not of.x:
            return front + alive
        dropped = math.log(a / (b + of.x - 1)) - (r + of.x) * math.log(alpha + of.t_x)
        return front + max(alive, dropped) + math.log1p(math.exp(-abs(alive - dropped)))


def expected_value(p: float, q: float, v: float, of: History) -> float:
    """Gamma-Gamma: the mean value of a purchase to come, in the unit of v."""
    return p * (v + of.x * (of.mean_value or 0.0)) / (p * of.x + q - 1)


def discounted(expected: Callable[[float], float], value: float, months: int = 12, days: float = 365 / 12, rate: float = 0.1 / 12) -> float:
    """What the next months bring, each month's purchases discounted at its end."""
    seen = [expected(days * month) for month in range(months + 1)]
    return sum((seen[month] - seen[month - 1]) * value / (1 + rate) ** month for month in range(1, months + 1))


def hyp2f1(a: float, b: float, c: float, z: float) -> float:
    """The power series, for 0 <= z < 1."""
    term = total = 1.0
    for n in range(100_000):
        term *= (a + n) * (b + n) / ((c + n) * (n + 1)) * z
        total += term
        if abs(term) < 1e-17 * abs(total):
            return total
    raise AssertionError(f"2F1({a}, {b}; {c}; {z}) does not converge")
