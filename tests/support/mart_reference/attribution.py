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


def attribution_event(facts: Facts) -> list[Row]:
    """Touches and cart_adds with their customers: an anonymous one has its session's. In order of (occurred_at, event_id)."""
    sessions_seen: set[Hashable] = set()
    rows = []
    for row in sorted(facts.touchpoints, key=lambda row: (row["occurred_at"], row["event_id"])):
        session, kind = (row["day"], row["session_id"]), row["event_type"]
        is_touch = kind in facts.thresholds.touch_types or (kind == "page_view" and session not in sessions_seen)
        sessions_seen |= {session} if kind == "page_view" else set()
        customer = row["customer_id"] if row["customer_id"] is not None else facts.sessions[session]["customer_id"]
        if customer is not None and (is_touch or kind == "cart_add"):
            event = {name: row[name] for name in ("day", "event_id", "occurred_at", "channel")}
            event |= {"customer_id": customer, "campaign": NONE if row["campaign"] is None else row["campaign"]}
            rows.append(event | {"is_touch": is_touch, "is_cart_add": kind == "cart_add"})
    return rows


def _events(facts: Facts, kind: str) -> dict[str, list[Row]]:
    """By customer, those of sealed days too."""
    rows = [row for row in [*facts.given["attribution_event"], *attribution_event(facts)] if row[kind]]
    return by_column(sorted(rows, key=lambda row: (row["occurred_at"], row["event_id"])), "customer_id")


def conversions(facts: Facts) -> list[Conversion]:
    """Every counted order with its window."""
    window = timedelta(hours=facts.thresholds.touch_window_hours)
    touches, cart_adds = _events(facts, "is_touch"), _events(facts, "is_cart_add")
    found = []
    for order in facts.counted:

        def within(rows: Iterable[Row], ordered_at: datetime = order["ordered_at"]) -> list[Row]:
            return [row for row in rows if ordered_at - window < row["occurred_at"] <= ordered_at]

        carts = within(cart_adds.get(order["customer_id"], []))
        first = carts[0]["occurred_at"] if carts else None
        found.append(Conversion(order, within(touches.get(order["customer_id"], [])), first))
    return found


def attribution_null(facts: Facts) -> list[Row]:
    """The touches of null journeys, and of those that may still convert."""
    return [
        {name: row[name] for name in ("day", "event_id", "customer_id", "channel", "campaign")}
        | {"place": place, "places": len(run), "last_day": run[-1]["day"], "last_at": run[-1]["occurred_at"]}
        | {f"previous_{name}": run[place - 2][name] if place > 1 else None for name in ("channel", "campaign")}
        for run in _runs(facts)
        for place, row in enumerate(run, 1)
    ]


def null_journeys(facts: Facts) -> list[list[Row]]:
    """The runs whose last touch can't be in a window any more."""
    window = timedelta(hours=facts.thresholds.touch_window_hours)
    return [run for run in _runs(facts) if run[-1]["occurred_at"] + window <= facts.end]


def _runs(facts: Facts) -> list[list[Row]]:
    """Maximal runs of a customer's touches in no conversion's window, broken by a gap over the window's length."""
    window = timedelta(hours=facts.thresholds.touch_window_hours)
    used = {(row["event_day"], row["event_id"]) for row in _credits(facts)}
    runs: list[list[Row]] = []
    for rows in _events(facts, "is_touch").values():
        run: list[Row] = []
        for row in rows:
            is_used = (row["day"], row["event_id"]) in used
            if run and (is_used or row["occurred_at"] - run[-1]["occurred_at"] > window):
                runs.append(run)
                run = []
            if not is_used:
                run.append(row)
        runs += [run] if run else []
    return runs


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


def attribution_credit(facts: Facts) -> list[Row]:
    """Every conversion's touches with their weights and cents by model; a conversion without a touch is one row without event_id."""
    rows = []
    for conversion in conversions(facts):
        order, touches = conversion.order, conversion.touches
        key = {"order_day": order["day"], "order_id": order["order_id"], "places": max(len(touches), 1)}
        key |= {name: order[name] for name in ("customer_id", "ordered_at", "net_cents")}
        if not touches:
            nothing = dict.fromkeys(("event_day", "event_id", "occurred_at", "channel", "campaign"))
            rows.append(key | nothing | {"place": 1, "_credits": dict.fromkeys(MODELS, (Fraction(1), order["net_cents"]))})
            continue
        by_model = {model: weigh(facts, conversion) for model, weigh in MODELS.items()}
        assert all(sum(weights) == 1 for weights in by_model.values())
        cents = {model: shared_out(order["net_cents"], weights) for model, weights in by_model.items()}
        for place, touch in enumerate(touches):
            row = key | {name: touch[name] for name in ("event_id", "occurred_at", "channel", "campaign")}
            credits = {model: (by_model[model][place], cents[model][place]) for model in MODELS}
            rows.append(row | {"place": place + 1, "event_day": touch["day"], "_credits": credits})
    for row in rows:
        row |= {f"weight_{model}": float(weight) for model, (weight, _) in row["_credits"].items()}
        row |= {f"credit_{model}": credit for model, (_, credit) in row["_credits"].items()}
    return rows


