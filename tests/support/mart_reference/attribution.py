"""Attribution: the windows of conversions, the rule models, Markov chains by month, and the four tables.

Readings: a conversion is a counted order in the reporting currency. In everything of a window, cart_adds too, an anonymous event takes its
session's customer. "At or before" a cart_add goes by occurred_at alone. A null journey counts once no order up to as_of's end could
still be within its last touch's window. Rows that would be all zero (a touch of weight 0, a channel without cost) say nothing: they may
be there or not. With two touches, roles that fall on one of them add up as with more. Markov's value is the month's value of converting
journeys by the same shares, to the cent by largest remainder, ties by name.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from tests.support.mart_reference.events import Facts, by_column, mean, month_of, ratio
from tests.support.reference import Row

NONE = "(none)"
UNATTRIBUTED = "(unattributed)"
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Conversion:
    """An order, the touches of its window in order, and the moment of the window's first cart_add, if any."""

    order: Row
    touches: Sequence[Row]
    first_cart_add: datetime | None


# Touches and windows


def touches(facts: Facts) -> list[Row]:
    """Every touch with its customer, in order of (occurred_at, event_id)."""
    first_page_views: dict[Hashable, Row] = {}
    rows = _with_customers(facts)
    for row in rows:
        if row["event_type"] == "page_view":
            first_page_views.setdefault((row["day"], row["session_id"]), row)
    first_ids = {(row["day"], row["event_id"]) for row in first_page_views.values()}
    is_touch = [row["event_type"] in facts.thresholds.touch_types or (row["day"], row["event_id"]) in first_ids for row in rows]
    return [row for row, yes in zip(rows, is_touch, strict=True) if yes and row["customer_id"] is not None]


def conversions(facts: Facts) -> list[Conversion]:
    """Every counted order with its window."""
    window = timedelta(hours=facts.thresholds.touch_window_hours)
    touched = by_column(touches(facts), "customer_id")
    carts = by_column([row for row in _with_customers(facts) if row["event_type"] == "cart_add"], "customer_id")
    found = []
    for order in facts.counted:

        def within(rows: Iterable[Row], ordered_at: datetime = order["ordered_at"]) -> list[Row]:
            return [row for row in rows if ordered_at - window < row["occurred_at"] <= ordered_at]

        cart_adds = within(carts.get(order["customer_id"], []))
        first = cart_adds[0]["occurred_at"] if cart_adds else None
        found.append(Conversion(order, within(touched.get(order["customer_id"], [])), first))
    return found


def null_journeys(facts: Facts) -> list[list[Row]]:
    """Maximal runs of a customer's touches in no conversion's window, broken by a gap over the window's length, once they have ended."""
    window = timedelta(hours=facts.thresholds.touch_window_hours)
    used = {(row["day"], row["event_id"]) for conversion in conversions(facts) for row in conversion.touches}
    runs: list[list[Row]] = []
    for rows in by_column(touches(facts), "customer_id").values():
        run: list[Row] = []
        for row in rows:
            is_used = (row["day"], row["event_id"]) in used
            if run and (is_used or row["occurred_at"] - run[-1]["occurred_at"] > window):
                runs.append(run)
                run = []
            if not is_used:
                run.append(row)
        runs += [run] if run else []
    return [run for run in runs if run[-1]["occurred_at"] + window <= facts.end]


def _with_customers(facts: Facts) -> list[Row]:
    """All touchpoints in order; an anonymous one has its session's customer."""
    rows = [
        row if row["customer_id"] is not None else row | {"customer_id": facts.sessions[row["day"], row["session_id"]]["customer_id"]}
        for row in facts.touchpoints
    ]
    return sorted(rows, key=lambda row: (row["occurred_at"], row["event_id"]))


# The rule models: weights that sum to 1 over a window's touches, one or more

Weights = list[Fraction]


def _at(place: int, count: int) -> Weights:
    return [Fraction(number == place) for number in range(count)]


def _last_non_direct(facts: Facts, conversion: Conversion) -> Weights:
    places = [place for place, row in enumerate(conversion.touches) if row["channel"] not in facts.thresholds.direct_channels]
    count = len(conversion.touches)
    return _at(places[-1] if places else count - 1, count)