def _credits(facts: Facts) -> list[Row]:
    """Those of conversions of sealed days too."""
    return [*facts.given["attribution_credit"], *attribution_credit(facts)]


def _journeys(facts: Facts) -> list[list[Row]]:
    """The credits of each conversion with a touch, in order."""
    journeys: dict[Hashable, list[Row]] = defaultdict(list)
    for row in _credits(facts):
        if row["event_id"] is not None:
            journeys[row["order_day"], row["order_id"]].append(row)
    return list(journeys.values())


def attribution_touch(facts: Facts) -> list[Row]:
    """Every (conversion, touch, model) whose weight is not 0."""
    return [
        {name: row[name] for name in ("order_day", "order_id", "event_day", "event_id", "customer_id", "place", "channel", "campaign")}
        | {"model": model, "weight": float(weight), "credit_cents": credit}
        for row in _credits(facts)
        for model, (weight, credit) in row["_credits"].items()
        if weight and row["event_id"] is not None
    ]


def attribution_channel(facts: Facts) -> list[Row]:
    return _by_grain(facts, ("channel",))


def attribution_campaign(facts: Facts) -> list[Row]:
    return _by_grain(facts, ("channel", "campaign"))


def attribution_path(facts: Facts) -> list[Row]:
    """By month and path of channels. Conversions without a touch have no path; the mean of touches is over all journeys."""
    paths: dict[tuple[date, str], tuple[list[list[Row]], list[list[Row]]]] = defaultdict(lambda: ([], []))
    for journey in _journeys(facts):
        paths[month_of(journey[0]["order_day"]), _path(journey)][0].append(journey)
    for run in null_journeys(facts):
        paths[month_of(run[-1]["day"]), _path(run)][1].append(run)
    return [
        {
            "month": month,
            "path": path,
            "conversions": len(converting),
            "value_cents": sum(journey[0]["net_cents"] for journey in converting),
            "nulls": len(nulls),
            "mean_touches": mean(len(journey) for journey in converting + nulls),
            "mean_hours": mean((journey[0]["ordered_at"] - journey[0]["occurred_at"]) / timedelta(hours=1) for journey in converting),
        }
        for (month, path), (converting, nulls) in paths.items()
    ]


def _path(seen: Iterable[Row]) -> str:
    return " > ".join(row["channel"] for row in seen)


# Channels and campaigns

Grain = tuple[str, ...]
State = tuple[str, ...]


def _state(row: Row, grain: Grain) -> State:
    return tuple(row[column] for column in grain)


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

    for row in _credits(facts):
        is_touched = row["event_id"] is not None
        for model, (weight, credit) in row["_credits"].items():
            add(model, row["order_day"], _state(row, grain) if is_touched else nobody, weight, credit, 0)
        if not is_touched:
            add("markov", row["order_day"], nobody, Fraction(1), row["net_cents"], 0)
    for row in facts.tables["daily_channel"]:
        for model in (*MODELS, "markov"):
            add(model, row["day"], _state(row, grain), Fraction(0), 0, row["cost_cents"])
    for row in attribution_markov(facts):
        if row["states"] == grain[-1]:
            add("markov", row["month"], _state(row, grain), row["_conversions"], row["credit_cents"], 0)
    return [
        {"period_kind": kind, "period": period, "model": model}
        | dict(zip(grain, state, strict=True))
        | {"conversions": float(weight), "credit_cents": credit, "cost_cents": cost}
        | {"roas": ratio(credit, cost), "cpa": ratio(cost, float(weight))}
        for (kind, period, model, state), (weight, credit, cost) in sums.items()
        if weight or credit or cost
    ]


def attribution_markov(facts: Facts) -> list[Row]:
    """A chain of channels and one of campaigns for each month with converting journeys."""
    converting: dict[date, list[list[Row]]] = defaultdict(list)
    nulls: dict[date, list[list[Row]]] = defaultdict(list)
    for journey in _journeys(facts):
        converting[month_of(journey[0]["order_day"])].append(journey)
    for run in null_journeys(facts):
        nulls[month_of(run[-1]["day"])].append(run)
    grains: Sequence[Grain] = (("channel",), ("channel", "campaign"))
    return [row for month in converting for grain in grains for row in _chain(month, grain, converting[month], nulls[month])]


def _chain(month: date, grain: Grain, converting: list[list[Row]], nulls: list[list[Row]]) -> Iterable[Row]:
    paths = [[[_state(row, grain) for row in journey] for journey in journeys] for journeys in (converting, nulls)]
    whole, effects = markov(*paths)
    states = sorted(effects)
    shares = [effects[state] / sum(effects.values()) for state in states]
    cents = shared_out(sum(journey[0]["net_cents"] for journey in converting), shares)
    for state, share, part in zip(states, shares, cents, strict=True):
        row = {"month": month, "states": grain[-1], "campaign": "(all)"} | dict(zip(grain, state, strict=True))
        row |= {"probability": float(whole), "removal_effect": float(effects[state]), "share": float(share), "credit_cents": part}
        yield row | {"conversions": float(share * len(converting)), "_conversions": share * len(converting)}


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