def _time_decay(facts: Facts, conversion: Conversion) -> Weights:
    """2^(-(age - least age) / half life), normalised. 50 digits, so that only equal ages tie."""
    last = conversion.touches[-1]["occurred_at"]
    half_life = timedelta(days=facts.thresholds.half_life_days)
    with localcontext(prec=50):
        raw = [
            Decimal(2) ** (-Decimal((last - row["occurred_at"]) // timedelta(microseconds=1)) / (half_life // timedelta(microseconds=1)))
            for row in conversion.touches
        ]
    return _normalised([Fraction(value) for value in raw])


def _by_position(first: str, spread: str, last: str) -> Callable[[Facts, Conversion], Weights]:
    def model(facts: Facts, conversion: Conversion) -> Weights:
        return _by_roles(facts, len(conversion.touches), [(0, Fraction(first)), (-1, Fraction(last))], Fraction(spread))

    return model


def _w_shaped(facts: Facts, conversion: Conversion) -> Weights:
    """The lead is the latest touch at or before the window's first cart_add."""
    at = conversion.first_cart_add
    before = [place for place, row in enumerate(conversion.touches) if at is not None and row["occurred_at"] <= at]
    roles = [(0, Fraction("0.3")), (-1, Fraction("0.3"))]
    roles += [(before[-1], Fraction("0.3"))] if before else []
    return _by_roles(facts, len(conversion.touches), roles, Fraction("0.1"))


def _by_roles(facts: Facts, count: int, roles: Iterable[tuple[int, Fraction]], spread: Fraction) -> Weights:
    """Roles on one touch add up; the spread goes to touches without a role; what has no touch is rescaled onto the rest."""
    weights = [Fraction(0)] * count
    for place, weight in roles:
        weights[place] += weight
    others = [place for place, weight in enumerate(weights) if not weight]
    for place in others:
        weights[place] = spread / len(others)
    if count == 2 and facts.thresholds.two_touch == "split_middle":
        weights = [weight + spread / 2 for weight in weights]
    return _normalised(weights)


def _shapley(facts: Facts, conversion: Conversion) -> Weights:
    """Each distinct channel the same, within it evenly over its touches."""
    channels = [row["channel"] for row in conversion.touches]
    return [Fraction(1, len(set(channels)) * channels.count(channel)) for channel in channels]


def _normalised(weights: Weights) -> Weights:
    return [weight / sum(weights) for weight in weights]


MODELS: dict[str, Callable[[Facts, Conversion], Weights]] = {
    "first": lambda _, conversion: _at(0, len(conversion.touches)),
    "last": lambda _, conversion: _at(len(conversion.touches) - 1, len(conversion.touches)),
    "last_non_direct": _last_non_direct,
    "linear": lambda _, conversion: [Fraction(1, len(conversion.touches))] * len(conversion.touches),
    "time_decay": _time_decay,
    "u_shaped": _by_position("0.4", "0.2", "0.4"),
    "j_shaped": _by_position("0.2", "0.2", "0.6"),
    "w_shaped": _w_shaped,
    "shapley": _shapley,
}


def shared_out(value: int, weights: Sequence[Fraction]) -> list[int]:
    """Largest remainder on the absolute value, ties by place; the sign is restored."""
    exact = [abs(value) * weight for weight in weights]
    parts = [int(part) for part in exact]
    by_remainder = sorted(range(len(parts)), key=lambda place: (parts[place] - exact[place], place))
    for place in by_remainder[: abs(value) - sum(parts)]:
        parts[place] += 1
    return [part if value >= 0 else -part for part in parts]


# The tables


def attribution_touch(facts: Facts) -> list[Row]:
    """Every (conversion, touch, model) whose weight is not 0."""
    rows = []
    for conversion in conversions(facts):
        order = conversion.order
        for model, weigh in MODELS.items() if conversion.touches else ():
            weights = weigh(facts, conversion)
            assert sum(weights) == 1
            for touch, weight, credit in zip(conversion.touches, weights, shared_out(order["net_cents"], weights), strict=True):
                key = {"order_day": order["day"], "order_id": order["order_id"], "event_day": touch["day"], "event_id": touch["event_id"]}
                row = key | {"model": model, "weight": float(weight), "credit_cents": credit}
                rows.append(row | {"_exact": weight, "_touch": touch})
    return [row for row in rows if row["weight"]]


def attribution_channel(facts: Facts) -> list[Row]:
    return _by_grain(facts, ("channel",))


def attribution_campaign(facts: Facts) -> list[Row]:
    return _by_grain(facts, ("channel", "campaign"))


def attribution_path(facts: Facts) -> list[Row]:
    """By month and path of channels. Conversions without a touch have no path."""
    journeys: dict[tuple[date, str], list[tuple[Sequence[Row], Row | None]]] = defaultdict(list)
    for conversion in conversions(facts):
        if conversion.touches:
            journeys[month_of(conversion.order["day"]), _path(conversion.touches)].append((conversion.touches, conversion.order))
    for run in null_journeys(facts):
        journeys[month_of(run[-1]["day"]), _path(run)].append((run, None))
    rows = []
    for (month, path), found in journeys.items():
        converting = [(seen, order) for seen, order in found if order]
        hours = [(order["ordered_at"] - seen[0]["occurred_at"]) / timedelta(hours=1) for seen, order in converting]
        rows.append(
            {
                "month": month,
                "path": path,
                "conversions": len(converting),
                "value_cents": sum(order["net_cents"] for _, order in converting),
                "nulls": len(found) - len(converting),
                "mean_touches": mean(len(seen) for seen, _ in found),
                "mean_hours": mean(hours),
            }
        )
    return rows


def _path(seen: Iterable[Row]) -> str:
    return " > ".join(row["channel"] for row in seen)


# Channels and campaigns

Grain = tuple[str, ...]
State = tuple[str, ...]


def _state(row: Row, grain: Grain) -> State:
    return tuple(NONE if row[column] is None else row[column] for column in grain)


def _by_grain(facts: Facts, grain: Grain) -> list[Row]:
    """Credit by the conversion's day, cost by the day of spend; days, months, and Markov by month."""
    sums: dict[tuple[str, date, str, State], list[Any]] = defaultdict(lambda: [Fraction(0), 0, 0])
    periods = (("day", lambda day: day), ("month", month_of))
    nobody = (UNATTRIBUTED,) * len(grain)

    def add(model: str, day: date, state: State, weight: Fraction, credit: int, cost: int) -> None:
        for kind, start in periods:
            if model != "markov" or kind == "month":
                found = sums[kind, start(day), model, state]
                found[:] = found[0] + weight, found[1] + credit, found[2] + cost

    for row in attribution_touch(facts):
        add(row["model"], row["order_day"], _state(row["_touch"], grain), row["_exact"], row["credit_cents"], 0)
    for model in (*MODELS, "markov"):
        for conversion in conversions(facts):
            if not conversion.touches:
                add(model, conversion.order["day"], nobody, Fraction(1), conversion.order["net_cents"], 0)
        for row in facts.tables["daily_channel"]:
            add(model, row["day"], _state(row, grain), Fraction(0), 0, row["cost_cents"])
    for month, state, share, credit in _markov_credits(facts, grain):
        add("markov", month, state, share, credit, 0)
    return [
        {"period_kind": kind, "period": period, "model": model}
        | dict(zip(grain, state, strict=True))
        | {"conversions": float(weight), "credit_cents": credit, "cost_cents": cost}
        | {"roas": ratio(credit, cost), "cpa": ratio(cost, float(weight))}
        for (kind, period, model, state), (weight, credit, cost) in sums.items()
        if weight or credit or cost
    ]


def _markov_credits(facts: Facts, grain: Grain) -> list[tuple[date, State, Fraction, int]]:
    """(month, state, conversions, cents) of each month with converting journeys."""
    converting: dict[date, list[Conversion]] = defaultdict(list)
    nulls: dict[date, list[list[State]]] = defaultdict(list)
    for conversion in conversions(facts):
        if conversion.touches:
            converting[month_of(conversion.order["day"])].append(conversion)
    for run in null_journeys(facts):
        nulls[month_of(run[-1]["day"])].append([_state(row, grain) for row in run])
    found = []
    for month, members in converting.items():
        paths = [[_state(row, grain) for row in conversion.touches] for conversion in members]
        _, effects = markov(paths, nulls[month])
        states = sorted(effects)
        shares = [effects[state] / sum(effects.values()) for state in states]
        cents = shared_out(sum(conversion.order["net_cents"] for conversion in members), shares)
        found += [(month, state, share * len(members), part) for state, share, part in zip(states, shares, cents, strict=True)]
    return found


# The Markov chain of order 1, exactly

START, CONVERSION, NULL = "start", "conversion", "null"


def markov(converting: Iterable[Sequence[State]], nulls: Iterable[Sequence[State]]) -> tuple[Fraction, dict[State, Fraction]]:
    """The probability of a conversion from the start, and each state's removal effect (what ran into it ends in null)."""
    counts: dict[Any, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
    for paths, end in ((converting, CONVERSION), (nulls, NULL)):
        for path in paths:
            steps = [START, *path, end]
            for here, there in itertools.pairwise(steps):
                counts[here][there] += 1
    whole = _reached(counts, None)
    return whole, {state: 1 - _reached(counts, state) / whole for state in counts if state != START}


def _reached(counts: dict[Any, dict[Any, int]], removed: State | None) -> Fraction:
    """The probability to be absorbed in CONVERSION: states are taken out one by one, their flows led around them."""
    flows = {here: {there: Fraction(n, sum(row.values())) for there, n in row.items()} for here, row in counts.items() if here != removed}
    for out in [here for here in flows if here != START]:
        row = flows.pop(out)
        loop = row.pop(out, Fraction(0))
        for other in flows.values():
            flow = other.pop(out, Fraction(0)) / (1 - loop)
            for there, share in row.items() if flow else ():
                other[there] = other.get(there, Fraction(0)) + flow * share
    return flows[START].get(CONVERSION, Fraction(0))
